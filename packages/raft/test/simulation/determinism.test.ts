/** The same seed is the same run, event for event: without that no failure could be replayed. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { simulate, simulateFull } from '@quorate/raft/sim'

const command = new URL('run.ts', import.meta.url).pathname

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

describe('a seed of the full mode', () => {
  it('gives the same trace when it is run again', async () => {
    for (const seed of [4, 19, 77]) {
      const first = await simulateFull({ seed, faultsMs: 2000 })
      assert.deepEqual(await simulateFull({ seed, faultsMs: 2000 }), first, `seed ${seed}`)
    }
  })

  it('gives the same trace in another process', async () => {
    const seed = 32
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--conditions=quorate-source',
      command,
      '--full',
      `--seed=${seed}`,
      '--faults-ms=2000'
    ])
    const { traceHash } = await simulateFull({ seed, faultsMs: 2000 })
    assert.match(stdout, new RegExp(`"traceHash": "${traceHash}"`))
  })

  it('comes with the command that replays it', async () => {
    const report = await simulateFull({ seed: 5, nodes: 1, faultsMs: 100, bugs: new Set(['never-synced'] as const) })
    const expected = 'npm run test:simulation -- --full --seed=5 --nodes=1 --faults-ms=100 --mutation=never-synced'
    assert.equal(report.replay, expected)
  })
})
