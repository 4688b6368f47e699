/**
 * A share of the seeds with the real driver, storage and codec, and the proof that what can become of a disk did become of it. Some forty seconds of one
 * core.
 */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { findFullViolation } from './full-support.ts'
import { describeViolation } from './support.ts'

const GROUPS = [
  { nodes: 5, seeds: 250 },
  { nodes: 3, seeds: 120 },
  { nodes: 1, seeds: 15 },
  { nodes: 2, seeds: 15 }
]

it('keeps every invariant over 400 seeds of the full mode', async (t) => {
  const seen: Record<string, number> = {}
  const add = (counts: object): void => {
    for (const [what, count] of Object.entries(counts)) seen[what] = (seen[what] ?? 0) + Number(count)
  }
  for (const { nodes, seeds } of GROUPS) {
    const found = await findFullViolation(1, seeds, { nodes }, (report) => {
      const { simulatedMs, terms, level, workload, nemesis, disks } = report
      add({ simulatedMs, terms, raised: level > 1, ...workload, ...nemesis, ...disks })
    })
    assert(found === undefined, found && describeViolation(found))
  }
  t.diagnostic(JSON.stringify(seen))
  // A world without faults, or without work, would prove nothing.
  for (const fault of ['rot', 'wipe', 'rollback', 'foreign', 'fullDisks', 'renamed', 'diskFailures', 'crashes']) {
    assert((seen[fault] ?? 0) >= 10, `${fault} happened ${seen[fault]} times`)
  }
  assert((seen.raised ?? 0) >= 5, `the feature level was raised in ${seen.raised} worlds`)
  assert((seen.acknowledged ?? 0) > 5000, `${seen.acknowledged} writes were acknowledged`)
  assert((seen.readsServed ?? 0) > 3000, `${seen.readsServed} reads were served`)
})
