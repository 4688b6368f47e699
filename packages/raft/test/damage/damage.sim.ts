/**
 * Ten thousand damaged disks, and the proof that the suite finds what it is for. Apart from the unit tests for its time: two to three minutes
 * of one core. More of them, or others, with `run.ts`.
 */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { faultsAsEnd, runCases } from './suite.ts'

it('loses nothing and comes back in 10,000 cases of damage to a minority of 3 and 5 nodes (T52 to T55, T58)', async (t) => {
  const totals = await runCases({ firstSeed: 1, cases: 10_000 })
  t.diagnostic(JSON.stringify(totals))
  // Damage that nobody notices, or power cuts that meet no repair, would prove nothing.
  assert(totals.repaired > 2000, `${totals.repaired} nodes were repaired`)
  assert(totals.quarantined > 500, `${totals.quarantined} nodes took a new name`)
  assert(totals.powerCuts > 500, `the power went ${totals.powerCuts} times`)
  assert(totals.ledByVictim > 2000, `a damaged node led ${totals.ledByVictim} times`)
})

it('finds lost writes when a fault is taken for the end of the log (T54)', async () => {
  await assert.rejects(runCases({ firstSeed: 1, cases: 500, around: faultsAsEnd }), /lacks what was acknowledged/)
})

it('does the same for the same seed', async () => {
  assert.deepEqual(await runCases({ firstSeed: 40, cases: 20 }), await runCases({ firstSeed: 40, cases: 20 }))
})
