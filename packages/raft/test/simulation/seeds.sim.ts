/** A thousand seeds of five nodes, and the proof that their faults did happen. Apart from the unit tests for its time: one to two minutes of one core. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { describeViolation, findViolation } from './support.ts'

it('keeps every invariant over 1,000 seeds of 5 nodes', (t) => {
  const seen = { simulatedMs: 0, events: 0, terms: 0, writes: 0, reads: 0, lost: 0 }
  const faults = {
    crashes: 0,
    pauses: 0,
    partitions: 0,
    changes: 0,
    transfers: 0,
    strikes: 0,
    diskFailures: 0,
    dropped: 0,
    duplicated: 0
  }
  const found = findViolation(
    1,
    1000,
    { nodes: 5, faultsMs: 60_000 },
    ({ simulatedMs, events, terms, workload, nemesis, network }) => {
      seen.simulatedMs += simulatedMs
      seen.events += events
      seen.terms += terms
      seen.writes += workload.acknowledged
      seen.reads += workload.readsServed
      seen.lost += workload.lost
      faults.crashes += nemesis.crashes
      faults.pauses += nemesis.pauses
      faults.partitions += nemesis.partitions
      faults.changes += nemesis.changes
      faults.transfers += nemesis.transfers
      faults.strikes += nemesis.strikes
      faults.diskFailures += nemesis.diskFailures
      faults.dropped += network.dropped
      faults.duplicated += network.duplicated
    }
  )
  t.diagnostic(
    `${(seen.simulatedMs / 3_600_000).toFixed(2)} simulated hours: ${JSON.stringify({ ...seen, ...faults })}`
  )
  assert(found === undefined, found && describeViolation(found))
  // A world without faults, or without work, would prove nothing.
  for (const [fault, count] of Object.entries(faults)) assert(count > 500, `${fault} happened ${count} times`)
  assert(seen.writes > 100_000, `${seen.writes} writes were acknowledged`)
  assert(seen.reads > 50_000, `${seen.reads} reads were served`)
  assert(seen.terms > 5000, `there were ${seen.terms} terms with a leader`)
})
