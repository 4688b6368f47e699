/** The same seed is the same run, event for event: without that no failure could be replayed. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { simulate } from '@quorate/raft/sim'

describe('a seed', () => {
  it('gives the same trace when it is run again', () => {
    for (const seed of [3, 62, 381, 457, 898]) {
      const first = simulate({ seed })
      const again = simulate({ seed })
      assert.equal(again.traceHash, first.traceHash, `seed ${seed}`)
      assert.deepEqual(again, first, `seed ${seed}`)
    }
  })

  it('gives another trace than the next seed', () => {
    assert.notEqual(simulate({ seed: 1 }).traceHash, simulate({ seed: 2 }).traceHash)
  })

  it('gives the same violation at the same moment, under a bug put back on purpose', () => {
    const init = { seed: 1, mutations: new Set(['ack-before-durable'] as const) }
    const first = simulate(init)
    assert(first.violation !== undefined)
    assert.deepEqual(simulate(init), first)
  })

  it('comes with the command that replays it', () => {
    const report = simulate({ seed: 5, nodes: 3, faultsMs: 100, mutations: new Set(['read-unconfirmed'] as const) })
    const command = 'npm run test:simulation -- --seed=5 --nodes=3 --faults-ms=100 --mutation=read-unconfirmed'
    assert.equal(report.replay, command)
  })
})
