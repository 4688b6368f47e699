/**
 * Who should rather lead: a node's health and priority as wishes, never as conditions (T23, T24).
 *
 * A node that is not well, or of low priority, waits longer before it campaigns, so that others come first; it does campaign in the
 * end, since nobody else may be there. A leader that is unfit hands over to the best voter that is well; one that others surpass in
 * priority hands over to them once it has settled. Between two such attempts it waits, longer each time, so that leadership does not wander while
 * health wavers (the driver's `health.ts` holds each class for a while as well). None of it may cost more than it helps.
 *
 * Health is stepped in by the driver and travels, with the priority, in every answer to AppendEntries. `state.ts` and `election.ts`
 * ask for waits, `leading.ts` calls the clock, `transfer.ts` ranks heirs. hashicorp/raft #503, #612, #614 and #666 are what comes of leaving this out.
 */

import type { Progress } from './progress.ts'
import { hasCommittedInTerm } from './reads.ts'
import type { CoreState, Leading } from './state.ts'
import type { CoreOptions, Health } from './types.ts'

/** Better is higher. */
const HEALTH_RANK: Readonly<Record<Health, number>> = { unfit: 0, degraded: 1, good: 2 }

/** Election timeouts that a node of this health waits longer than a good one. */
const HEALTH_DELAY_TIMEOUTS: Readonly<Record<Health, number>> = { good: 0, degraded: 0.5, unfit: 2 }

/** Election timeouts that a node waits longer for each step of its priority below 0. */
const PRIORITY_DELAY_TIMEOUTS = 0.5

/**
 * An unfit leader stays so many election timeouts, and has to be unfit for as long: until then its peers have said whether they suffer from the same.
 */
const UNFIT_STAY_TIMEOUTS = 2

/** A leader that leads undisturbed for so many election timeouts makes way for a higher priority. */
const SETTLED_TIMEOUTS = 10

/**
 * After an attempt, so many election timeouts more: proposals are refused while one is under way, and it may fail again. After each further one
 * twice as many, up to a minute: then attempts cost less than a two-hundredth of the time, and what stood in their way may be over some day.
 */
const RETRY_TIMEOUTS = 8
const MAX_RETRY_DOUBLINGS = 4

/** So many election timeouts lie between two attempts at the most. */
export const LONGEST_RETRY_TIMEOUTS = RETRY_TIMEOUTS * 2 ** MAX_RETRY_DOUBLINGS + SETTLED_TIMEOUTS

/** How much longer than an election timeout a node of this health and priority waits at least before it campaigns. Milliseconds. */
export function campaignDelayMs(
  { electionTimeoutMs, priority }: Pick<CoreOptions, 'electionTimeoutMs' | 'priority'>,
  health: Health
): number {
  const timeouts = HEALTH_DELAY_TIMEOUTS[health] + Math.max(0, -priority) * PRIORITY_DELAY_TIMEOUTS
  return timeouts * electionTimeoutMs
}

/** Which part of the usual span the random part of a wait is drawn from: a high priority comes before the others, most often. */
export function jitterShare({ priority }: CoreOptions): number {
  return 1 / (1 + Math.max(0, priority))
}

/** The driver judged this node anew: the time of its next campaign moves with it (`campaignMs` of the state). */
export function onHealth(s: CoreState, health: Health): void {
  if (health === s.health) return
  s.health = health
  s.healthSinceMs = s.nowMs
}

/**
 * How good an heir `peer` would be; the higher the better, compared from left to right. First whether it was heard lately and
 * has all that is committed, without which it could not win; then whether it should.
 */
function merits(s: CoreState, peer: Progress): readonly number[] {
  const heard = peer.contactAtMs >= s.nowMs - s.options.electionTimeoutMs
  const complete = peer.matchIndex >= s.log.commitIndex
  return [Number(heard), Number(complete), HEALTH_RANK[peer.health], peer.priority, peer.matchIndex]
}

function isBetter(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((value, i) => value !== b[i])
  return at >= 0 && a[at]! > b[at]!
}

/** The other voter that leadership should go to; never one that calls itself unfit. */
export function bestHeir(
  s: CoreState,
  leading: Leading,
  isWanted: (peer: Progress) => boolean = () => true
): Progress | undefined {
  let best: Progress | undefined
  let bestMerits: readonly number[] = []
  for (const peer of leading.peers.values()) {
    if (!s.log.config.config.voters.includes(peer.id) || !isWanted(peer)) continue
    if (peer.health === 'unfit' && !s.mutations.has('hand-over-to-unfit')) continue
    const own = merits(s, peer)
    if (best !== undefined && !isBetter(own, bestMerits)) continue
    best = peer
    bestMerits = own
  }
  return best
}

/**
 * Whom an unfit leader, or one that others surpass, should hand over to now; undefined if nobody, or not yet. Asked by each tick.
 *
 * Only to who is clearly better: well by its own word, and that word is fresh. What makes a leader unfit often strikes all that share a machine;
 * to go from one who suffers to another who does costs writes, and helps nobody.
 */
export function wantedHeir(s: CoreState, leading: Leading): Progress | undefined {
  if (s.transfer !== undefined || !hasCommittedInTerm(s, leading)) return undefined
  const { electionTimeoutMs, priority } = s.options
  const unfit = s.health === 'unfit' && !s.mutations.has('unfit-leader-stays')
  const settledMs = s.nowMs - (unfit ? Math.max(leading.settledFromMs, s.healthSinceMs) : leading.settledFromMs)
  if (settledMs < (unfit ? UNFIT_STAY_TIMEOUTS : SETTLED_TIMEOUTS) * electionTimeoutMs) return undefined
  const ready = (peer: Progress): boolean =>
    isClearlyWell(s, peer) &&
    peer.state === 'replicate' &&
    peer.matchIndex >= s.log.commitIndex &&
    s.nowMs - peer.contactAtMs < electionTimeoutMs / 2
  if (unfit) return bestHeir(s, leading, ready)
  if (s.mutations.has('priority-ignored')) return undefined
  return bestHeir(s, leading, (peer) => ready(peer) && peer.priority > priority)
}

/** Whether a leader may go in favour of this peer without being asked. */
export function isClearlyWell(s: CoreState, peer: Progress): boolean {
  return peer.health === 'good' || s.mutations.has('hand-over-to-unfit')
}

/** A hand-over of the leader's own accord begins: the next one, if this fails, is not before long. */
export function noteHandOver(s: CoreState, leading: Leading): void {
  const doublings = Math.min(leading.handOvers++, MAX_RETRY_DOUBLINGS)
  leading.settledFromMs = s.nowMs + RETRY_TIMEOUTS * 2 ** doublings * s.options.electionTimeoutMs
}
