import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Histogram } from '../../src/driver/histogram.ts'

describe('a histogram', () => {
  it('puts each value into the first bucket whose bound is not below it', () => {
    const values = fc.array(fc.oneof(fc.double({ min: 0, max: 200, noNaN: true }), fc.integer({ min: 0, max: 5000 })))
    fc.assert(
      fc.property(values, fc.constantFrom(1, 0.064, 3), fc.integer({ min: 1, max: 20 }), (list, unit, buckets) => {
        const histogram = new Histogram(unit, buckets)
        for (const value of list) histogram.add(value)
        const { bounds, counts, sum, count } = histogram.snapshot()
        const expected = new Array(buckets + 1).fill(0)
        for (const value of list) {
          const at = bounds.findIndex((bound) => value <= bound)
          expected[at < 0 ? buckets : at]++
        }
        assert.deepEqual(counts, expected)
        assert.equal(count, list.length)
        assert.ok(Math.abs(sum - list.reduce((total, value) => total + value, 0)) <= 1e-6 * sum)
      }),
      { seed: 1 }
    )
  })

  it('takes what is below 0 for 0, and what is beyond all bounds for the last', () => {
    const histogram = new Histogram(1, 3)
    for (const value of [-5, 1e12, Number.POSITIVE_INFINITY]) histogram.add(value)
    assert.deepEqual(histogram.snapshot().counts, [1, 0, 0, 2])
  })

  it('gives a picture that does not change with what comes later', () => {
    const histogram = new Histogram(1, 3)
    const picture = histogram.snapshot()
    histogram.add(1)
    assert.deepEqual(picture.counts, [0, 0, 0, 0])
  })
})
