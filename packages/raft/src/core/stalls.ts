/**
 * A pause of this very node: a stopped process, a blocked event loop, a machine with more to do than it can (T26).
 *
 * What came meanwhile is still to be read, so that nobody's silence is held against him: a follower begins its wait anew, and so does a
 * leader its wait for word of a quorum. On an overloaded machine pauses come one after the other, though, and whoever excuses each of
 * them waits for ever: nobody leads, or a leader without a quorum goes on. So a few are excused in a row. After those, what was sent during the
 * first has been read before the last is over, and to be wrong is harmless: a pre-vote changes nothing.
 *
 * Called by `raft.ts` and `leading.ts` with each tick that comes late; the count begins anew with the timer (`state.ts`).
 */

import type { CoreState, Leading } from './state.ts'

/** Pauses in a row that are excused. */
export const MAX_EXCUSED_STALLS = 2

const isExcused = (s: CoreState, before: number): boolean =>
  before < MAX_EXCUSED_STALLS || s.mutations.has('stalls-excused-for-ever')

/**
 * A node that does not lead stood still: it waits once more as if it had just heard a leader. Not for its health, or its priority, as well: others
 * had the time of the pause to come first.
 */
export function excuseFollower(s: CoreState): void {
  if (s.isOnlyVoter || !isExcused(s, s.stallsExcused)) return
  s.stallsExcused++
  s.stallWaitEndMs = s.drawWaitEndMs()
}

/**
 * A leader stood still: silence of its peers counts from now.
 *
 * @param forMs - how long it stood still; 0 if it did not
 */
export function excuseLeader(s: CoreState, leading: Leading, forMs: number): void {
  if (forMs === 0) return
  // Its disk could not say that it was done.
  if (leading.outpaced !== undefined) leading.outpaced.sinceMs += forMs
  if (!isExcused(s, leading.stallsExcused)) return
  leading.stallsExcused++
  leading.quorumFloorMs = s.nowMs
}
