/**
 * Bugs put back on purpose: a simulator that finds nothing proves nothing unless it finds what is there. Each bug of `src/core/mutations.ts` must be
 * found from random seeds within a budget, and the seed that finds it must be clean without it. `harm` leaves out the judges of rules, so that nothing
 * counts but what a user would notice: two leaders, a lost write, a stale read, a group that does not come back.
 *
 * Budgets are several times what is needed (`mutation-search.ts` measures it, `docs/simulation.md` has the table), so that a change
 * of the core, which makes every seed another world, seldom needs a change here.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MUTATIONS, type Mutation, simulate } from '@quorate/raft/sim'
import { describeViolation, findViolation } from './support.ts'

/** Found in this many seeds, unless `BUDGETS` says otherwise. */
const BUDGET = 150

const BUDGETS: Partial<Record<Mutation, number>> = {
  'answers-of-old-terms-counted': 600,
  'log-kept-by-snapshot': 800,
  'commit-ignores-outgoing': 300,
  'election-ignores-outgoing': 300,
  'lease-not-waited-for': 300,
  'lease-kept-by-transfer': 600
}

/** Not found by random seeds within minutes of CPU: proved elsewhere, as `docs/simulation.md` says. */
const TOO_RARE: readonly Mutation[] = ['lease-from-answer', 'config-kept-by-snapshot', 'question-numbers-reused']

/** Whose harm, not only whose broken rule, shows within seconds: seeds to search at most. */
const HARMS: Partial<Record<Mutation, number>> = {
  'vote-not-persisted': 600,
  'vote-erased-on-step-down': 300,
  'ack-before-durable': 100,
  'refusal-counted-as-vote': 100,
  'apply-before-durable': 100,
  'commit-old-term-by-counting': 600,
  'own-match-at-append': 100,
  'heartbeat-proves-all': 400,
  'config-at-commit': 100,
  'removed-voter-never-campaigns': 800,
  'commit-ignores-outgoing': 300,
  'lease-not-waited-for': 1500,
  'lease-kept-by-transfer': 1200
}

function finds(mutation: Mutation, budget: number, consequencesOnly: boolean): string {
  const found = findViolation(1, budget, { mutations: new Set([mutation]), consequencesOnly })
  assert(found?.violation !== undefined, `${mutation} was not found in ${budget} seeds`)
  assert.notEqual(found.violation.judge, 'exception', describeViolation(found))
  const without = simulate({ seed: found.seed, consequencesOnly })
  assert(without.violation === undefined, describeViolation(without))
  return `seed ${found.seed}: ${found.violation.judge}: ${found.violation.message.split('\n')[0]}`
}

describe('with a bug put back on purpose', () => {
  for (const mutation of MUTATIONS) {
    if (TOO_RARE.includes(mutation)) continue
    it(`finds ${mutation}`, (t) => {
      t.diagnostic(finds(mutation, BUDGETS[mutation] ?? BUDGET, false))
    })
  }
})

describe('with a bug put back on purpose, and no judge of rules', () => {
  for (const [mutation, budget] of Object.entries(HARMS) as [Mutation, number][]) {
    it(`finds the harm of ${mutation}`, (t) => {
      t.diagnostic(finds(mutation, budget, true))
    })
  }
})
