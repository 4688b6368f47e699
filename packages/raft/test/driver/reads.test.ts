import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Reads } from '../../src/driver/reads.ts'
import { ManualClock } from '../support/manual-clock.ts'

describe('Reads', () => {
  it('lets nobody wait, and leaves no timer, when the node stops between two questions', async () => {
    const clock = new ManualClock()
    let wakes = 0
    const reads = new Reads(clock, 1000, 0, () => wakes++)
    const barrier = reads.barrier(undefined)
    assert.ok(reads.take(1, 0))
    assert.ok(reads.onRefused(1, 'leadership-lost', 'nobody leads'))
    reads.stop('the node was closed')
    await assert.rejects(barrier, { name: 'ReadUnavailableError', message: /closed/ })
    const before = wakes
    clock.jump(1000)
    assert.equal(wakes, before)
    assert.equal(reads.queued, false)
  })
})
