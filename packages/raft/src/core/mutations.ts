/**
 * FOR TESTS ONLY. Rules that a test can switch off, one at a time, to prove that the simulator notices.
 *
 * A simulator that finds nothing proves nothing unless it finds what is there: `createRaftCore(init, mutations)` puts a known
 * bug back, and the seeded runs must report it. The driver never passes any. Each name says what is left out or done wrong, and the
 * trap number is that of the function which holds the rule. `docs/simulation.md` has the score.
 */

/** All bugs that can be put back on purpose, in the order of their traps. */
export const MUTATIONS = [
  /** Paper §5.4.1: a vote is given to any log. */
  'vote-without-recency',
  /** T1: the vote of the old term is taken along into the new one, and counts as given there. */
  'old-vote-in-new-term',
  /** T2, T3: a vote is granted from memory, without being in the hard state. */
  'vote-not-persisted',
  /** T2: who steps down within a term forgets the vote that it gave in it. */
  'vote-erased-on-step-down',
  /** T3: a follower acknowledges entries before they are durable. */
  'ack-before-durable',
  /** T3: a follower says that it holds a snapshot's entries before they are durable. */
  'snapshot-acknowledged-early',
  /** T4: an answer of the own term is a vote, whatever it says. */
  'refusal-counted-as-vote',
  /** T5: a candidate counts its own vote before it is durable. */
  'own-vote-counted-early',
  /** T6: what is committed is applied before it is on this disk. */
  'apply-before-durable',
  /** T8: an entry of an older term is committed by counting its copies (paper figure 8). */
  'commit-old-term-by-counting',
  /** T9: a leader counts its own copy of an entry before it is durable. */
  'own-match-at-append',
  /** T10: a heartbeat is answered with all that the follower holds, verified or not. */
  'heartbeat-proves-all',
  /** T10: acknowledgements of an earlier term count. */
  'answers-of-old-terms-counted',
  /** T11: a heartbeat is not checked against the log. */
  'heartbeat-unchecked',
  /** T12: a follower commits up to its own last entry, not up to what this leader verified. */
  'commit-past-match',
  /** T13: a late refusal takes the next entry to send below what is known to match. */
  'next-below-match',
  /** T14: a write that is under way vouches for the entries that came after those it writes. */
  'write-vouches-for-successors',
  /** T15: every overlapping append cuts the log, not only one that conflicts. */
  'truncate-on-overlap',
  /** T16: the entry before an append is compared by its index alone. */
  'previous-checked-by-index',
  /** T17: a truncation does not reach the disk. */
  'truncation-not-written',
  /** T18: what is committed is taken from the leader's word, though the log here does not go so far. */
  'commit-beyond-log',
  /** T20: a node campaigns without asking first. */
  'no-pre-vote',
  /** T20: a node that hears its leader helps to replace it. */
  'never-sticky',
  /** T21: a leader that hears no quorum goes on. */
  'no-check-quorum',
  /** T22: granting a pre-vote starts the election timer anew. */
  'pre-vote-restarts-timer',
  /** T22: a refused pre-vote does not say what the term is. */
  'pre-vote-hides-term',
  /** T23: a leader whose disk hangs goes on. */
  'stalled-disk-leads',
  /** T23: a leader whose disk hangs goes, though nobody's is better. */
  'slow-disk-uncompared',
  /** T23: a leader that is unfit does not hand over. */
  'unfit-leader-stays',
  /** T23: a hand-over goes to a voter that is unfit. */
  'hand-over-to-unfit',
  /** T23: a hand-over that nobody asked for is never given up. */
  'hand-over-insists',
  /** T23: a leader never makes way for a voter of higher priority. */
  'priority-ignored',
  /** T24: a node whose disk hangs campaigns. */
  'stalled-disk-campaigns',
  /** T24: the only voter waits before it campaigns. */
  'only-voter-waits',
  /** T24: a node that is not well, or of low priority, campaigns as soon as the others. */
  'eager-campaign',
  /** T25: room in the window of messages under way never comes back. */
  'window-never-freed',
  /** T26: after a stall of this very node the silence of the others counts. */
  'stall-counted-as-silence',
  /** T26: a node that stands still again and again begins its wait anew each time. */
  'stalls-excused-for-ever',
  /** T27: a node that is no voter campaigns. */
  'learner-campaigns',
  /** T27: a node that believes itself a learner refuses to vote. */
  'learner-refuses-vote',
  /** T28: a leader takes proposals without end. */
  'intake-unlimited',
  /** T29: a membership change starts before anything of the leader's own term is committed. */
  'no-own-term-barrier',
  /** T29: a membership change starts while the one before is not committed. */
  'change-on-uncommitted-config',
  /** T30: a configuration is in force once committed, not once appended. */
  'config-at-commit',
  /** T30: a configuration stays in force after its entry was cut. */
  'config-kept-by-truncation',
  /** T31: an installed snapshot leaves configurations of the old log in force. */
  'config-kept-by-snapshot',
  /** T32: a leader that was removed goes on. */
  'removed-leader-stays',
  /** T32: a voter that only an uncommitted entry removes does not campaign. */
  'removed-voter-never-campaigns',
  /** T33: a joint configuration commits by the majority of the new voters alone. */
  'commit-ignores-outgoing',
  /** T33: a joint configuration elects by the majority of the new voters alone. */
  'election-ignores-outgoing',
  /** T33: a joint configuration is never left. */
  'joint-never-left',
  /** T38: a snapshot is installed over a newer state. */
  'stale-snapshot-taken',
  /** T39: a state that was written too late, below where the log begins by now, is obeyed. */
  'late-compaction-obeyed',
  /** T42: entries of the old log stay above an installed snapshot. */
  'log-kept-by-snapshot',
  /** T43: after a restart all that the log holds is applied again. */
  'applied-twice',
  /** T45: a node writes the names of a configuration in an order of its own. */
  'names-in-own-order',
  /** T44: a command that comes again in its session is applied again. */
  'session-ignored',
  /** T44: a snapshot leaves the sessions behind. */
  'session-not-in-snapshot',
  /** T45: a leader does not compare the states of the members. */
  'digests-not-compared',
  /** T46: a new leader answers reads from the commit index that it brought along. */
  'read-before-own-commit',
  /** T47: any answer of a peer confirms all reads, also those that came after the question. */
  'any-answer-confirms-reads',
  /** T47: a follower takes the answer to another question for that to its own. */
  'any-answer-ends-question',
  /** T47: a restarted follower numbers its questions as it did before. */
  'question-numbers-reused',
  /** T48: a leader answers reads without asking whether it still leads. */
  'read-unconfirmed',
  /** T49: a new leader commits while the one before may still hold a lease. */
  'lease-not-waited-for',
  /** T49: a new leader waits for as long as it would take leases itself, not for as long as those before it did. */
  'lease-waited-for-by-option',
  /** T49: a lease runs from the answer of a quorum, not from what was answered. */
  'lease-from-answer',
  /** T49: whether the lease still runs is not asked again after the state was read. */
  'lease-not-checked-again',
  /** T49: a leader that handed over goes on reading by its lease. */
  'lease-kept-by-transfer',
  /** T59: the feature level is raised without asking who knows it. */
  'level-raised-unasked',
  /** T59: the feature level is forgotten with the entry that brought it, when the log is compacted. */
  'level-lost-by-compaction'
] as const

/** A bug that can be put back on purpose. */
export type Mutation = (typeof MUTATIONS)[number]

/** What a node in production runs with. */
export const NO_MUTATIONS: ReadonlySet<Mutation> = new Set()
