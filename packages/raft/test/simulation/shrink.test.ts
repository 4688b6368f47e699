/** A failure is made small, stays the same failure, and says how to see it again. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FAULT_FAMILIES, shrink, simulate } from '@quorate/raft/sim'

describe('shrinking', () => {
  const init = { seed: 3, mutations: new Set(['no-own-term-barrier'] as const) }

  it('keeps the judge, and needs less of a world', () => {
    const before = simulate(init)
    const shrunk = shrink(init)
    assert(before.violation !== undefined && shrunk?.report.violation !== undefined)
    assert.equal(shrunk.report.violation.judge, before.violation.judge)
    assert(shrunk.without.length > FAULT_FAMILIES.length / 2, `it still needs all but ${shrunk.without}`)
    assert(shrunk.report.events < before.events, `${shrunk.report.events} events, ${before.events} before`)
  })

  it('names every family that is left out in the command that replays it', () => {
    const { report, without } = shrink(init) ?? assert.fail('the seed is clean')
    for (const family of without) assert(report.replay.includes(`--without=${family}`), report.replay)
    const faultsMs = Number(/--faults-ms=(\d+)/.exec(report.replay)?.[1])
    assert.deepEqual(simulate({ ...init, nodes: report.nodes, faultsMs, without }), report)
  })

  it('says nothing of a seed that is clean', () => {
    assert.equal(shrink({ seed: 3, nodes: 3, faultsMs: 1000 }), undefined)
  })
})
