/**
 * Leases: reads that a leader serves without asking anybody (T49). Opt-in by `leaseMs`; without it nothing here does anything.
 *
 * The need: a read barrier costs a round to a majority. The naive idea, that who heard a majority lately still leads, rests on followers
 * keeping still for a while; but ours may elect another leader as soon as a stream breaks, and a restarted one has forgotten whom it
 * heard. So the promise is the new leader's, not the followers' (as in LeaseGuard, and unlike dissertation §6.4.1):
 *
 * 1. A lease runs for `leaseMs` from when the newest message *was sent* that a quorum has answered in this term.
 * 2. A new leader commits nothing before the leases of all leaders before it are over: `leaseMs`, and a little for clocks that run apart,
 *    after it took office. It may append meanwhile.
 *
 * Why that is enough: one node at least both answered the old leader's message and voted for the new one, the answer first. So the
 * lease began before the new leader took office, and is over before anything is acknowledged that its holder does not know.
 *
 * How long to wait is read from the log: a leader announces its lease in the no-op of its term and takes none before that is committed, so
 * that the next leader holds it, whatever its own options say. Announcements that this node does not know to be committed all
 * count, since each of their writers may itself still have been waiting.
 *
 * A leader that hands over gives its lease up for the rest of its term, and says so in TimeoutNow; then nobody waits. If the clock of this
 * node jumped, what was sent before counts for nothing. Time is monotonic; a clock that stops unseen (a suspended
 * machine) would lengthen a lease, so leases are not for machines that sleep.
 *
 * Messages carry no times: they carry the read position (T47), so each tick takes a new position and remembers when.
 * Called by `leading.ts`, `transfer.ts` and `raft.ts`.
 */

import { CLOCK_DRIFT, MAX_LEASE_MS } from './options.ts'
import { quorumReached } from './quorum.ts'
import { answeredPosition, hasCommittedInTerm } from './reads.ts'
import type { CoreState, Leading, LeaseMark } from './state.ts'

/** Until when a leader that takes office now commits nothing. Called before it appends its no-op. Milliseconds. */
export function otherLeasesEndMs(s: CoreState): number {
  if (s.mutations.has('lease-not-waited-for') || s.leasesOverInTerm === s.term) return Number.NEGATIVE_INFINITY
  const announced = Math.min(s.log.leases.highestSince(s.log.commitIndex), MAX_LEASE_MS)
  const leaseMs = s.mutations.has('lease-waited-for-by-option') ? s.options.leaseMs : announced
  if (leaseMs === 0) return Number.NEGATIVE_INFINITY
  return s.nowMs + leaseMs * (1 + CLOCK_DRIFT)
}

/** Time passed: what is sent from now on has a new position, by which its answers tell when it was sent at the earliest. */
export function tickLease(s: CoreState, leading: Leading, stalled: boolean): void {
  const { leaseMs } = s.options
  if (leaseMs === 0 || leading.leaseGivenUp) return
  if (stalled) leading.leaseMarks = []
  leading.leaseMarks.push({ position: ++leading.readPosition, atMs: s.nowMs })
  const oldest = s.nowMs - leaseMs
  while (leading.leaseMarks[0]!.atMs <= oldest) leading.leaseMarks.shift()
}

/** Nothing is read by this leader's lease any more, in this term. */
export function giveUpLease(s: CoreState, leading: Leading): void {
  if (s.mutations.has('lease-kept-by-transfer')) return
  leading.leaseGivenUp = true
  leading.leaseMarks = []
}

/** Whether no lease of this leader, or of one before it, is in force: what TimeoutNow says. Asked after it gave its own up. */
export function leasesAreOver(s: CoreState, leading: Leading): boolean {
  return s.nowMs >= leading.commitNotBeforeMs
}

/** For how long this node may serve reads by its lease, at `nowMs`. Milliseconds; 0 if it may not. */
export function leaseRemainingMs(s: CoreState, nowMs: number): number {
  const { leading } = s
  if (leading === undefined || s.halted || leading.leaseMarks.length === 0) return 0
  // Its own no-op, and the lease announced in it, are committed; so is all that was acknowledged before (T46).
  if (!hasCommittedInTerm(s, leading)) return 0
  // This node stood still and has not been told so yet (T26).
  if (nowMs - (s.lastTickMs ?? Number.NEGATIVE_INFINITY) > s.options.electionTimeoutMs / 2) return 0
  const fromMs = s.mutations.has('lease-from-answer') ? answeredMs(s, leading) : newestAnswered(s, leading)?.atMs
  return fromMs === undefined ? 0 : Math.max(0, fromMs + s.options.leaseMs - nowMs)
}

/** The newest mark of which a quorum answered a message. */
function newestAnswered(s: CoreState, leading: Leading): LeaseMark | undefined {
  const position = answeredPosition(s, leading)
  return leading.leaseMarks.findLast((mark) => mark.position <= position)
}

/** When a quorum had answered anything: what the lease counts from under the mutation. */
function answeredMs(s: CoreState, leading: Leading): number {
  return quorumReached(s.log.config.config, (id) =>
    id === s.id ? s.nowMs : (leading.peers.get(id)?.contactAtMs ?? Number.NEGATIVE_INFINITY)
  )
}
