import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatDuration, parseDuration } from '@quorate/client/api'
import fc from 'fast-check'

describe('durations', () => {
  for (const [text, ms] of [
    ['0', 0],
    ['0s', 0],
    ['1m30s', 90_000],
    ['200ms', 200],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['1us', 0.001],
    ['1µs', 0.001],
    ['-2s', -2000],
    ['+2s', 2000],
    ['1.1s', 1100]
  ] as const) {
    it(`reads ${text} as ${ms} ms`, () => {
      assert.equal(parseDuration(text), ms)
    })
  }

  for (const [ms, text] of [
    [0, '0s'],
    [90_000, '1m30s'],
    [3_600_000, '1h0m0s'],
    [86_400_000, '24h0m0s'],
    [1500, '1.5s'],
    [0.5, '500µs'],
    [-2000, '-2s'],
    [200, '200ms']
  ] as const) {
    it(`writes ${ms} ms as ${text}`, () => {
      assert.equal(formatDuration(ms), text)
    })
  }

  for (const text of ['', '5', '1d', 's', '1s2', '1 s', '1h-2m', '--1s', '300000000h', '1constructor']) {
    it(`refuses ${JSON.stringify(text)} and names it`, () => {
      assert.throws(
        () => parseDuration(text),
        (error) => error instanceof SyntaxError && error.message.includes(JSON.stringify(text))
      )
    })
  }

  it('reads back what it writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: -9e12, max: 9e12 }), (ms) => {
        assert.equal(parseDuration(formatDuration(ms)), ms)
      })
    )
  })
})
