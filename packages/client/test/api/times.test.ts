import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatTime, parseTime, zeroTime } from '@quorate/client/api'
import fc from 'fast-check'

describe('times', () => {
  it('reads back what it writes', () => {
    const min = Date.UTC(1900, 0, 1)
    const max = Date.UTC(9999, 11, 31)
    fc.assert(
      fc.property(fc.integer({ min, max }), (ms) => {
        assert.equal(parseTime(formatTime(ms)), ms === 0 ? undefined : ms)
      })
    )
  })

  it('writes no zeros at the end of a second', () => {
    assert.equal(formatTime(Date.UTC(2026, 0, 2, 3, 4, 5, 100)), '2026-01-02T03:04:05.1Z')
    assert.equal(formatTime(Date.UTC(2026, 0, 2, 3, 4, 10)), '2026-01-02T03:04:10Z')
  })

  it('writes and reads never as the zero time', () => {
    assert.equal(formatTime(undefined), zeroTime)
    assert.equal(formatTime(0), zeroTime)
    assert.equal(parseTime(zeroTime), undefined)
    assert.equal(parseTime('1970-01-01T00:00:00Z'), undefined)
  })

  it('reads nanoseconds and offsets', () => {
    assert.equal(parseTime('2026-01-02T03:04:05.123456789-01:30'), Date.UTC(2026, 0, 2, 4, 34, 5, 123))
  })

  for (const text of [
    '',
    'tomorrow',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01',
    '2026-01-01T00:00:00',
    '2026-01-01 00:00:00Z'
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseTime(text), SyntaxError)
    })
  }

  it('knows the 29th of February of a leap year', () => {
    assert.equal(parseTime('2028-02-29T00:00:00Z'), Date.UTC(2028, 1, 29))
  })
})
