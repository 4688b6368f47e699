/** The pace at which figures of speed can be compared. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { simulate } from '@quorate/raft/sim'

describe('the reference pace', () => {
  it('has the timeouts of the defaults and 20 requests a second of all kinds together', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const { profile, violation, replay } = simulate({ seed, nodes: 3, faultsMs: 1, pace: 'reference' })
      const { core, workload, standing } = profile
      assert.equal(violation, undefined, `seed ${seed}`)
      assert.match(replay, /--pace=reference/)
      assert.equal(core.electionTimeoutMs, 450)
      assert.equal(core.heartbeatMs, 75)
      const means = [workload.meanProposalUs, workload.meanReadUs, standing.meanLeaseReadUs]
      if (workload.sessions !== undefined) means.push(workload.meanProposalUs)
      const perSecond = means.reduce((sum, mean) => sum + (mean > 0 ? 1e6 / mean : 0), 0)
      assert(Math.abs(perSecond - 20) < 1e-6, `seed ${seed}: ${perSecond} requests a second`)
    }
  })

  it('leaves the faults of a seed as they are', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const drawn = simulate({ seed, nodes: 3, faultsMs: 1 }).profile
      const paced = simulate({ seed, nodes: 3, faultsMs: 1, pace: 'reference' }).profile
      assert.deepEqual(
        [paced.network, paced.disk, paced.nemesis, paced.node],
        [drawn.network, drawn.disk, drawn.nemesis, drawn.node],
        `seed ${seed}`
      )
    }
  })
})
