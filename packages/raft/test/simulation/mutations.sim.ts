/**
 * Bugs put back on purpose: a simulator that finds nothing proves nothing unless it finds what is there. Each bug of `src/core/mutations.ts` has a seed
 * that was found by searching from 1 on (`../traps/known-seeds.json`); here that seed has to find it, by the same judge, and to be clean without it. "Harm"
 * leaves out the judges of rules, so that nothing counts but what a user would notice: two leaders, a lost write, a stale read, a group that does not come
 * back.
 *
 * A change of the core or the simulator makes every seed another world. Then search anew, which takes a few minutes of CPU:
 *
 *   npx node --conditions=quorate-source packages/raft/test/simulation/mutation-search.ts --write
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MUTATIONS, type Mutation, simulate } from '@quorate/raft/sim'
import { type Finding, readKnownSeeds } from '../traps/known-seeds.ts'
import { describeViolation } from './support.ts'

const known = readKnownSeeds()

function finds(mutation: Mutation, { seed, judge }: Finding, consequencesOnly: boolean): string {
  const report = simulate({ seed, consequencesOnly, mutations: new Set([mutation]) })
  const { violation } = report
  assert(
    violation !== undefined,
    `seed ${seed} finds ${mutation} no more; search anew with mutation-search.ts --write ${mutation}`
  )
  assert.equal(violation.judge, judge, describeViolation(report))
  const without = simulate({ seed, consequencesOnly })
  assert(without.violation === undefined, describeViolation(without))
  return `seed ${seed}: ${judge}: ${violation.message.split('\n')[0]}`
}

describe('with a bug put back on purpose', () => {
  for (const mutation of MUTATIONS) {
    const finding = known[mutation]?.rule
    it(`finds ${mutation}`, (t) => {
      assert(finding !== undefined, `no seed is known that finds ${mutation}`)
      t.diagnostic(finds(mutation, finding, false))
    })
  }
})

describe('with a bug put back on purpose, and no judge of rules', () => {
  for (const mutation of MUTATIONS) {
    const finding = known[mutation]?.harm
    if (finding === undefined) continue
    it(`finds the harm of ${mutation}`, (t) => {
      t.diagnostic(finds(mutation, finding, true))
    })
  }
})
