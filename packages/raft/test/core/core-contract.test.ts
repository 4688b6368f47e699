/** What the core promises its drivers, whatever they hand in: it halts for good, and refuses settings that make no sense. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { makeEntry } from '../../src/core/record.ts'
import { EntryKind } from '../../src/core/types.ts'
import { effectsOf, group } from './interaction/paper-stage.ts'
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

  it('says whose message cannot be right, and why, and goes on', () => {
    const stage = group('abc')
    const { term } = stage.status('a')
    const base = { index: 9, term: term + 1, chain: 0, config: { voters: ['a'], outgoing: [], learners: [] } }
    stage.forge('a', 'b', { type: 'install-snapshot-request', term, base, readPosition: 0 })
    stage.forge('a', 'b', {
      type: 'append-entries-request',
      term,
      prevIndex: 1,
      prevTerm: term,
      prevChain: 0,
      entries: [makeEntry(3, term, EntryKind.command, Uint8Array.of(1), 0, crc32)],
      commitIndex: 0,
      readPosition: 0
    })
    const answer = { success: true, index: 99, hintIndex: 0, hintTerm: 0, readPosition: 0 }
    stage.forge('c', 'a', { type: 'append-entries-response', term, ...answer, health: 'good', priority: 0 })
    const alarms = effectsOf(stage, 'alarm').map(({ effect }) => effect)
    assert.deepEqual(alarms, [
      {
        type: 'alarm',
        code: 'bad-snapshot',
        detail: `a offers a snapshot at 9 of term ${term + 1} that cannot be one: it leads in term ${term}`,
        peer: 'a'
      },
      {
        type: 'alarm',
        code: 'bad-append',
        detail: 'a sent entries that cannot be taken: entry 3 follows 1',
        peer: 'a'
      },
      { type: 'alarm', code: 'bad-answer', detail: 'c answered for 99, past the last entry 1', peer: 'c' }
    ])
    assert.equal(stage.actor('a').halted || stage.actor('b').halted, false)
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
