/** What the core promises its drivers, whatever they hand in: it halts for good, and refuses settings that make no sense. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { group } from './interaction/paper-stage.ts'
import { Stage } from './interaction/stage.ts'

describe('the core itself', () => {
  it('answers nothing after it halted', () => {
    const stage = new Stage()
    stage.add(['a'], { voters: ['a'], outgoing: [], learners: [] })
    const { core } = stage.actor('a')
    const out: Parameters<typeof core.step>[2] = []
    core.step({ type: 'applied', index: 99 }, 1, out)
    assert.deepEqual(
      out.map((effect) => effect.type),
      ['halt']
    )
    core.step({ type: 'tick' }, 1000, out)
    assert.equal(out.length, 1)
  })

  it('halts when time goes back', () => {
    const stage = group('abc')
    const out: Parameters<ReturnType<Stage['actor']>['core']['step']>[2] = []
    stage.actor('a').core.step({ type: 'tick' }, 1, out)
    assert.ok(out[0]?.type === 'halt')
  })

  it('refuses options that make no sense, by name and value', () => {
    assert.throws(() => new Stage({ heartbeatMs: 200 }).add(['a'], { voters: ['a'], outgoing: [], learners: [] }), {
      name: 'RangeError',
      message: /heartbeatMs is 200/
    })
    assert.throws(() => new Stage({ maxAppendBytes: 0 }).add(['a'], { voters: ['a'], outgoing: [], learners: [] }), {
      name: 'RangeError',
      message: /maxAppendBytes is 0/
    })
  })

  it('refuses a supported level that no version can have', () => {
    for (const level of [0, 1.5, 256, Number.NaN]) {
      const stage = new Stage()
      stage.own('a', 'version', level)
      assert.throws(() => stage.add(['a'], { voters: ['a'], outgoing: [], learners: [] }), {
        name: 'RangeError',
        message: new RegExp(`supportedLevel is ${level}`)
      })
    }
  })
})
