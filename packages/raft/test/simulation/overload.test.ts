/** Worlds in which nothing is wrong but that the machine is busy: there commits have to go on all the time, not only once it is over. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type SimulationReport, simulate } from '@quorate/raft/sim'
import { describeViolation } from './support.ts'

/** The first seeds of such worlds. */
function merelySlow(count: number): number[] {
  const seeds: number[] = []
  for (let seed = 1; seeds.length < count; seed++) {
    if (simulate({ seed, nodes: 3, faultsMs: 1 }).profile.overload.isAlone) seeds.push(seed)
  }
  return seeds
}

describe('a group that is merely slow', () => {
  const run = (seed: number): SimulationReport => simulate({ seed, nodes: 3, faultsMs: 30_000 })

  it('goes on committing while its machine is overloaded, and keeps its leaders', () => {
    for (const seed of merelySlow(10)) {
      const report = run(seed)
      assert(report.violation === undefined, describeViolation(report))
      assert(report.workload.acknowledged > 20, `seed ${seed}: ${report.workload.acknowledged} writes`)
      // Health may move the lead now and then, and a stall of most of an election timeout may cost it.
      const simulatedTimeouts = report.simulatedMs / report.profile.core.electionTimeoutMs
      assert(
        report.terms < simulatedTimeouts / 8,
        `seed ${seed}: ${report.terms} terms in ${simulatedTimeouts} timeouts`
      )
    }
  })

  it('is found out if it does not', () => {
    const found = merelySlow(3).map((seed) =>
      simulate({ seed, nodes: 3, faultsMs: 60_000, consequencesOnly: true, mutations: new Set(['window-never-freed']) })
    )
    assert(
      found.some(({ violation }) => violation?.judge === 'liveness' && /merely slow/.test(violation.message)),
      found.map(({ violation }) => violation?.message).join('\n')
    )
  })
})
