/** The judge of registers, on histories made by hand, and against a search through all orders on small random ones. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Linearizability } from '../../../src/sim/judges/linearizable.ts'

/** A call: from when to when, and what it wrote or saw. Without an end it was not answered. */
interface Call {
  readonly from: number
  readonly to: number | undefined
  readonly wrote?: number
  readonly saw?: number
}

/** What the judge says of a history of one register. */
function isLinearizable(calls: readonly Call[]): boolean {
  const judge = new Linearizability()
  const operations = new Map<Call, ReturnType<Linearizability['called']>>()
  const moments = calls.flatMap((call) => [
    { at: call.from, call, ends: false },
    ...(call.to === undefined ? [] : [{ at: call.to, call, ends: true }])
  ])
  for (const { call, ends } of moments.sort((a, b) => a.at - b.at)) {
    const operation = operations.get(call)
    if (!ends) operations.set(call, judge.called(0, call.wrote))
    else if (operation !== undefined) judge.answered(operation, call.saw)
  }
  try {
    judge.judge()
    return true
  } catch {
    return false
  }
}

/** Wing and Gong's search: some call that no other one precedes takes effect first, and so on. Unanswered writes may be left over. */
function hasOrder(calls: readonly Call[], value = 0): boolean {
  if (calls.every(({ to }) => to === undefined)) return true
  const firstEnd = Math.min(...calls.map(({ to }) => to ?? Number.POSITIVE_INFINITY))
  return calls.some((call, i) => {
    if (call.from > firstEnd) return false
    if (call.wrote === undefined && call.to !== undefined && call.saw !== value) return false
    const rest = calls.filter((_, other) => other !== i)
    return hasOrder(rest, call.wrote ?? value)
  })
}

describe('linearizability', () => {
  it('takes reads of the latest write, and of any that runs meanwhile', () => {
    assert(
      isLinearizable([
        { from: 1, to: 2, wrote: 1 },
        { from: 3, to: 4, saw: 1 }
      ])
    )
    for (const saw of [0, 1]) {
      assert(
        isLinearizable([
          { from: 1, to: 4, wrote: 1 },
          { from: 2, to: 3, saw }
        ])
      )
    }
  })

  it('objects to a stale read', () => {
    assert(
      !isLinearizable([
        { from: 1, to: 2, wrote: 1 },
        { from: 3, to: 4, saw: 0 }
      ])
    )
    const twice = [
      { from: 1, to: 2, wrote: 1 },
      { from: 3, to: 4, wrote: 2 }
    ]
    assert(!isLinearizable([...twice, { from: 5, to: 6, saw: 1 }]))
  })

  it('objects to reads that go back, though each alone could be', () => {
    const write = { from: 1, to: 10, wrote: 1 }
    assert(isLinearizable([write, { from: 2, to: 3, saw: 0 }, { from: 4, to: 5, saw: 1 }]))
    assert(!isLinearizable([write, { from: 2, to: 3, saw: 1 }, { from: 4, to: 5, saw: 0 }]))
  })

  it('lets a write without an answer take effect late, or never, but not be taken back', () => {
    const write = { from: 1, to: undefined, wrote: 1 }
    assert(isLinearizable([write, { from: 2, to: 3, saw: 0 }, { from: 8, to: 9, saw: 1 }]))
    assert(isLinearizable([write, { from: 2, to: 3, saw: 0 }, { from: 8, to: 9, saw: 0 }]))
    assert(!isLinearizable([write, { from: 2, to: 3, saw: 1 }, { from: 8, to: 9, saw: 0 }]))
  })

  it('objects to a value that nobody wrote, that was refused, or that is written later', () => {
    assert(!isLinearizable([{ from: 1, to: 2, saw: 7 }]))
    assert(
      !isLinearizable([
        { from: 1, to: 2, saw: 1 },
        { from: 3, to: 4, wrote: 1 }
      ])
    )
    const judge = new Linearizability()
    const write = judge.called(0, 1)
    write.failed = true
    judge.answered(judge.called(0, undefined), 1)
    assert.throws(() => judge.judge(), /did not take place/)
  })

  it('says what a search through all orders says', () => {
    const call = fc.record({
      from: fc.nat(30),
      length: fc.integer({ min: 1, max: 12 }),
      kind: fc.nat(5),
      seen: fc.nat(4)
    })
    fc.assert(
      fc.property(fc.array(call, { maxLength: 7 }), (drawn) => {
        let written = 0
        // Moments are all different, as they are in a run.
        const calls = drawn.map(({ from, length, kind, seen }, i): Call => {
          const at = from + i / 100
          if (kind <= 1) return { from: at, to: at + length, wrote: ++written }
          if (kind === 2) return { from: at, to: undefined, wrote: ++written }
          return { from: at, to: at + length + 0.005, saw: seen }
        })
        assert.equal(isLinearizable(calls), hasOrder(calls))
      }),
      { numRuns: 5000, seed: 1 }
    )
  })
})
