/**
 * A leader's side of replication: taking office, taking proposals, hearing answers, committing (paper §5.3, §5.4.2, §8), and
 * the reasons for which it gives up by the clock. Sending is in `replication.ts`.
 */

import { encodeLease } from './announcements.ts'
import { noteHandOver, wantedHeir } from './fitness.ts'
import { otherLeasesEndMs, tickLease } from './lease.ts'
import { settleLevel } from './levels.ts'
import { leaveIfRemoved, settleMembership, tickFarewells, trackPeers } from './membership.ts'
import type { AppendEntriesResponse } from './messages.ts'
import type { Progress } from './progress.ts'
import { quorumReached } from './quorum.ts'
import { adoptFollowerReads, hasCommittedInTerm, releaseReads } from './reads.ts'
import { appendOwn, flushPeers, sendDueHeartbeats } from './replication.ts'
import { becomeFollower } from './roles.ts'
import { tickSnapshots } from './snapshots.ts'
import { excuseLeader } from './stalls.ts'
import type { CoreState, Leading } from './state.ts'
import { continueTransfer, handOver, stepDownInFavour } from './transfer.ts'
import { EntryKind, type Index } from './types.ts'

/** Refusals in a row of what a peer had acknowledged that cannot all be late ones: more than are under way to it. */
const MAX_BROKEN_PROMISES = 100

/**
 * The candidate has won. It appends an empty entry of its own term at once, with which all that came before can be committed
 * (paper §8), and begins to look for where each peer's log agrees.
 */
export function becomeLeader(s: CoreState): void {
  const log = s.log
  s.role = 'leader'
  s.leader = s.id
  s.hurriedTries = 0
  s.votes.clear()
  const leading: Leading = {
    peers: new Map(),
    noopIndex: log.lastIndex + 1,
    quorumFloorMs: s.nowMs,
    stallsExcused: 0,
    outpaced: undefined,
    reads: [],
    readPosition: 0,
    roundPosition: 0,
    settledFromMs: s.nowMs,
    handOvers: 0,
    commitNotBeforeMs: otherLeasesEndMs(s),
    leaseMarks: [],
    leaseGivenUp: false
  }
  s.leading = leading
  trackPeers(s, leading, leading.noopIndex)
  appendOwn(s, EntryKind.noop, encodeLease(s.options.leaseMs))
  adoptFollowerReads(s, leading)
}

/** Takes commands, all or none. */
export function propose(s: CoreState, ticket: number, payloads: readonly Uint8Array[]): void {
  const { leading, log, options } = s
  if (leading === undefined) {
    s.refuseNotLeader(ticket)
    return
  }
  if (s.transfer !== undefined) {
    s.refuse(ticket, 'transferring', `leadership is being handed to ${s.transfer.to}`)
    return
  }
  let bytes = 0
  for (const payload of payloads) {
    if (payload.length > options.maxEntryBytes) {
      s.refuse(ticket, 'too-large', `a payload has ${payload.length} bytes, and ${options.maxEntryBytes} are allowed`)
      return
    }
    bytes += payload.length
  }
  // What is committed counts until it is applied: no compaction frees it before, so that a slow state machine would fill the memory.
  // With nothing waiting anything is taken, so that no proposal is refused for ever for its size.
  const unapplied = log.lastIndex - log.appliedIndex
  const tooMany = unapplied + payloads.length > options.maxUncommittedEntries
  const bounded = unapplied > 0 && !s.mutations.has('intake-unlimited')
  if (bounded && (tooMany || log.unappliedBytes + bytes > options.maxUncommittedBytes)) {
    const uncommitted = log.lastIndex - log.commitIndex
    s.refuse(
      ticket,
      'busy',
      `${unapplied} entries with ${log.unappliedBytes} bytes are not applied yet, ${uncommitted} of them not committed`
    )
    return
  }
  const first = log.lastIndex + 1
  for (const payload of payloads) appendOwn(s, EntryKind.command, payload)
  s.out.push({ type: 'proposed', ticket, first, last: log.lastIndex, term: s.term })
}

/** A peer answered AppendEntries. That it answered at all is noted by the caller. */
export function onAppendEntriesResponse(s: CoreState, peer: Progress, message: AppendEntriesResponse): void {
  peer.health = message.health
  peer.priority = message.priority
  if (message.index > s.log.lastIndex) {
    s.alarm('bad-answer', `${peer.id} answered for ${message.index}, past the last entry ${s.log.lastIndex}`, peer.id)
    return
  }
  if (!message.success) {
    const agreeIndex = s.log.lastIndexWithin(message.hintIndex, message.hintTerm)
    peer.refused(message.index, agreeIndex)
    if (peer.brokenPromises === MAX_BROKEN_PROMISES) forgetfulPeer(s, peer)
    if (s.mutations.has('next-below-match')) peer.nextIndex = Math.min(message.index, agreeIndex + 1)
    return
  }
  if (s.mutations.has('window-never-freed')) peer.matchIndex = Math.max(peer.matchIndex, message.index)
  else peer.agreed(message.index)
  if (peer.state === 'probe' || (peer.state === 'snapshot' && peer.matchIndex >= s.log.base.index))
    peer.becomeReplicate()
}

/** A peer goes on refusing what it had acknowledged: its disk was wiped or put back. It cannot be brought up under its old name. */
function forgetfulPeer(s: CoreState, peer: Progress): void {
  // Not in `replicate`, so that nobody takes it for one that has caught up.
  peer.becomeProbe(peer.matchIndex + 1)
  s.alarm(
    'peer-lost-log',
    `${peer.id} does not hold entry ${peer.matchIndex}, which it had acknowledged: its data was lost or put back to an older copy; remove it, and add it again as a new member`,
    peer.id
  )
}

/**
 * Commits what a quorum holds durably, itself included only as far as its own disk (T9), provided that the newest of it is of this
 * leader's own term: an older entry on a majority can still be overwritten (paper §5.4.2 and figure 8; T8). Membership and
 * reads follow from a commit.
 */
function advanceCommit(s: CoreState, leading: Leading): void {
  const { log } = s
  // A leader before this one may still serve reads by its lease: nothing may come to pass that it does not know of (T49).
  if (s.nowMs < leading.commitNotBeforeMs) return
  // Nobody holds more than this log, so that there is nothing to count: by far the most frequent case of an idle leader.
  if (log.lastIndex > log.commitIndex) commitByCounting(s, leading)
}

function commitByCounting(s: CoreState, leading: Leading): void {
  const { log } = s
  const own = s.mutations.has('own-match-at-append') ? log.lastIndex : log.durableIndex
  const { config } = log.config
  const deciding = s.mutations.has('commit-ignores-outgoing') ? { ...config, outgoing: [] } : config
  const reached: Index = quorumReached(deciding, (id) => (id === s.id ? own : (leading.peers.get(id)?.matchIndex ?? 0)))
  if (reached <= log.commitIndex) return
  if (log.termAt(reached) !== s.term && !s.mutations.has('commit-old-term-by-counting')) return
  log.commitIndex = reached
}

/** Remembers since when the group holds what the disk here does not. */
function noteOwnDisk({ log, nowMs }: CoreState, leading: Leading): void {
  if (leading.outpaced !== undefined && log.durableIndex < leading.outpaced.index) return
  leading.outpaced = log.commitIndex > log.durableIndex ? { index: log.commitIndex, sinceMs: nowMs } : undefined
}

/**
 * Why the disk of this leader is reason enough to go: it hangs, and those of the others do not. On a machine that they all share they may all hang
 * at once; then nobody could lead better, and neither could anybody lead in place of an only voter (T23).
 */
function diskComplaint(s: CoreState, { outpaced }: Leading): string | undefined {
  const { electionTimeoutMs } = s.options
  if (s.mutations.has('stalled-disk-leads')) return undefined
  if (s.mutations.has('slow-disk-uncompared') && s.diskStalled)
    return `a write takes longer than ${electionTimeoutMs} ms`
  if (outpaced === undefined || s.nowMs - outpaced.sinceMs <= electionTimeoutMs) return undefined
  return `the others have held entry ${outpaced.index} for longer than ${electionTimeoutMs} ms, and the disk here does not`
}

/** Ends a step of a leader: commit, what follows from it, and what is to be sent. */
export function finishLeading(s: CoreState, leading: Leading): void {
  advanceCommit(s, leading)
  noteOwnDisk(s, leading)
  settleMembership(s, leading)
  settleLevel(s, leading)
  if (hasCommittedInTerm(s, leading)) releaseReads(s, leading)
  continueTransfer(s, leading)
  flushPeers(s, leading)
  leaveIfRemoved(s, leading)
}

/**
 * The clock of a leader.
 *
 * @param stalledMs - for how long this node itself did nothing, so that the silence of its peers says little (T26); 0 if it did not stand still
 */
export function tickLeader(s: CoreState, leading: Leading, stalledMs: number): void {
  excuseLeader(s, leading, stalledMs)
  const complaint = diskComplaint(s, leading)
  if (complaint !== undefined) {
    // It could still heartbeat and so keep others from taking over, while it can apply and answer nothing (T23).
    s.alarm('disk-stalled', `${complaint}; leadership is given up`)
    stepDownInFavour(s, leading)
    return
  }
  if (!hearsQuorum(s, leading) && !s.mutations.has('no-check-quorum')) {
    becomeFollower(s, s.term, undefined)
    return
  }
  const heir = wantedHeir(s, leading)
  if (heir !== undefined) {
    noteHandOver(s, leading)
    handOver(s, heir.id, undefined, false)
  }
  tickLease(s, leading, stalledMs > 0)
  tickSnapshots(s, leading)
  tickFarewells(s, leading)
  sendDueHeartbeats(s, leading)
}

/** Whether a quorum answered within an election timeout; a leader without one makes way (check-quorum, T21). */
function hearsQuorum(s: CoreState, leading: Leading): boolean {
  const heardMs = quorumReached(s.log.config.config, (id) => {
    if (id === s.id) return s.nowMs
    const peer = leading.peers.get(id)
    return peer === undefined ? leading.quorumFloorMs : Math.max(peer.contactAtMs, peer.knownSinceMs)
  })
  if (heardMs > leading.quorumFloorMs) leading.stallsExcused = 0
  return s.nowMs - Math.max(heardMs, leading.quorumFloorMs) <= s.options.electionTimeoutMs
}
