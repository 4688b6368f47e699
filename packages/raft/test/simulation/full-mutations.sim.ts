/**
 * Bugs put back on purpose outside the core: in the wait for the disk, in the storage, in what a service does with a machine that lost its data, in the
 * application. Each of `src/sim/full/bugs.ts` must be found from random seeds within a budget, and the seed that finds it must be clean without it.
 * Budgets are several times what is needed, as in `mutations.sim.ts`.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DRIVER_BUGS, type DriverBug, type Mutation, simulateFull } from '@quorate/raft/sim'
import { findFullViolation } from './full-support.ts'
import { describeViolation } from './support.ts'

/** Seeds to search at most. */
const BUDGET = 400

/** Whose harm, not only whose broken rule, shows within seconds: seeds to search at most. */
const HARMS: Partial<Record<DriverBug, number>> = {
  'never-synced': 50,
  'frame-limit-unchecked': 20,
  'newest-snapshot-pruned': 50,
  'names-not-synced': 50,
  'log-kept-beside-snapshot': 50,
  'answers-before-applied': 50,
  'foreign-files-accepted': 80
}

const isDriverBug = (bug: string): bug is DriverBug => (DRIVER_BUGS as readonly string[]).includes(bug)

async function finds(bug: DriverBug | Mutation, budget: number, consequencesOnly: boolean): Promise<string> {
  const putBack = isDriverBug(bug) ? { bugs: new Set([bug]) } : { mutations: new Set([bug]) }
  const found = await findFullViolation(1, budget, { ...putBack, consequencesOnly })
  assert(found?.violation !== undefined, `${bug} was not found in ${budget} seeds`)
  assert.notEqual(found.violation.judge, 'exception', describeViolation(found))
  const without = await simulateFull({ seed: found.seed, consequencesOnly })
  assert(without.violation === undefined, describeViolation(without))
  return `seed ${found.seed}: ${found.violation.judge}: ${found.violation.message.split('\n')[0]}`
}

describe('with a bug put back outside the core', () => {
  for (const bug of DRIVER_BUGS) {
    it(`finds ${bug}`, async (t) => t.diagnostic(await finds(bug, BUDGET, false)))
  }
})

describe('with a bug put back outside the core, and no judge of rules', () => {
  for (const [bug, budget] of Object.entries(HARMS) as [DriverBug, number][]) {
    it(`finds the harm of ${bug}`, async (t) => t.diagnostic(await finds(bug, budget, true)))
  }
})

describe('with a bug of the core put back, in groups that are upgraded one node at a time', () => {
  for (const consequencesOnly of [false, true]) {
    it(`finds ${consequencesOnly ? 'the harm of ' : ''}level-raised-unasked`, async (t) => {
      t.diagnostic(await finds('level-raised-unasked', 100, consequencesOnly))
    })
  }
})
