import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { beginDeadline } from '../../src/consensus/deadline.ts'

const FAR_MS = 3_600_000

describe('a deadline', () => {
  it('aborts at its limit', async (t) => {
    const { signal, clear } = beginDeadline(1, undefined)
    t.after(clear)
    await once(signal, 'abort')
    assert.equal((signal.reason as Error).name, 'TimeoutError')
  })

  it('aborts with the signal it was given, for its reason', (t) => {
    const outer = new AbortController()
    const { signal, clear } = beginDeadline(FAR_MS, outer.signal)
    t.after(clear)
    assert.equal(signal.aborted, false)
    outer.abort(new Error('enough'))
    assert.equal((signal.reason as Error).message, 'enough')
  })

  it('is over at once when the signal is', (t) => {
    const { signal, clear } = beginDeadline(FAR_MS, AbortSignal.abort(new Error('enough')))
    t.after(clear)
    assert.equal((signal.reason as Error).message, 'enough')
  })

  it('leaves no timer and no listener behind once it is cleared', (t) => {
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    const outer = new AbortController()
    const { signal, clear } = beginDeadline(FAR_MS, outer.signal)
    assert.equal(timers(), before + 1)
    clear()
    t.after(clear)
    assert.equal(timers(), before)
    outer.abort()
    assert.equal(signal.aborted, false)
  })
})
