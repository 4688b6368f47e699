/**
 * Elections (paper §5.2, §5.4.1; dissertation §9.6): pre-vote, vote, and when a node refuses to help.
 *
 * A node first asks whether it would be elected (pre-vote), which changes nothing anywhere; only with a majority of yes does
 * it raise its term and ask for votes. Nodes that hear a leader say no to both (stickiness, dissertation §4.2.3), so that a
 * node which was cut off, or removed, cannot disturb the others (T20). A leader that hands over skips both (T22).
 */

import { jitterShare } from './fitness.ts'
import { becomeLeader } from './leading.ts'
import { isVoter, membersOf } from './members.ts'
import type { PreVoteRequest, PreVoteResponse, TimeoutNow, VoteRequest, VoteResponse } from './messages.ts'
import { STREAM_LOSS_RETRIES, STREAM_LOSS_WAIT_MS } from './options.ts'
import { tallyVotes } from './quorum.ts'
import { becomeFollower } from './roles.ts'
import type { CoreState } from './state.ts'
import type { NodeId } from './types.ts'

/**
 * Whether this node may campaign at all.
 *
 * A voter that an uncommitted entry removes may hold the newest log and be the only one who can finish the change, so a voter of
 * any configuration that may be the committed one may campaign too (T32): any from the commit index on, since a node that was
 * restarted knows only that its commit index was at least so far. Its own vote does not count then, since `quorum.ts` asks
 * members only. A learner never campaigns (T27), nor does a node with an empty configuration, one whose log is about to be replaced by a
 * snapshot, or one whose disk hangs (T24), unless it is the only voter: then nobody else can lead sooner.
 */
function mayCampaign(s: CoreState): boolean {
  if (s.installing !== undefined) return false
  if (s.diskStalled && !s.isOnlyVoter && !s.mutations.has('stalled-disk-campaigns')) return false
  const { log } = s
  if (log.config.config.voters.length === 0) return false
  if (s.mutations.has('learner-campaigns')) return true
  if (s.mutations.has('removed-voter-never-campaigns')) return isVoter(log.config.config, s.id)
  let placed = log.config
  while (!isVoter(placed.config, s.id)) {
    if (placed.index <= log.commitIndex) return false
    placed = log.configAt(placed.index - 1)
  }
  return true
}

/** The leader was silent for too long: campaigns, if this node may, and starts the timer anew. Called by the tick. */
export function tickElection(s: CoreState): void {
  // No wait ends before its deadline, whatever prolongs it: that settles almost every tick.
  if (s.nowMs < (s.electionDeadlineMs ?? Number.POSITIVE_INFINITY) || s.nowMs < s.campaignMs) return
  // The only voter waits for nothing but its own disk, and would wait anew if it asked again.
  if (s.isOnlyVoter && s.role === 'candidate') return
  if (!mayCampaign(s)) s.resetElectionDeadline()
  else if (s.mutations.has('no-pre-vote')) startElection(s, false)
  else startPreVote(s)
}

/** Asks everybody whether they would vote for this node in the next term. */
function startPreVote(s: CoreState): void {
  s.role = 'pre-candidate'
  s.leader = undefined
  waitForVotes(s)
  s.votes.clear()
  s.votes.set(s.id, true)
  const { lastIndex, lastTerm } = s.log
  for (const to of electors(s)) s.send(to, { type: 'pre-vote-request', term: s.term + 1, lastIndex, lastTerm })
  countVotes(s)
}

/** Begins a term as a candidate. The requests leave, and the own vote counts, once term and vote are durable (T5). */
function startElection(s: CoreState, transfer: boolean): void {
  s.setHardState(s.term + 1, s.id)
  s.role = 'candidate'
  s.leader = undefined
  waitForVotes(s)
  s.votes.clear()
  const { lastIndex, lastTerm } = s.log
  for (const to of electors(s)) s.send(to, { type: 'vote-request', term: s.term, lastIndex, lastTerm, transfer })
  countOwnVote(s)
}

/**
 * How long this node waits before it asks again: an election timeout or more; but a third of one at most, some times, if the stream to its leader broke
 * and it has heard none since. Both followers of three may ask at once, or one before the other has seen what happened.
 */
function waitForVotes(s: CoreState): void {
  s.resetElectionDeadline()
  if (s.hurriedTries === 0 || s.isOnlyVoter) return
  s.hurriedTries--
  const { electionTimeoutMs } = s.options
  const soon = s.nowMs + s.prng.between(Math.floor(electionTimeoutMs / 6), Math.floor(electionTimeoutMs / 3))
  s.electionDeadlineMs = Math.min(s.electionDeadlineMs ?? soon, soon)
}

function electors(s: CoreState): NodeId[] {
  const { config } = s.log.config
  return membersOf(config).filter((id) => id !== s.id && isVoter(config, id))
}

/** Counts this candidate's vote for itself once it is on disk (T5). Called whenever something became durable. */
export function countOwnVote(s: CoreState): void {
  if (s.role !== 'candidate' || s.votes.has(s.id) || !s.ownVoteDurable) return
  s.votes.set(s.id, true)
  countVotes(s)
}

function countVotes(s: CoreState): void {
  const { config } = s.log.config
  const tally = tallyVotes(s.mutations.has('election-ignores-outgoing') ? { ...config, outgoing: [] } : config, s.votes)
  if (tally === 'lost') becomeFollower(s, s.term, undefined)
  else if (tally === 'won' && s.role === 'pre-candidate') startElection(s, false)
  else if (tally === 'won' && s.role === 'candidate') becomeLeader(s)
}

/**
 * Whether this node hears a leader, and so does not help to replace it (stickiness). The leader itself, asking for votes, has
 * stepped down, and is no reason to refuse it (T22).
 */
export function isSticky(s: CoreState, candidate: NodeId): boolean {
  if (s.mutations.has('never-sticky')) return false
  if (s.leading !== undefined) return true
  if (s.leader === undefined || s.leader === candidate) return false
  return s.nowMs - s.leaderContactMs < s.options.electionTimeoutMs
}

/** Answers a pre-vote. Changes neither state nor timer (T22); a refusal tells a node that is behind what the term is. */
export function onPreVoteRequest(s: CoreState, from: NodeId, message: PreVoteRequest): void {
  const granted = message.term > s.term && !isSticky(s, from) && s.log.isUpToDate(message.lastIndex, message.lastTerm)
  if (granted && s.mutations.has('pre-vote-restarts-timer')) s.resetElectionDeadline()
  const shown = granted || s.mutations.has('pre-vote-hides-term') ? message.term : s.term
  s.send(from, { type: 'pre-vote-response', term: shown, granted })
}

export function onPreVoteResponse(s: CoreState, from: NodeId, message: PreVoteResponse): void {
  if (s.role !== 'pre-candidate') return
  if (message.granted && message.term !== s.term + 1) return
  s.votes.set(from, message.granted)
  countVotes(s)
}

/**
 * Answers a vote request of this node's own term; `raft.ts` has brought the term up. A vote is given once a term (T2), only to
 * a candidate whose log is at least as complete as this one's, also when it was given before (T1), and leaves with the
 * record that remembers it (T3). Learners vote too: the candidate may know a newer configuration (T27).
 */
export function onVoteRequest(s: CoreState, from: NodeId, message: VoteRequest): void {
  const free = s.votedFor === from || (s.votedFor === undefined && s.leader === undefined)
  const granted = free && hasEarnedVote(s, from, message)
  if (granted) {
    if (s.votedFor === undefined) s.setHardState(s.term, from)
    s.hurriedTries = 0
    s.resetElectionDeadline()
  }
  const response = { type: 'vote-response', term: s.term, granted } as const
  if (s.mutations.has('vote-not-persisted')) s.sendUnsafely(from, response)
  else s.send(from, response)
}

/** Whether the candidate's log is at least as complete as this one's (paper §5.4.1): the only ground, apart from mutations. */
function hasEarnedVote(s: CoreState, from: NodeId, message: VoteRequest): boolean {
  if (s.mutations.has('vote-without-recency')) return true
  if (s.mutations.has('old-vote-in-new-term') && s.votedFor === from) return true
  if (s.mutations.has('learner-refuses-vote') && !isVoter(s.log.config.config, s.id)) return false
  return s.log.isUpToDate(message.lastIndex, message.lastTerm)
}

export function onVoteResponse(s: CoreState, from: NodeId, message: VoteResponse): void {
  if (s.role !== 'candidate') return
  s.votes.set(from, message.granted || s.mutations.has('refusal-counted-as-vote'))
  countVotes(s)
}

/** The leader hands over: campaigns at once, without a pre-vote (T22; dissertation §3.10). */
export function onTimeoutNow(s: CoreState, from: NodeId, message: TimeoutNow): void {
  if (s.leader !== from || s.role !== 'follower' || !mayCampaign(s)) return
  s.leasesOverInTerm = message.leaseOver ? s.term + 1 : undefined
  startElection(s, true)
}

/**
 * The stream to a peer broke. If it led to the leader, the leader may be gone: this node stops vouching for it, and asks for
 * pre-votes after a short random wait unless it hears from it before. A wrong guess is harmless: a pre-vote changes nothing,
 * and is lost unless a majority missed the leader too. Who should rather not lead waits for the others here as well. A learner keeps waiting (T27).
 */
export function onLeaderStreamLost(s: CoreState): void {
  if (!mayCampaign(s)) return
  s.leaderContactMs = Number.NEGATIVE_INFINITY
  const { shortest, longest } = STREAM_LOSS_WAIT_MS
  const waitMs = s.prng.between(shortest, shortest + (longest - shortest) * jitterShare(s.options))
  s.hurriedTries = STREAM_LOSS_RETRIES
  const soon = s.nowMs + waitMs
  s.electionDeadlineMs = Math.min(s.electionDeadlineMs ?? soon, soon)
  s.stallWaitEndMs = Number.NEGATIVE_INFINITY
}
