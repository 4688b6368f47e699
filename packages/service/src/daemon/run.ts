/**
 * The life of a daemon: lock, configuration, network, the start (`plan.ts` decides, `starting.ts` carries out), the peer (`compose.ts`),
 * READY, and the orderly end. The `daemon` command calls it and exits with what it answers.
 *
 * A peer that learns on the way that its data is not what it promised begins again from the decision, with that in mind.
 *
 * Signals count together: the first stops in order, the second warns, the third ends the process at once.
 */

import type { PrivateKey } from '@libp2p/interface'
import { countBoot } from '@quorate/raft'
import type { RunDaemonOptions } from '../cli/daemon-options.ts'
import { reasonOf } from '../cluster-host/address-book.ts'
import { lockFolder } from '../config/folder-lock.ts'
import { loadIdentity } from '../config/identity.ts'
import { loadConfig } from '../config/load.ts'
import { peerIdOf } from '../config/peer-address.ts'
import { PeerstoreFile } from '../config/peerstore-file.ts'
import { refuseForeignRaft } from '../config/raft-folder.ts'
import { IdentityInUseError, StartError } from '../errors.ts'
import { createLogging, logFormat } from '../logging/logger.ts'
import type { Logger } from '../ports.ts'
import { isCutShort } from '../recovery/recover.ts'
import { packageVersion } from '../version.ts'
import { type Peer, type PeerEnd, startPeer } from './compose.ts'
import { type Group, writeGroup, writeMembership } from './group-file.ts'
import { openNetwork } from './network.ts'
import { moveAside } from './set-aside.ts'
import { type Context, carryOut, EMPTY_DISK, makePlan } from './starting.ts'
import { watchForTwins } from './twins.ts'

/** Leaving is tried for so long when `leave_on_shutdown` is set. */
const LEAVE_TIMEOUT_MS = 10_000

/** How the daemon came to its end: the exit code, or why it begins again without the data that it has. */
type Outcome = { readonly exitCode: number } | { readonly lost: string }

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
  if (start === 'removed') {
    return await conclude({ type: 'removed' }, context, plan.type === 'rejoin' ? plan.clusterId : undefined)
  }
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
        reason: new IdentityInUseError(network.id, address).message
      })
  )
  let peer: Peer | undefined
  let unhookRecord = (): void => undefined
  try {
    peer = await startPeer({
      config,
      network,
      group,
      life,
      bootstrap,
      knownPeers,
      peerstorePeers: context.peerstorePeers.filter((id) => id !== network.id),
      readyTimeoutMs: forming ? raft.waitForLeaderTimeoutMs : undefined,
      version,
      stats: options.stats,
      signal,
      logger,
      onEnd: finish
    })
    unhookRecord = hookFlightRecord(peer, log)
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
    // A start that was cut short says no more than that; why is known here.
    if (end === undefined) throw error
  } finally {
    unhookRecord()
    twins.stop()
    await peer?.stop()
  }
  return await conclude(end, context, group.clusterId, group)
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

/**
 * What is left to do once everything is closed.
 *
 * @param clusterId - as far as this peer took itself for a member of one
 * @param group - that ran, if one did
 */
async function conclude(
  end: PeerEnd | undefined,
  { config, logger }: Context,
  clusterId: string | undefined,
  group?: Group
): Promise<Outcome> {
  const log = logger('cluster')
  switch (end?.type) {
    case 'removed':
      if (clusterId !== undefined) await writeMembership(config.folder, { clusterId, state: 'removed' })
      await moveAside(config, log)
      log.info('this peer is no longer a member of the cluster and stops')
      return { exitCode: 0 }
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

/** On SIGUSR2 the consensus writes down what it was told in the last while. @returns takes the handler off again */
function hookFlightRecord({ raft }: Peer, log: Logger): () => void {
  const onSignal = (): void => {
    raft.dumpFlightRecord('SIGUSR2').then(
      (place) => log.info({ place }, 'a flight record of the consensus is written'),
      (error: unknown) => log.error({ error: reasonOf(error) }, 'a flight record could not be written')
    )
  }
  process.on('SIGUSR2', onSignal)
  return () => void process.off('SIGUSR2', onSignal)
}

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
