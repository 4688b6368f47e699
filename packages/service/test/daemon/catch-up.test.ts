/** A state that was begun anew is not shown to the tracker before it has come to where the others are. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { stateCaughtUp } from '../../src/daemon/catch-up.ts'
import { hang, named } from '../consensus/fakes.ts'

describe('a state that was begun anew', () => {
  it('is waited for while no leader answers', async () => {
    let asked = 0
    const readBarrier = async () => {
      if (++asked < 3) throw named('ReadUnavailableError')
      return 7
    }
    await stateCaughtUp({ readBarrier }, new AbortController().signal)
    assert.equal(asked, 3)
  })

  it('leaves everything else its turn when the node refuses at once, as one that has halted does', async () => {
    const stopping = new AbortController()
    const readBarrier = () => Promise.reject(named('ReadUnavailableError'))
    setImmediate(() => stopping.abort(new Error('it has halted')))
    await assert.rejects(stateCaughtUp({ readBarrier }, stopping.signal), /it has halted/)
  })

  it('is not waited for when the daemon stops', async () => {
    const stopping = new AbortController()
    const waiting = stateCaughtUp({ readBarrier: (options) => hang(options?.signal) }, stopping.signal)
    stopping.abort(new Error('stopped'))
    await assert.rejects(waiting, /stopped/)
  })
})
