/** `core/progress.ts`: the transitions of its diagram, and its inequalities under any run of events. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Progress } from '../../src/core/progress.ts'

const fresh = (nextIndex = 11): Progress => new Progress('p', nextIndex, 0, 4, 1000)

describe('Progress', () => {
  it('probes with one message at a time', () => {
    const peer = fresh()
    assert.equal(peer.state, 'probe')
    assert.equal(peer.paused, false)
    peer.sent(12, 10)
    assert.equal(peer.paused, true)
    assert.equal(peer.nextIndex, 11, 'a probe does not run ahead')
  })

  it('replicates ahead of the answers until the count of messages is reached', () => {
    const peer = fresh()
    peer.becomeReplicate()
    for (let i = 1; i <= 4; i++) {
      assert.equal(peer.paused, false)
      peer.sent(i, 1)
    }
    assert.equal(peer.paused, true)
    peer.agreed(2)
    assert.equal(peer.paused, false)
    assert.equal(peer.inflight.count, 2)
    assert.equal(peer.inflight.bytes, 2)
  })

  it('replicates ahead until the bytes are reached, counting the message that crosses the limit', () => {
    const peer = fresh()
    peer.becomeReplicate()
    peer.sent(1, 5000)
    assert.equal(peer.paused, true)
    peer.agreed(1)
    assert.equal(peer.paused, false)
    assert.equal(peer.inflight.bytes, 0)
  })

  it('steps back to where the logs could agree after a refusal, in one step (T13)', () => {
    const peer = fresh(100)
    assert.equal(peer.refused(99, 40), true)
    assert.equal(peer.nextIndex, 41)
    assert.equal(peer.paused, false)
  })

  it('steps back by one at least, even if the hint says otherwise', () => {
    const peer = fresh(100)
    assert.equal(peer.refused(99, 99), true)
    assert.equal(peer.nextIndex, 99)
  })

  it('ignores a refusal of something else than the last probe', () => {
    const peer = fresh(100)
    assert.equal(peer.refused(50, 10), false)
    assert.equal(peer.nextIndex, 100)
  })

  it('ignores a refusal that was overtaken by an agreement', () => {
    const peer = fresh(100)
    peer.agreed(60)
    peer.becomeReplicate()
    assert.equal(peer.refused(60, 3), false)
    assert.equal(peer.state, 'replicate')
  })

  it('falls back to probing when a message ahead was refused', () => {
    const peer = fresh(1)
    peer.becomeReplicate()
    peer.sent(5, 1)
    peer.sent(9, 1)
    assert.equal(peer.refused(5, 0), true)
    assert.equal(peer.state, 'probe')
    assert.equal(peer.nextIndex, 1)
    assert.equal(peer.inflight.count, 0)
  })

  it('sends no entries while a snapshot is on its way, and goes on where it stands', () => {
    const peer = fresh(1)
    peer.becomeSnapshot(0)
    assert.equal(peer.paused, true)
    assert.equal(peer.refused(0, 0), false)
    peer.agreed(50)
    peer.becomeReplicate()
    assert.equal(peer.nextIndex, 51)
  })

  it('probes anew when the stream changed, from where it was', () => {
    const probing = fresh(100)
    probing.sent(101, 1)
    probing.streamChanged()
    assert.deepEqual([probing.paused, probing.nextIndex], [false, 100])
    const ahead = fresh(1)
    ahead.becomeReplicate()
    ahead.sent(7, 1)
    ahead.agreed(3)
    ahead.streamChanged()
    assert.deepEqual([ahead.state, ahead.nextIndex], ['probe', 4])
  })

  it('keeps match below next, and never lets match fall, under any run of events (T13)', () => {
    const index = fc.nat({ max: 40 })
    const event = fc.oneof(
      fc.record({ kind: fc.constant('agreed' as const), index }),
      fc.record({ kind: fc.constant('refused' as const), index, hint: index }),
      fc.record({ kind: fc.constant('sent' as const), count: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ kind: fc.constantFrom('replicate' as const, 'snapshot' as const, 'stream' as const) })
    )
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80 }), (events) => {
        const peer = fresh(20)
        let match = 0
        for (const e of events) {
          if (e.kind === 'agreed') peer.agreed(e.index)
          else if (e.kind === 'refused') peer.refused(e.index, e.hint)
          else if (e.kind === 'sent') {
            if (!peer.paused) peer.sent(peer.nextIndex + e.count - 1, e.count)
          } else if (e.kind === 'replicate') peer.becomeReplicate()
          else if (e.kind === 'snapshot') peer.becomeSnapshot(0)
          else peer.streamChanged()
          assert.ok(peer.matchIndex < peer.nextIndex, `match ${peer.matchIndex}, next ${peer.nextIndex}`)
          assert.ok(peer.matchIndex >= match)
          assert.ok(peer.inflight.count >= 0 && peer.inflight.count <= 4 && peer.inflight.bytes >= 0)
          if (peer.state !== 'replicate') assert.equal(peer.inflight.count, 0)
          match = peer.matchIndex
        }
      })
    )
  })
})
