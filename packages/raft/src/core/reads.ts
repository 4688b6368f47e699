/**
 * Linearizable reads without writing to the log (dissertation §6.4, ReadIndex).
 *
 * The leader notes its commit index, makes sure by one round of answers that it still leads, and the read may then be served by
 * any state at or past that index. Reads are numbered by position; each message carries the highest position given out, each
 * answer echoes it, and an answer confirms exactly the reads at or below what it echoes. One round serves all reads that
 * wait; the next round starts when it is over. A follower gathers its reads into one question to the leader.
 *
 * `raft.ts` calls this for reads and messages; `leading.ts` when an answer or a commit comes in; `roles.ts` when a role ends.
 */

import type { ReadIndexRequest, ReadIndexResponse } from './messages.ts'
import { MAX_WAITING_READS, READ_TIMEOUTS } from './options.ts'
import { quorumReached } from './quorum.ts'
import type { CoreState, LeaderRead, Leading } from './state.ts'
import type { NodeId } from './types.ts'

/** A read of this node itself. */
export function read(s: CoreState, ticket: number): void {
  if (s.leading !== undefined) {
    if (s.leading.reads.length >= MAX_WAITING_READS) s.refuse(ticket, 'busy', tooMany())
    else addLeaderRead(s, s.leading, ticket, undefined, 0)
    return
  }
  const { waiting, asked } = s.followerReads
  if (waiting.length + (asked?.reads.length ?? 0) >= MAX_WAITING_READS) {
    s.refuse(ticket, 'busy', tooMany())
    return
  }
  waiting.push({ ticket, atMs: s.nowMs })
  askLeader(s)
}

function tooMany(): string {
  return `${MAX_WAITING_READS} reads wait already`
}

/** A follower asks for a read index. */
export function onReadIndexRequest(s: CoreState, from: NodeId, message: ReadIndexRequest): void {
  if (s.leading === undefined || s.leading.reads.length >= MAX_WAITING_READS) {
    s.send(from, { type: 'read-index-response', term: s.term, id: message.id, index: undefined })
    return
  }
  addLeaderRead(s, s.leading, undefined, from, message.id)
}

/**
 * Gives the read a position and notes the commit index it has to see. A leader that has not committed in its own term may not
 * know the newest commit yet, so such a read gets its index only once it has (T46).
 */
function addLeaderRead(
  s: CoreState,
  leading: Leading,
  ticket: number | undefined,
  from: NodeId | undefined,
  id: number
): void {
  const knowsAll = hasCommittedInTerm(s, leading) || s.mutations.has('read-before-own-commit')
  const index = knowsAll ? s.log.commitIndex : 0
  leading.reads.push({ ticket, from, id, position: ++leading.readPosition, index })
  releaseReads(s, leading)
}

/** Whether the leader knows all that was ever committed: an entry of its own term is (T46, T29). */
export function hasCommittedInTerm(s: CoreState, leading: Leading): boolean {
  return s.log.commitIndex >= leading.noopIndex
}

/** The highest read position such that a quorum has answered messages with it, or a higher one, in this term. Reads and leases rest on it (T47, T49). */
export function answeredPosition(s: CoreState, leading: Leading): number {
  return quorumReached(s.log.config.config, (id) =>
    id === s.id ? leading.readPosition : (leading.peers.get(id)?.readPosition ?? 0)
  )
}

/** The position up to which a quorum confirmed that this node still led after the read arrived (T47, T48). */
function confirmedPosition(s: CoreState, leading: Leading): number {
  return s.mutations.has('read-unconfirmed') ? leading.readPosition : answeredPosition(s, leading)
}

/** Answers the reads that are confirmed. */
export function releaseReads(s: CoreState, leading: Leading): void {
  if (leading.reads.length === 0 || !hasCommittedInTerm(s, leading)) return
  const confirmed = confirmedPosition(s, leading)
  let done = 0
  while (done < leading.reads.length && leading.reads[done]!.position <= confirmed) {
    const waiting = leading.reads[done++]!
    const index = waiting.index === 0 ? s.log.commitIndex : waiting.index
    answer(s, waiting, index)
  }
  if (done > 0) leading.reads = leading.reads.slice(done)
}

function answer(s: CoreState, waiting: LeaderRead, index: number): void {
  if (waiting.ticket !== undefined) s.out.push({ type: 'read-ready', ticket: waiting.ticket, index })
  if (waiting.from !== undefined) {
    s.send(waiting.from, { type: 'read-index-response', term: s.term, id: waiting.id, index })
  }
}

/** Whether reads wait for a round of heartbeats that has not been sent, and none is under way. */
export function wantsReadRound(s: CoreState, leading: Leading): boolean {
  if (leading.reads.length === 0 || leading.readPosition <= leading.roundPosition) return false
  return confirmedPosition(s, leading) >= leading.roundPosition
}

/** Leadership is over: whoever waits has to ask the next leader. */
export function dropLeaderReads(s: CoreState, leading: Leading): void {
  for (const waiting of leading.reads) {
    if (waiting.ticket !== undefined)
      s.refuse(waiting.ticket, 'leadership-lost', 'this node stopped leading before a quorum confirmed the read')
    if (waiting.from !== undefined) {
      s.send(waiting.from, { type: 'read-index-response', term: s.term, id: waiting.id, index: undefined })
    }
  }
  leading.reads = []
}

/** This node leads now: its own reads need no question any more. */
export function adoptFollowerReads(s: CoreState, leading: Leading): void {
  const { waiting, asked } = s.followerReads
  const reads = asked === undefined ? waiting : [...asked.reads, ...waiting]
  s.followerReads.waiting = []
  s.followerReads.asked = undefined
  for (const { ticket } of reads) addLeaderRead(s, leading, ticket, undefined, 0)
}

/** Asks the leader for all reads that wait, if no question is out. A read that came after a question waits for the next. */
export function askLeader(s: CoreState): void {
  const reads = s.followerReads
  if (reads.asked !== undefined || reads.waiting.length === 0 || s.leader === undefined) return
  reads.asked = { id: ++reads.lastId, reads: reads.waiting, sentAtMs: s.nowMs }
  reads.waiting = []
  s.send(s.leader, { type: 'read-index-request', term: s.term, id: reads.asked.id })
}

/** The leader answered. An index for this very question is good whenever it comes, since it was noted after the question was sent. */
export function onReadIndexResponse(s: CoreState, message: ReadIndexResponse): void {
  const { asked } = s.followerReads
  // Without an index the question stays out and is repeated by the tick, not at once: no loop at the speed of the network.
  if (asked === undefined || message.index === undefined) return
  if (message.id !== asked.id && !s.mutations.has('any-answer-ends-question')) return
  s.followerReads.asked = undefined
  for (const { ticket } of asked.reads) s.out.push({ type: 'read-ready', ticket, index: message.index })
  askLeader(s)
}

/** Repeats a question without an answer, and refuses reads that nobody confirmed for too long. */
export function tickFollowerReads(s: CoreState): void {
  const reads = s.followerReads
  const oldest = s.nowMs - READ_TIMEOUTS * s.options.electionTimeoutMs
  if (reads.asked?.reads.every((waiting) => waiting.atMs < oldest)) {
    for (const { ticket } of reads.asked.reads) refuseUnconfirmed(s, ticket)
    reads.asked = undefined
  }
  while (reads.waiting.length > 0 && reads.waiting[0]!.atMs < oldest)
    refuseUnconfirmed(s, reads.waiting.shift()!.ticket)
  if (reads.asked !== undefined && s.leader !== undefined && s.nowMs - reads.asked.sentAtMs >= s.options.heartbeatMs) {
    reads.asked.sentAtMs = s.nowMs
    s.send(s.leader, { type: 'read-index-request', term: s.term, id: reads.asked.id })
  }
  askLeader(s)
}

function refuseUnconfirmed(s: CoreState, ticket: number): void {
  const waited = READ_TIMEOUTS * s.options.electionTimeoutMs
  s.refuse(
    ticket,
    'leadership-lost',
    `no leader confirmed the read within ${waited} ms; the last known one is ${s.leader ?? 'nobody'}`
  )
}
