/** A few seeds of groups of every size, in the time of a unit test; `seeds.sim.ts` runs the many. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describeViolation, findViolation } from './support.ts'

describe('the simulated group', () => {
  for (const nodes of [1, 2, 3, 4, 5, 7]) {
    it(`of ${nodes} keeps every invariant over 10 seeds`, () => {
      const found = findViolation(1, 10, { nodes })
      assert(found === undefined, found && describeViolation(found))
    })
  }

  it('commits and reads under faults', () => {
    let writes = 0
    let reads = 0
    let crashes = 0
    const found = findViolation(100, 10, {}, (report) => {
      writes += report.workload.acknowledged
      reads += report.workload.readsServed
      crashes += report.nemesis.crashes
    })
    assert(found === undefined, found && describeViolation(found))
    assert(writes > 1000, `${writes} writes were acknowledged`)
    assert(reads > 100, `${reads} reads were served`)
    assert(crashes > 10, `${crashes} crashes`)
  })
})
