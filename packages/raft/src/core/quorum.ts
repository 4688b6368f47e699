/**
 * What a quorum says: the one place where members are counted.
 *
 * Commit, votes, read confirmations and check-quorum all ask the same question of different numbers: how far has a majority
 * come, and during a membership change a majority of each of both sets (paper §6). So there is one function, over one number a
 * member. Nodes that are in neither set are never asked for (T33).
 */

import type { ClusterConfig, NodeId } from './types.ts'

/** Below every number in use: what a set without members has reached, so that it never decides anything. */
export const NO_QUORUM: number = Number.NEGATIVE_INFINITY

/** The highest number that a majority of `members` has reached; `NO_QUORUM` if there are none. */
function majorityReached(members: readonly NodeId[], reachedBy: (id: NodeId) => number): number {
  const count = members.length
  if (count === 0) return NO_QUORUM
  const values: number[] = []
  for (let i = 0; i < count; i++) {
    // Insertion into an ascending list: a handful of members, and no comparator to call.
    const value = reachedBy(members[i]!)
    let at = i
    while (at > 0 && values[at - 1]! > value) {
      values[at] = values[at - 1]!
      at--
    }
    values[at] = value
  }
  // With n values ascending, those from position p on number n - p; a majority is floor(n / 2) + 1 of them.
  return values[count - (Math.floor(count / 2) + 1)]!
}

/**
 * The highest value that is reached by a majority of the voters and, while a change is under way, also by a majority of the
 * outgoing voters (paper §6; T33).
 *
 * @param reachedBy - how far a member has come: its matching index, the time it was last heard, the read position it confirmed
 * @returns `NO_QUORUM` for a configuration without voters
 */
export function quorumReached(config: ClusterConfig, reachedBy: (id: NodeId) => number): number {
  const incoming = majorityReached(config.voters, reachedBy)
  if (config.outgoing.length === 0) return incoming
  return Math.min(incoming, majorityReached(config.outgoing, reachedBy))
}

/** How an election stands. */
export type Tally = 'won' | 'lost' | 'open'

/**
 * Counts votes: a member has come to 2 if it granted, to 1 if it was not heard, to 0 if it refused. A quorum at 2 is a victory; one
 * at 1 could still become a victory; at 0 it no longer can.
 */
export function tallyVotes(config: ClusterConfig, votes: ReadonlyMap<NodeId, boolean>): Tally {
  const reached = quorumReached(config, (id) => {
    const vote = votes.get(id)
    return vote === undefined ? 1 : vote ? 2 : 0
  })
  return reached === 2 ? 'won' : reached === 1 ? 'open' : 'lost'
}
