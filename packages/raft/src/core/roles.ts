/**
 * How a role ends: the one way into `follower`, from every role and for every reason. The way up is `election.ts`, then
 * `becomeLeader` in `leading.ts`.
 */

import { dropLeaderReads } from './reads.ts'
import type { CoreState } from './state.ts'
import type { NodeId, Term } from './types.ts'

/**
 * Follows in `term`. A higher term begins without a vote (T4); within the same term the vote stays (T2). The election timer
 * starts anew only where the caller says so, by hearing a leader or granting a vote (T22).
 *
 * @param leader - who leads the term, if that is known
 */
export function becomeFollower(s: CoreState, term: Term, leader: NodeId | undefined): void {
  const wasLeading = s.leading
  if (term > s.term) s.setHardState(term, s.mutations.has('old-vote-in-new-term') ? s.votedFor : undefined)
  else if (s.mutations.has('vote-erased-on-step-down')) s.votedFor = undefined
  s.role = 'follower'
  s.leader = leader
  s.votes.clear()
  if (wasLeading !== undefined) {
    s.leading = undefined
    s.leaderContactMs = Number.NEGATIVE_INFINITY
    s.resetElectionDeadline()
    dropLeaderReads(s, wasLeading)
  }
}

/** A message of this term's leader arrived: it is alive, and nobody needs to campaign. */
export function heardLeader(s: CoreState, leader: NodeId): void {
  if (s.role !== 'follower' || s.leader !== leader) becomeFollower(s, s.term, leader)
  s.leaderContactMs = s.nowMs
  s.hurriedTries = 0
  s.resetElectionDeadline()
}
