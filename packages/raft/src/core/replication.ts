/**
 * From a leader's log to its peers: appending in its own term, and what is sent to whom and when (paper §5.3).
 *
 * Sending happens once a step, at its end (`flushPeers`), so that all that a step appended shares messages; heartbeats go out by
 * the clock. Entries go to the peers while they go to this node's own disk (dissertation §10.2.1): the leader's own copy counts
 * only once it is durable (T9, in `leading.ts`).
 */

import { invariant } from './invariants.ts'
import type { Progress } from './progress.ts'
import { wantsReadRound } from './reads.ts'
import { makeEntry } from './record.ts'
import { startSnapshot } from './snapshots.ts'
import type { CoreState, Leading } from './state.ts'
import type { Entry, EntryKind } from './types.ts'

/** Appends one entry of this leader's term; `flushPeers` and `flushPersist` carry it on. */
export function appendOwn(s: CoreState, kind: EntryKind, payload: Uint8Array): Entry {
  const log = s.log
  const entry = makeEntry(log.lastIndex + 1, s.term, kind, payload, log.lastChain, s.checksum)
  log.append(entry)
  return entry
}

/** Sends what each peer can take, and a round of heartbeats if reads wait for one. Ends every step of a leader. */
export function flushPeers(s: CoreState, leading: Leading): void {
  if (wantsReadRound(s, leading)) broadcastHeartbeat(s, leading)
  for (const peer of leading.peers.values()) sendEntries(s, leading, peer)
}

/** Sends as many messages with entries as the peer's state and limits allow. */
function sendEntries(s: CoreState, leading: Leading, peer: Progress): void {
  const log = s.log
  if (peer.state === 'snapshot') return
  if (peer.nextIndex <= log.base.index) {
    startSnapshot(s, peer)
    return
  }
  while (!peer.paused && peer.nextIndex <= log.lastIndex) {
    const entries = log.batch(peer.nextIndex, s.options.maxAppendBytes)
    let bytes = 0
    for (const entry of entries) bytes += entry.record.length
    sendAppend(s, leading, peer, entries)
    peer.sent(entries[entries.length - 1]!.index, bytes)
  }
  // An idle peer is told at once what is committed; a busy one learns it from the next entries, or when its answers are in.
  if (peer.state === 'replicate' && peer.inflight.count === 0 && peer.sentCommitIndex < log.commitIndex) {
    sendAppend(s, leading, peer, [])
  }
}

function sendAppend(s: CoreState, leading: Leading, peer: Progress, entries: readonly Entry[]): void {
  const log = s.log
  // Below the base nothing can be checked; a heartbeat that asks for the base is refused by a peer that lags, and says so.
  const prevIndex = Math.max(peer.nextIndex - 1, log.base.index)
  const prevTerm = log.termAt(prevIndex)
  const prevChain = log.chainAt(prevIndex)
  invariant(
    prevTerm !== undefined && prevChain !== undefined,
    () => `${peer.id} is at ${prevIndex}, past the last entry ${log.lastIndex}`
  )
  s.send(peer.id, {
    type: 'append-entries-request',
    term: s.term,
    prevIndex,
    prevTerm,
    prevChain,
    entries,
    commitIndex: log.commitIndex,
    readPosition: leading.readPosition
  })
  peer.sentCommitIndex = Math.max(peer.sentCommitIndex, log.commitIndex)
  peer.sentAtMs = s.nowMs
}

/** Tells one peer that this leader is alive; also asks it where it stands, since `prev` is checked (T11). */
function sendHeartbeat(s: CoreState, leading: Leading, peer: Progress): void {
  if (peer.state === 'snapshot' && peer.snapshot !== undefined) {
    const base = peer.snapshot
    s.send(peer.id, { type: 'install-snapshot-request', term: s.term, base, readPosition: leading.readPosition })
    peer.sentAtMs = s.nowMs
  } else {
    sendAppend(s, leading, peer, [])
  }
}

/** A heartbeat to every peer, whatever was sent before: the round that reads wait for. */
function broadcastHeartbeat(s: CoreState, leading: Leading): void {
  leading.roundPosition = leading.readPosition
  for (const peer of leading.peers.values()) sendHeartbeat(s, leading, peer)
}

/** A heartbeat to each peer that was sent nothing for a heartbeat interval. */
export function sendDueHeartbeats(s: CoreState, leading: Leading): void {
  for (const peer of leading.peers.values()) {
    if (s.nowMs - peer.sentAtMs >= s.options.heartbeatMs) sendHeartbeat(s, leading, peer)
  }
}
