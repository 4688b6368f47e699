/**
 * The life of a daemon: lock, configuration, network, the decision how to start (`plan.ts`), the join if there is one, the peer
 * (`compose.ts`), READY, and the orderly end. The `daemon` command calls it and exits with what it answers.
 *
 * Signals count together: the first stops in order, the second warns, the third ends the process at once.
 */

import { access, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { ClusterConfig } from '@quorate/raft'
import { inspectGroup } from '@quorate/raft'
import type { RunDaemonOptions } from '../cli/daemon-options.ts'
import { reasonOf } from '../cluster-host/address-book.ts'
import { lockFolder } from '../config/folder-lock.ts'
import { loadIdentity } from '../config/identity.ts'
import { loadConfig } from '../config/load.ts'
import { folderLayout } from '../config/paths.ts'
import { peerIdOf } from '../config/peer-address.ts'
import { PeerstoreFile } from '../config/peerstore-file.ts'
import { moveAsideRaft, refuseForeignRaft } from '../config/raft-folder.ts'
import type { ServiceConfig } from '../config/schema.ts'
import { StartError } from '../errors.ts'
import { createLogging, logFormat } from '../logging/logger.ts'
import type { Logger } from '../ports.ts'
import { packageVersion } from '../version.ts'
import { askAround } from './ask-around.ts'
import { type Peer, type PeerEnd, startPeer } from './compose.ts'
import {
  clusterIdOfPeerset,
  type Group,
  newGroup,
  randomClusterId,
  readGroup,
  readMembership,
  seedOf,
  writeGroup,
  writeMembership
} from './group-file.ts'
import { askToJoin } from './join.ts'
import { type Network, openNetwork } from './network.ts'
import { type Plan, planStart } from './plan.ts'
import { watchForTwins } from './twins.ts'

/** An answer to a join comes after the target has found its leader and committed a change. */
const JOIN_MARGIN_MS = 5_000
/** Leaving is tried for so long when `leave_on_shutdown` is set. */
const LEAVE_TIMEOUT_MS = 10_000

/** How the daemon came to its end, and the exit code of it. */
type Outcome = { readonly exitCode: number; readonly removed: boolean }

interface Context {
  readonly config: ServiceConfig
  readonly options: RunDaemonOptions
  readonly network: Network
  /** IDs that the operator wrote addresses of. */
  readonly peerstorePeers: readonly string[]
  readonly logger: (component: string) => Logger
  /** Aborts when the daemon is told to stop. */
  readonly stop: AbortSignal
}

/**
 * Runs a daemon until it is told to stop, is removed, or cannot go on.
 *
 * @returns the exit code: 0 after an orderly end, also of a peer that was removed; 1 otherwise
 */
export async function runDaemon(options: RunDaemonOptions): Promise<number> {
  const { logger } = createLogging({ levels: options.loglevel, format: logFormat(process.env) })
  const log = logger('service')
  const stopping = new AbortController()
  const unhook = hookSignals(stopping)
  let lock: { release(): void } | undefined
  try {
    lock = lockFolder(options.folder)
    const config = await loadConfig(options.folder, process.env, { signal: stopping.signal })
    for (const warning of config.warnings) logger('config').warn(warning)
    const identity = await loadIdentity(options.folder, process.env)
    await refuseForeignRaft(config.consensus.raft.dataFolder)
    const version = packageVersion()
    log.info({ version, peer: identity.peerId.toString(), folder: options.folder }, 'starting the peer')

    const peerstore = new PeerstoreFile(config.cluster.peerstoreFile)
    const network = await openNetwork({
      config,
      privateKey: identity.privateKey,
      logger,
      savePeerstore: (addresses) => peerstore.write(addresses)
    })
    try {
      const known = await peerstore.read()
      for (const { line, text, reason } of known.problems) {
        log.warn({ line, text, reason }, `${peerstore.path} has a line that is no address, it is passed over`)
      }
      const addresses = [...config.cluster.peerAddresses, ...known.addresses]
      await network.addressBook.addOperatorAddresses(addresses)
      const peerstorePeers = addresses.map(peerIdOf).filter((id) => id !== undefined)
      const { exitCode } = await runPeer(
        { config, options, network, peerstorePeers, logger, stop: stopping.signal },
        version
      )
      return exitCode
    } finally {
      await network.stop()
    }
  } catch (error) {
    if (stopping.signal.aborted) return 0
    log.error(`the peer cannot run: ${reasonOf(error)}`)
    if (!(error instanceof StartError) && error instanceof Error) log.debug({ stack: error.stack }, 'where it happened')
    return 1
  } finally {
    lock?.release()
    unhook()
  }
}

/** From the decision how to start to the end of the peer. */
async function runPeer(context: Context, version: string): Promise<Outcome> {
  const { config, options, network, logger, stop } = context
  const log = logger('cluster')
  const raft = config.consensus.raft
  const plan = await makePlan(context)
  if (plan.type === 'refuse') throw new StartError(plan.reason)
  const { group, bootstrap, knownPeers, forming } = await carryOut(plan, context)

  const ended = new AbortController()
  let end: PeerEnd | undefined
  const finish = (how: PeerEnd): void => {
    end ??= how
    ended.abort()
  }
  const signal = AbortSignal.any([stop, ended.signal])
  const twins = watchForTwins(
    { libp2p: network.libp2p, rpc: network.rpc, sessions: network.sessions, logger: log },
    (address) =>
      finish({
        type: 'halted',
        reason: `another daemon runs with the identity of this peer, ${network.id}, at ${address}: stop one of them, or give one a new identity`
      })
  )
  let peer: Peer | undefined
  try {
    peer = await startPeer({
      config,
      network,
      group,
      bootstrap,
      knownPeers,
      readyTimeoutMs: forming ? raft.waitForLeaderTimeoutMs : undefined,
      version,
      logger,
      onEnd: finish
    })
    log.info({ api: peer.apiAddresses, swarm: network.libp2p.getMultiaddrs().map(String) }, 'listening')
    try {
      await peer.waitReady(signal)
      await writeMembership(config.folder, { clusterId: group.clusterId, state: 'member' })
      log.info(
        { peers: peer.consensus.peers().length, leader: peer.consensus.leader() ?? 'none' },
        '** Quorate is READY **'
      )
      await aborted(signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
    if (stop.aborted && end === undefined && (options.leave || config.cluster.leaveOnShutdown))
      await leave(peer, network.id, log, finish)
  } finally {
    twins.stop()
    await peer?.stop()
  }
  return await conclude(end, context, group)
}

/** Looks at what is there, and decides. */
async function makePlan({ config, options, network }: Context): Promise<Plan> {
  const raft = config.consensus.raft
  const group = await readGroup(raft.dataFolder)
  const stored = group === undefined ? undefined : await inspectGroup(raft.dataFolder, { seedContext: seedOf(group) })
  return planStart({
    self: network.id,
    group,
    logIsEmpty: stored === undefined || stored.lastIndex === 0,
    membership: await readMembership(config.folder),
    bootstrap: options.bootstrap,
    initPeerset: raft.initPeerset
  })
}

interface Start {
  readonly group: Group
  readonly bootstrap: ClusterConfig | undefined
  readonly knownPeers: readonly string[]
  /** Whether the start fails without a leader. */
  readonly forming: boolean
}

async function carryOut(plan: Exclude<Plan, { type: 'refuse' }>, context: Context): Promise<Start> {
  const { config, network, logger, stop } = context
  const log = logger('cluster')
  const raft = config.consensus.raft
  switch (plan.type) {
    case 'restart': {
      if (plan.note !== undefined) log.info(plan.note)
      // Data of a fixed peerset that never had a leader: the same first configuration again.
      const bootstrap = plan.forming && plan.voters !== undefined ? firstConfig(plan.voters) : undefined
      return { group: plan.group, bootstrap, knownPeers: [], forming: plan.forming }
    }
    case 'form': {
      const clusterId = plan.voters.length > 1 ? clusterIdOfPeerset(plan.voters) : randomClusterId()
      const group = newGroup(clusterId)
      const refusal = await askAround(network, context.peerstorePeers, plan.voters.length === 1, stop)
      if (refusal !== undefined) throw new StartError(refusal)
      await moveStrayData(config, log)
      await writeGroup(raft.dataFolder, group)
      log.info(
        { clusterId, voters: plan.voters },
        plan.voters.length > 1 ? 'forming a cluster of the fixed peerset' : 'forming a new cluster of one peer'
      )
      return { group, bootstrap: firstConfig(plan.voters), knownPeers: [], forming: plan.voters.length > 1 }
    }
    case 'join': {
      const answer = await askToJoin(
        { libp2p: network.libp2p, rpc: network.rpc, logger: log },
        {
          addresses: plan.addresses,
          peername: config.cluster.peername,
          session: network.sessions.session,
          clusterId: plan.current?.clusterId,
          dialTimeoutMs: config.cluster.dialPeerTimeoutMs,
          answerTimeoutMs: raft.waitForLeaderTimeoutMs + JOIN_MARGIN_MS,
          signal: stop
        }
      )
      for (const { id, addresses } of answer.peers) await network.addressBook.learn({ id, addresses })
      const knownPeers = answer.peers.map(({ id }) => id).filter((id) => id !== network.id)
      if (answer.alreadyMember && plan.current !== undefined) {
        log.info(
          { clusterId: answer.clusterId },
          'this peer is a member already: --bootstrap is not needed, and nothing was changed'
        )
        return { group: plan.current, bootstrap: undefined, knownPeers, forming: false }
      }
      await moveAside(config, log)
      const group = newGroup(answer.clusterId)
      await writeMembership(config.folder, { clusterId: answer.clusterId, state: 'member' })
      await writeGroup(raft.dataFolder, group)
      log.info(
        { clusterId: answer.clusterId, peers: knownPeers.length },
        'joining: this peer learns the state, then it votes'
      )
      return { group, bootstrap: undefined, knownPeers, forming: false }
    }
  }
}

const firstConfig = (voters: readonly string[]): ClusterConfig => ({ voters, outgoing: [], learners: [] })

/** Consensus data, state and tracker go together: they are of one cluster. */
async function moveAside(config: ServiceConfig, log: Logger): Promise<void> {
  const raft = config.consensus.raft
  const backup = await moveAsideRaft(raft.dataFolder, raft.backupsRotate)
  if (backup !== undefined) {
    await moveInto(backup, config)
    log.info({ backup }, 'the data that was here is kept aside')
  } else await moveStrayData(config, log)
}

/** State without consensus data belongs to nothing: a move aside was cut short, or somebody removed `raft/`. It is kept as a backup. */
async function moveStrayData(config: ServiceConfig, log: Logger): Promise<void> {
  const raft = config.consensus.raft
  const { state, tracker } = folderLayout(config.folder)
  if (!(await exists(state)) && !(await exists(tracker))) return
  await mkdir(raft.dataFolder, { recursive: true, mode: 0o700 })
  await moveInto(raft.dataFolder, config)
  const backup = await moveAsideRaft(raft.dataFolder, raft.backupsRotate)
  log.warn({ backup }, 'state without consensus data was here: it is kept aside')
}

async function moveInto(backup: string, config: ServiceConfig): Promise<void> {
  const { state, tracker } = folderLayout(config.folder)
  if (await exists(state)) await rename(state, join(backup, 'state'))
  if (await exists(tracker)) await rename(tracker, join(backup, 'tracker'))
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false
  )
}

async function leave(peer: Peer, id: string, log: Logger, finish: (end: PeerEnd) => void): Promise<void> {
  try {
    await peer.consensus.removePeer(id, { signal: AbortSignal.timeout(LEAVE_TIMEOUT_MS) })
    log.info('left the cluster')
    finish({ type: 'removed' })
  } catch (error) {
    log.error(
      { error: reasonOf(error) },
      'could not leave the cluster; this peer is still a member, and its data stays'
    )
  }
}

/** What is left to do once everything is closed. */
async function conclude(end: PeerEnd | undefined, { config, logger }: Context, group: Group): Promise<Outcome> {
  const log = logger('cluster')
  if (end?.type === 'removed') {
    await writeMembership(config.folder, { clusterId: group.clusterId, state: 'removed' })
    await moveAside(config, log)
    log.info('this peer is no longer a member of the cluster and stops')
    return { exitCode: 0, removed: true }
  }
  if (end?.type === 'halted') throw new StartError(end.reason)
  log.info('the peer has stopped')
  return { exitCode: 0, removed: false }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** @returns takes the handlers off again */
function hookSignals(stopping: AbortController): () => void {
  let count = 0
  const onSignal = (): void => {
    count++
    if (count === 1) stopping.abort(new DOMException('the daemon was told to stop', 'AbortError'))
    else if (count === 2) process.stderr.write('still stopping: once more ends the process at once\n')
    else {
      process.stderr.write('exiting cluster NOW\n')
      process.exit(1)
    }
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of signals) process.on(name, onSignal)
  return () => {
    for (const name of signals) process.off(name, onSignal)
  }
}
