/** Virtual time: what the whole simulator stands on. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { EventKind, World } from '../../src/sim/world.ts'

describe('the world', () => {
  it('lets events happen by time, and those of one time in the order in which they were scheduled', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(20), fc.nat(3)), { maxLength: 600 }), (plan) => {
        const world = new World()
        const expected: { at: number; number: number }[] = []
        let number = 0
        const schedule = (delayUs: number): void => {
          expected.push({ at: world.nowUs + delayUs, number })
          world.schedule(delayUs, EventKind.call, -1, number++, 0, undefined)
        }
        for (const [delayUs] of plan) schedule(delayUs)
        const seen: { at: number; number: number }[] = []
        world.run(1000, ({ a }) => {
          seen.push({ at: world.nowUs, number: a })
          const later = plan[a]?.[1] ?? 0
          if (later > 0) schedule(later - 1)
          return true
        })
        expected.sort((one, other) => one.at - other.at || one.number - other.number)
        assert.deepEqual(seen, expected)
        assert.equal(world.nowUs, 1000)
        assert.equal(world.events, expected.length)
      })
    )
  })

  it('leaves what comes later for the next run', () => {
    const world = new World()
    world.schedule(10, EventKind.call, -1, 1, 0, undefined)
    world.run(9, () => assert.fail('nothing is due'))
    assert.equal(world.nowUs, 9)
    const seen: number[] = []
    world.run(10, ({ a }) => seen.push(a) > 0)
    assert.deepEqual(seen, [1])
  })
})
