/**
 * Snapshots and compaction: when a peer needs a snapshot, when this node takes one, and how far the log may shrink.
 *
 * The core moves no snapshot bytes. A leader asks its driver for a snapshot (`need-snapshot`), names it to the peer
 * (InstallSnapshotRequest, repeated as its heartbeat), and the peer's driver fetches it over the bulk protocol
 * (`install-snapshot`). Paper §7, with the transfer turned from push to pull.
 */

import { baseFault } from './announcements.ts'
import { invariant } from './invariants.ts'
import { configFault } from './members.ts'
import type { InstallSnapshotRequest, InstallSnapshotResponse } from './messages.ts'
import { PEER_FORGOTTEN_TIMEOUTS, SNAPSHOT_LOG_FACTOR } from './options.ts'
import type { Progress } from './progress.ts'
import { heardLeader } from './roles.ts'
import type { CoreState, Leading } from './state.ts'
import type { Index, LogBase, NodeId } from './types.ts'

/** Between failed transfers to one peer the wait doubles this often, from one heartbeat on: to about five seconds by default. */
const MAX_SNAPSHOT_DOUBLINGS = 6

/** The peer's next entry is compacted away. Asks for a snapshot, but only for a peer that answers, and not in a loop. */
export function startSnapshot(s: CoreState, peer: Progress): void {
  const answers = s.nowMs - peer.contactAtMs < s.options.electionTimeoutMs
  if (!answers || s.nowMs < peer.snapshotNotBeforeMs) return
  peer.becomeSnapshot(s.nowMs)
  s.out.push({ type: 'need-snapshot', to: peer.id })
}

/** The driver has a snapshot: names it to every peer that waits for one. */
export function onSnapshotReady(s: CoreState, base: LogBase): void {
  if (s.leading === undefined) return
  for (const peer of s.leading.peers.values()) {
    if (peer.state !== 'snapshot' || peer.snapshot !== undefined) continue
    if (base.index < s.log.base.index) {
      // The log went on without it; after installing it the peer would need the next one at once.
      retrySnapshotLater(s, peer)
      continue
    }
    peer.snapshot = base
    peer.snapshotAtMs = s.nowMs
    peer.sentAtMs = s.nowMs
    s.send(peer.id, { type: 'install-snapshot-request', term: s.term, base, readPosition: s.leading.readPosition })
  }
}

function retrySnapshotLater(s: CoreState, peer: Progress): void {
  peer.becomeProbe(peer.matchIndex + 1)
  // A peer without room for it fails again and again, each time after it has fetched all that fits.
  peer.snapshotNotBeforeMs =
    s.nowMs + s.options.heartbeatMs * 2 ** Math.min(peer.failedSnapshots++, MAX_SNAPSHOT_DOUBLINGS)
}

/** A peer says how the transfer goes. That it answered at all is noted by the caller. */
export function onInstallSnapshotResponse(s: CoreState, peer: Progress, message: InstallSnapshotResponse): void {
  if (message.outcome === 'installed') {
    // What a snapshot holds is committed, so it agrees with this leader's log; a log that ends below it cannot be a leader's.
    peer.agreed(Math.min(message.index, s.log.lastIndex))
    if (peer.state === 'snapshot' && peer.matchIndex >= s.log.base.index) peer.becomeReplicate()
    return
  }
  if (peer.state !== 'snapshot') return
  if (message.outcome === 'fetching') peer.snapshotAtMs = s.nowMs
  else if (message.index === peer.snapshot?.index) retrySnapshotLater(s, peer)
}

/** Gives up on transfers of which nothing was heard, so that they do not hold the log for ever. */
export function tickSnapshots(s: CoreState, leading: Leading): void {
  const oldest = s.nowMs - PEER_FORGOTTEN_TIMEOUTS * s.options.electionTimeoutMs
  for (const peer of leading.peers.values()) {
    if (peer.state === 'snapshot' && peer.snapshotAtMs < oldest) retrySnapshotLater(s, peer)
  }
}

/**
 * The leader names a snapshot. It is taken only if it is news: this node knows less to be committed, and its log does not
 * already hold the entry it stands at (T38). While one is fetched no other is begun.
 */
export function onInstallSnapshotRequest(s: CoreState, from: NodeId, message: InstallSnapshotRequest): void {
  heardLeader(s, from)
  const { base } = message
  const log = s.log
  if (s.installing !== undefined) {
    respond(s, from, s.installing.index, 'fetching', message.readPosition)
    return
  }
  const late = base.term > message.term ? `it leads in term ${message.term}` : undefined
  const fault = configFault(base.config) ?? late
  if (fault !== undefined) {
    const what = `a snapshot at ${base.index} of term ${base.term}`
    s.alarm('bad-snapshot', `${from} offers ${what} that cannot be one: ${fault}`, from)
    return
  }
  if (base.index > log.commitIndex && log.termAt(base.index) === base.term) {
    invariant(
      log.chainAt(base.index) === base.chain,
      () => `${from} has another history at ${base.index} of term ${base.term}`
    )
    log.commitIndex = base.index
  }
  if (base.index <= log.commitIndex && !s.mutations.has('stale-snapshot-taken')) {
    // Committed, but perhaps not all on this disk yet: the answer waits for it.
    respond(s, from, base.index, 'installed', message.readPosition)
    return
  }
  const unknown = baseFault(base, s.supportedLevel)
  invariant(unknown === undefined, () => `the snapshot that ${from} offers cannot be taken: ${unknown}`)
  s.installing = base
  s.out.push({ type: 'install-snapshot', from, base })
  respond(s, from, base.index, 'fetching', message.readPosition)
}

function respond(
  s: CoreState,
  to: NodeId,
  index: Index,
  outcome: InstallSnapshotResponse['outcome'],
  readPosition: number
): void {
  const throughIndex = outcome === 'installed' && !s.mutations.has('snapshot-acknowledged-early') ? index : 0
  s.send(to, { type: 'install-snapshot-response', term: s.term, index, outcome, readPosition }, throughIndex)
}

/** The driver stands at the snapshot: the log begins anew after it, with its configuration (T31, T42). */
export function onSnapshotInstalled(s: CoreState, base: LogBase): void {
  const asked = s.installing
  invariant(
    asked !== undefined && base.index >= asked.index,
    () => `a snapshot at ${base.index} was installed, but ${asked?.index ?? 'none'} was asked for`
  )
  s.installing = undefined
  s.resetLog(base)
  if (s.leader !== undefined) respond(s, s.leader, base.index, 'installed', 0)
}

/** The snapshot could not be had: the leader may offer another. */
export function onSnapshotFailed(s: CoreState, index: Index): void {
  if (s.installing?.index !== index) return
  s.installing = undefined
  if (s.leader !== undefined) respond(s, s.leader, index, 'failed', 0)
}

/**
 * The state machine is durable at `index`. The log shrinks to the lowest of
 * - `index` less `trailingEntries`, so that a peer that was away briefly finds its entries here;
 * - on a leader, what the slowest peer that still answers has;
 * - on a leader, where the snapshots stand that peers are fetching, so that they can go on from there and do not need the next
 *   one at once (T28).
 *
 * For the first two at most `maxLogBytes` are kept, for a snapshot `SNAPSHOT_LOG_FACTOR` times as much, so that no peer can fill
 * the memory.
 */
export function onCompactable(s: CoreState, index: Index): void {
  const log = s.log
  // While a snapshot is fetched the log is about to be replaced: nothing is gained, and the driver has one thing less to order.
  if (s.installing !== undefined) return
  const limit = Math.min(index, log.appliedIndex, log.durableIndex)
  let forPeers = limit - s.options.trailingEntries
  let forSnapshots = limit
  for (const peer of s.leading?.peers.values() ?? []) {
    const silentMs = s.nowMs - Math.max(peer.contactAtMs, peer.knownSinceMs)
    const forgotten = silentMs > PEER_FORGOTTEN_TIMEOUTS * s.options.electionTimeoutMs
    if (forgotten || peer.farewellUntilMs !== undefined) continue
    if (peer.state !== 'snapshot') forPeers = Math.min(forPeers, peer.matchIndex)
    // One that is yet to be made may stand as low as the base.
    else forSnapshots = Math.min(forSnapshots, peer.snapshot?.index ?? log.base.index)
  }
  const { maxLogBytes } = s.options
  const forPeersBounded = Math.max(forPeers, log.indexKeeping(maxLogBytes))
  const forSnapshotsBounded = Math.max(forSnapshots, log.indexKeeping(SNAPSHOT_LOG_FACTOR * maxLogBytes))
  const target = Math.min(limit, forPeersBounded, forSnapshotsBounded)
  // A node that joined does not know the configuration before the first one in its log, and a base has to carry one.
  const late = index < log.base.index && s.mutations.has('late-compaction-obeyed')
  if (!late && (target <= log.base.index || log.baseAt(target) === undefined)) return
  s.out.push({ type: 'compact', base: log.compact(target) })
}
