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

  it('answers those who still wait, when others gave up before and after their index was known', async () => {
    const reads = new Reads(new ManualClock(), 1000, 0, () => {})
    const [early, late] = [new AbortController(), new AbortController()]
    const gaveUp = [reads.applied(5, early.signal), reads.barrier(early.signal), reads.barrier(late.signal)]
    const patient = [reads.applied(5, undefined), reads.barrier(undefined)]
    assert.ok(reads.take(1, 0))
    early.abort()
    reads.onReady(1, 5, 0)
    late.abort()
    await Promise.all(gaveUp.map((read) => assert.rejects(read, { name: 'ReadUnavailableError' })))
    reads.onApplied(4)
    reads.onApplied(7)
    assert.deepEqual(await Promise.all(patient), [7, 7])
  })
})
