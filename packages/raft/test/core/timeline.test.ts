import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Timeline } from '../../src/core/timeline.ts'

type Move =
  | { readonly type: 'append'; readonly value: number }
  | { readonly type: 'truncate' | 'compact'; readonly part: number }

const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('append' as const), value: fc.nat(3) }) },
  fc.record({
    type: fc.constantFrom('truncate' as const, 'compact' as const),
    part: fc.double({ min: 0, max: 1, noNaN: true })
  })
)

describe('Timeline', () => {
  it('holds at each index what the last entry up to there brought', () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
        const timeline = new Timeline(10, 1)
        /** Index → value, from the base on. */
        let model = new Map([[10, 1]])
        for (const each of moves) {
          const indexes = [...model.keys()]
          const [first, last] = [indexes[0]!, indexes.at(-1)!]
          if (each.type === 'append') {
            timeline.append(last + 1, each.value)
            model.set(last + 1, each.value)
          } else if (last > first) {
            const at = first + 1 + Math.floor(each.part * (last - first - 1))
            if (each.type === 'truncate') timeline.truncate(at)
            else timeline.compact(at)
            model = new Map([...model].filter(([index]) => (each.type === 'truncate' ? index < at : index >= at)))
          }
          for (const [index, value] of model) {
            assert.equal(timeline.at(index), value)
            const since = [...model].filter(([other]) => other >= index).map(([, held]) => held)
            assert.equal(timeline.highestSince(index), Math.max(...since))
          }
          assert.equal(timeline.last.value, [...model.values()].at(-1))
        }
      })
    )
  })
})
