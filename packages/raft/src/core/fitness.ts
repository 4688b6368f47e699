/**
 * Who should rather lead: a node's health and priority as wishes, never as conditions (T23, T24).
 *
 * A node that is not well, or of low priority, waits longer before it campaigns, so that others come first; it does campaign in the
 * end, since nobody else may be there. A leader that is unfit hands over to the best voter that is not; one that others surpass in
 * priority hands over to them once it has settled. Between two such attempts it waits, so that leadership does not wander while
 * health wavers (the driver's `health.ts` holds each class for a while as well).
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
const HEALTH_DELAY_TIMEOUTS: Readonly<Record<Health, number>> = { good: 0, degraded: 1, unfit: 2 }

/** Election timeouts that a node waits longer for each step of its priority below 0. */
const PRIORITY_DELAY_TIMEOUTS = 0.5

/** An unfit leader stays so many election timeouts, so that a new one has heard its peers before it hands over. */
const UNFIT_STAY_TIMEOUTS = 2

/** A leader that leads undisturbed for so many election timeouts makes way for a higher priority. */
const SETTLED_TIMEOUTS = 10

/** After an attempt, so many election timeouts more: proposals wait while one is under way, and it may fail again. */
const RETRY_TIMEOUTS = 8

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

/** The driver judged this node anew: the time of its next campaign moves with it. */
export function onHealth(s: CoreState, health: Health): void {
  if (health === s.health) return
  const before = s.campaignDelayMs
  s.health = health
  if (s.electionDeadlineMs === undefined || s.leading !== undefined) return
  s.electionDeadlineMs = Math.max(s.nowMs, s.electionDeadlineMs + s.campaignDelayMs - before)
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

/** Whom an unfit leader, or one that others surpass, should hand over to now; undefined if nobody, or not yet. Asked by each tick. */
export function wantedHeir(s: CoreState, leading: Leading): Progress | undefined {
  if (s.transfer !== undefined || !hasCommittedInTerm(s, leading)) return undefined
  const { electionTimeoutMs, priority } = s.options
  const settledMs = s.nowMs - leading.settledFromMs
  const unfit = s.health === 'unfit' && !s.mutations.has('unfit-leader-stays')
  if (settledMs < (unfit ? UNFIT_STAY_TIMEOUTS : SETTLED_TIMEOUTS) * electionTimeoutMs) return undefined
  const ready = (peer: Progress): boolean =>
    peer.state === 'replicate' && peer.matchIndex >= s.log.commitIndex && s.nowMs - peer.contactAtMs < electionTimeoutMs
  if (unfit) return bestHeir(s, leading, ready)
  if (s.mutations.has('priority-ignored')) return undefined
  return bestHeir(s, leading, (peer) => ready(peer) && peer.health === 'good' && peer.priority > priority)
}

/** A hand-over of the leader's own accord begins: the next one, if this fails, is not before long. */
export function noteHandOver(s: CoreState, leading: Leading): void {
  leading.settledFromMs = s.nowMs + RETRY_TIMEOUTS * s.options.electionTimeoutMs
}
