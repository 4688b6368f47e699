/**
 * Bugs put back on purpose: a simulator that finds nothing proves nothing unless it finds what is there. Each must be found from random
 * seeds within a budget, and the same seed must be clean without the bug. `consequencesOnly` leaves out the judges of rules, so
 * that nothing counts but harm done: two leaders, a lost write, a stale read.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Mutation, simulate } from '@quorate/raft/sim'
import { describeViolation, findViolation } from './support.ts'

interface Case {
  readonly mutation: Mutation
  readonly what: string
  /** Seeds to search at most. */
  readonly budget: number
  readonly consequencesOnly: boolean
  readonly nodes?: number
}

const cases: readonly Case[] = [
  { mutation: 'vote-not-persisted', what: 'a vote that is not persisted', budget: 100, consequencesOnly: false },
  { mutation: 'vote-not-persisted', what: 'two votes in a term, across a crash', budget: 1000, consequencesOnly: true },
  {
    mutation: 'commit-old-term-by-counting',
    what: 'the loss of an entry of an older term, committed by counting (figure 8)',
    budget: 6000,
    consequencesOnly: true
  },
  {
    mutation: 'no-own-term-barrier',
    what: 'a change of members before the own term',
    budget: 300,
    consequencesOnly: false
  },
  {
    mutation: 'no-own-term-barrier',
    what: 'two majorities that do not meet, for want of the barrier',
    budget: 8000,
    consequencesOnly: true,
    nodes: 4
  },
  { mutation: 'own-match-at-append', what: 'a commit that stands on no disk', budget: 100, consequencesOnly: true },
  {
    mutation: 'ack-before-durable',
    what: 'an acknowledgement of what is not durable',
    budget: 100,
    consequencesOnly: true
  },
  {
    mutation: 'commit-past-match',
    what: 'the commit of a tail that nobody verified',
    budget: 300,
    consequencesOnly: true
  },
  { mutation: 'truncate-on-overlap', what: 'a log cut by an old message', budget: 100, consequencesOnly: true },
  {
    mutation: 'read-unconfirmed',
    what: 'a stale read of a leader that was replaced',
    budget: 3000,
    consequencesOnly: true
  }
]

describe('with a bug put back on purpose', () => {
  for (const { mutation, what, budget, consequencesOnly, nodes = 5 } of cases) {
    it(`finds ${what}`, (t) => {
      const found = findViolation(1, budget, { nodes, mutations: new Set([mutation]), consequencesOnly })
      assert(found?.violation !== undefined, `${mutation} was not found in ${budget} seeds`)
      t.diagnostic(`seed ${found.seed}: ${found.violation.judge}: ${found.violation.message}`)
      assert.notEqual(found.violation.judge, 'exception', describeViolation(found))
      assert.notEqual(found.violation.judge, 'liveness', describeViolation(found))
      const without = simulate({ seed: found.seed, nodes, consequencesOnly })
      assert(without.violation === undefined, describeViolation(without))
    })
  }
})
