/**
 * The life of a daemon: lock, configuration, network, the decision how to start (`plan.ts`), the join or the return if there is one, the
 * peer (`compose.ts`), READY, and the orderly end. The `daemon` command calls it and exits with what it answers.
 *
 * A peer that learns on the way that its data is not what it promised begins again from the decision, with that in mind.
 *
 * Signals count together: the first stops in order, the second warns, the third ends the process at once.
 */

import { access, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { PrivateKey } from '@libp2p/interface'
import { type ClusterConfig, countBoot, type DiskPosition, inspectGroup, type NodeId, peerOf } from '@quorate/raft'
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
import { isCutShort } from '../recovery/recover.ts'
import { packageVersion } from '../version.ts'
import { askAround } from './ask-around.ts'
import { type Peer, type PeerEnd, startPeer } from './compose.ts'
import {
  clusterIdOfPeerset,
  foundingGroup,
  type Group,
  nameIn,
  newGroup,
  newIncarnation,
  randomClusterId,
  readGroup,
  readMembership,
  seedOf,
  writeGroup,
  writeMembership
} from './group-file.ts'
import { askToJoin, type JoinAnswer } from './join.ts'
import { type Network, openNetwork } from './network.ts'
import { type Plan, planStart } from './plan.ts'
import { rejoin } from './rejoin.ts'
import { watchForTwins } from './twins.ts'

/** An answer to a join comes after the target has found its leader and committed a change. */
const JOIN_MARGIN_MS = 5_000
/** Leaving is tried for so long when `leave_on_shutdown` is set. */
const LEAVE_TIMEOUT_MS = 10_000

const EMPTY_DISK: DiskPosition = { term: 0, lastIndex: 0 }

/** How the daemon came to its end: the exit code, or why it begins again without the data that it has. */
type Outcome = { readonly exitCode: number } | { readonly lost: string }

interface Context {
  readonly config: ServiceConfig
  readonly options: RunDaemonOptions
  readonly network: Network
  /** IDs that the operator wrote addresses of. */
  readonly peerstorePeers: readonly string[]
  readonly logger: (component: string) => Logger
  /** Why the data that is there may not be used, as far as this run of the daemon has learned. */
  readonly lost: string | undefined
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
    if (await isCutShort(options.folder)) {
      throw new StartError(
        'a recovery of the cluster was cut short here: run `quorate-service recover` again, which finishes it'
      )
    }
    const version = packageVersion()
    log.info({ version, peer: identity.peerId.toString(), folder: options.folder }, 'starting the peer')

    let lost: string | undefined
    for (;;) {
      const context = { config, options, logger, lost, stop: stopping.signal }
      const outcome = await runOnNetwork(context, identity.privateKey, version)
      if ('exitCode' in outcome) return outcome.exitCode
      lost = outcome.lost
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

/** From the opening of the network to its end. */
async function runOnNetwork(
  base: Omit<Context, 'network' | 'peerstorePeers'>,
  privateKey: PrivateKey,
  version: string
): Promise<Outcome> {
  const { config, logger } = base
  const log = logger('service')
  const peerstore = new PeerstoreFile(config.cluster.peerstoreFile)
  const network = await openNetwork({
    config,
    privateKey,
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
    return await runPeer({ ...base, network, peerstorePeers }, version)
  } finally {
    await network.stop()
  }
}

/** From the decision how to start to the end of the peer. */
async function runPeer(context: Context, version: string): Promise<Outcome> {
  const { config, options, network, logger, stop } = context
  const log = logger('cluster')
  const raft = config.consensus.raft
  const { plan, position } = await makePlan(context)
  if (plan.type === 'refuse') throw new StartError(plan.reason)
  const start = await carryOut(plan, context)
  if (start === 'removed') return await conclude({ type: 'removed' }, context, undefined)
  const { group, bootstrap, knownPeers, forming } = start
  const life = await countBoot(raft.dataFolder, start.fresh ? EMPTY_DISK : position)
  if (typeof life === 'string') return { lost: life }

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
      life,
      bootstrap,
      knownPeers,
      readyTimeoutMs: forming ? raft.waitForLeaderTimeoutMs : undefined,
      version,
      signal,
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
      remindOfAwaited(group, peer, log)
      await aborted(signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
    if (stop.aborted && end === undefined && (options.leave || config.cluster.leaveOnShutdown))
      await leave(peer, network.id, log, finish)
  } catch (error) {
    // By name, as everywhere: what the node says of its own disk. The folder is as it was.
    if (error instanceof Error && error.name === 'QuarantineNeededError') return { lost: error.message }
    throw error
  } finally {
    twins.stop()
    await peer?.stop()
  }
  return await conclude(end, context, group)
}

/** Looks at what is there, and decides. */
async function makePlan({ config, options, network, lost }: Context): Promise<{ plan: Plan; position: DiskPosition }> {
  const raft = config.consensus.raft
  const group = await readGroup(raft.dataFolder)
  if (group !== undefined && peerOf(nameIn(group, network.id)) !== network.id) {
    throw new StartError(
      `the consensus data in ${raft.dataFolder} is that of peer ${peerOf(nameIn(group, network.id))}, and this peer is ${network.id}: move it away, or put its identity.json back`
    )
  }
  const stored = group === undefined ? undefined : await inspect(raft.dataFolder, group)
  const unreadable = typeof stored === 'string' ? stored : undefined
  const position = stored === undefined || typeof stored === 'string' ? EMPTY_DISK : stored
  const plan = planStart({
    self: network.id,
    group,
    lost: lost ?? unreadable,
    logIsEmpty: position.lastIndex === 0,
    membership: await readMembership(config.folder),
    bootstrap: options.bootstrap,
    initPeerset: raft.initPeerset
  })
  return { plan, position }
}

/** @returns how far the disk reaches; or, in words, why nobody can tell any more how this peer voted (T53) */
async function inspect(dataFolder: string, group: Group): Promise<DiskPosition | string> {
  try {
    const stored = await inspectGroup(dataFolder, { seedContext: seedOf(group) })
    return stored === undefined
      ? EMPTY_DISK
      : { term: stored.hardState.term, lastIndex: stored.damaged ? undefined : stored.lastIndex }
  } catch (error) {
    if (error instanceof Error && error.name === 'HardStateLostError') return error.message
    throw error
  }
}

interface Start {
  readonly group: Group
  /** Whether the data begins with this start. */
  readonly fresh: boolean
  readonly bootstrap: ClusterConfig | undefined
  readonly knownPeers: readonly string[]
  /** Whether the start fails without a leader. */
  readonly forming: boolean
}

async function carryOut(plan: Exclude<Plan, { type: 'refuse' }>, context: Context): Promise<Start | 'removed'> {
  const { config, network, logger, stop } = context
  const log = logger('cluster')
  const raft = config.consensus.raft
  switch (plan.type) {
    case 'restart': {
      if (plan.note !== undefined) log.info(plan.note)
      // Data of a cluster that never had a leader: the same first configuration again.
      const { group, forming, voters } = plan
      const names = group.name === undefined ? voters : [group.name]
      const bootstrap = forming && voters !== undefined && names !== undefined ? firstConfig(names) : undefined
      return { group, fresh: false, bootstrap, knownPeers: [], forming }
    }
    case 'form': {
      const alone = plan.voters.length === 1
      const objection = await askAround(network, [...context.peerstorePeers, ...raft.initPeerset], alone, stop)
      if (objection?.type === 'refuse') throw new StartError(objection.reason)
      if (objection !== undefined) return await comeBack({ ...objection, type: 'rejoin' }, context)
      const clusterId = alone ? randomClusterId() : clusterIdOfPeerset(plan.voters)
      const group = alone ? newGroup(clusterId, network.id) : foundingGroup(clusterId)
      await moveStrayData(config, log)
      await writeGroup(raft.dataFolder, group)
      log.info(
        { clusterId, voters: plan.voters },
        alone ? 'forming a new cluster of one peer' : 'forming a cluster of the fixed peerset'
      )
      const bootstrap = firstConfig(alone ? [nameIn(group, network.id)] : plan.voters)
      return { group, fresh: true, bootstrap, knownPeers: [], forming: !alone }
    }
    case 'join': {
      const incarnation = newIncarnation()
      const { current } = plan
      const answer = await askToJoin(
        { libp2p: network.libp2p, rpc: network.rpc, logger: log },
        {
          addresses: plan.addresses,
          peername: config.cluster.peername,
          session: network.sessions.session,
          incarnation,
          current: current && { clusterId: current.clusterId, name: nameIn(current, network.id) },
          dialTimeoutMs: config.cluster.dialPeerTimeoutMs,
          answerTimeoutMs: raft.waitForLeaderTimeoutMs + JOIN_MARGIN_MS,
          signal: stop
        }
      )
      if (answer.alreadyMember && current !== undefined) {
        const knownPeers = await meet(answer, network)
        log.info(
          { clusterId: answer.clusterId },
          'this peer is a member already: --bootstrap is not needed, and nothing was changed'
        )
        return { group: current, fresh: false, bootstrap: undefined, knownPeers, forming: false }
      }
      return await begin(answer, incarnation, context)
    }
    case 'rejoin':
      return await comeBack(plan, context)
  }
}

/** Lets a member that may have forgotten what it promised in again, as a stranger (T34, T35). */
async function comeBack(plan: Extract<Plan, { type: 'rejoin' }>, context: Context): Promise<Start | 'removed'> {
  const { config, network, logger, stop } = context
  const log = logger('cluster')
  const { clusterId, why } = plan
  log.warn(
    { clusterId, why },
    'this peer does not vote as the one that it was: it comes back to its cluster as a learner'
  )
  const incarnation = newIncarnation()
  const outcome = await rejoin(network, {
    clusterId,
    request: {
      peername: config.cluster.peername,
      session: network.sessions.session,
      addresses: network.libp2p.getMultiaddrs().map(String),
      incarnation,
      returns: true
    },
    answerTimeoutMs: config.consensus.raft.waitForLeaderTimeoutMs + JOIN_MARGIN_MS,
    logger: log,
    signal: stop
  })
  return outcome.type === 'removed' ? 'removed' : await begin(outcome.answer, incarnation, context)
}

/** Begins a new life of the data folder, as the learner that the members let in. What was there is kept aside. */
async function begin(answer: JoinAnswer, incarnation: string, { config, network, logger }: Context): Promise<Start> {
  const log = logger('cluster')
  const { clusterId } = answer
  const knownPeers = await meet(answer, network)
  await moveAside(config, log)
  const group = newGroup(clusterId, network.id, incarnation)
  await writeMembership(config.folder, { clusterId, state: 'member' })
  await writeGroup(config.consensus.raft.dataFolder, group)
  log.info({ clusterId, peers: knownPeers.length }, 'joining: this peer learns the state, then it votes')
  return { group, fresh: true, bootstrap: undefined, knownPeers, forming: false }
}

/** Learns the addresses of the members. @returns the others' IDs */
async function meet(answer: JoinAnswer, network: Network): Promise<readonly string[]> {
  for (const { id, addresses } of answer.peers) await network.addressBook.learn({ id, addresses })
  return answer.peers.map(({ id }) => id).filter((id) => id !== network.id)
}

const firstConfig = (voters: readonly NodeId[]): ClusterConfig => ({ voters, outgoing: [], learners: [] })

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

/** Of a cluster that was recovered from this peer, until the others that were named are back. */
function remindOfAwaited({ awaited = [] }: Group, { consensus }: Peer, log: Logger): void {
  const missing = awaited.filter((id) => !consensus.peers().includes(id))
  if (missing.length === 0) return
  log.warn(
    { missing },
    'this cluster was recovered, and these peers have not come back: start each with --bootstrap <address of a member>'
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

/** What is left to do once everything is closed. @param group - that ran, if one did */
async function conclude(
  end: PeerEnd | undefined,
  { config, logger }: Context,
  group: Group | undefined
): Promise<Outcome> {
  const log = logger('cluster')
  switch (end?.type) {
    case 'removed': {
      const clusterId = group?.clusterId ?? (await readMembership(config.folder))?.clusterId
      if (clusterId !== undefined) await writeMembership(config.folder, { clusterId, state: 'removed' })
      await moveAside(config, log)
      log.info('this peer is no longer a member of the cluster and stops')
      return { exitCode: 0 }
    }
    case 'quarantined':
      // For the case that the process ends before the members let it in again: the data stays until then.
      if (group !== undefined)
        await writeGroup(config.consensus.raft.dataFolder, { ...group, quarantined: end.reason.slice(0, 1000) })
      return { lost: end.reason }
    case 'halted':
      throw new StartError(end.reason)
    case undefined:
      log.info('the peer has stopped')
      return { exitCode: 0 }
  }
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
