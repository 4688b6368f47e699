/**
 * FOR TESTS ONLY. Safety rules that a test can switch off, one at a time, to prove that the simulator notices.
 *
 * A simulator that finds nothing proves nothing unless it finds what is there: `createRaftCore(init, mutations)` puts a known
 * bug back, and the seeded runs must report it. The driver never passes any. Each name says what is left out, and the trap
 * number is that of the function which holds the rule.
 */

/** A bug that can be put back on purpose. */
export type Mutation =
  /** T2, T3: a vote is granted from memory, without being in the hard state. */
  | 'vote-not-persisted'
  /** T5: a candidate counts its own vote before it is durable. */
  | 'own-vote-counted-early'
  /** T8: an entry of an older term is committed by counting its copies (paper figure 8). */
  | 'commit-old-term-by-counting'
  /** T9: a leader counts its own copy of an entry before it is durable. */
  | 'own-match-at-append'
  /** T3: a follower acknowledges entries before they are durable. */
  | 'ack-before-durable'
  /** T12: a follower commits up to its own last entry, not up to what this leader verified. */
  | 'commit-past-match'
  /** T15: every overlapping append cuts the log, not only one that conflicts. */
  | 'truncate-on-overlap'
  /** T29: a membership change starts before anything of the leader's own term is committed. */
  | 'no-own-term-barrier'
  /** T48: a leader answers reads without asking whether it still leads. */
  | 'read-unconfirmed'

/** All of them, for tests that go through the list. */
export const MUTATIONS: readonly Mutation[] = [
  'vote-not-persisted',
  'own-vote-counted-early',
  'commit-old-term-by-counting',
  'own-match-at-append',
  'ack-before-durable',
  'commit-past-match',
  'truncate-on-overlap',
  'no-own-term-barrier',
  'read-unconfirmed'
]

/** What a node in production runs with. */
export const NO_MUTATIONS: ReadonlySet<Mutation> = new Set()
