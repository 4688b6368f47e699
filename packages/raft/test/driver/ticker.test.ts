import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Ticker } from '../../src/driver/ticker.ts'
import { ManualClock } from '../support/manual-clock.ts'

function start(): { clock: ManualClock; ticks: number[]; ticker: Ticker } {
  const clock = new ManualClock()
  const ticks: number[] = []
  const ticker = new Ticker(clock, 25, 225, () => ticks.push(clock.now()))
  ticker.start()
  return { clock, ticks, ticker }
}

describe('Ticker', () => {
  it('ticks at once, and then at each interval', () => {
    const { clock, ticks } = start()
    for (let i = 0; i < 3; i++) clock.jump(25)
    assert.deepEqual(ticks, [0, 25, 50, 75])
  })

  it('lets what came during a stall be read before it ticks (T26)', () => {
    const { clock, ticks } = start()
    clock.jump(300)
    assert.deepEqual(ticks, [0])
    for (let i = 0; i < 3; i++) clock.turn()
    assert.deepEqual(ticks, [0, 300])
    clock.jump(25)
    assert.deepEqual(ticks, [0, 300, 325])
  })

  it('is silent once it is stopped', () => {
    const { clock, ticks, ticker } = start()
    clock.jump(300)
    ticker.stop()
    clock.turn()
    clock.jump(25)
    assert.deepEqual(ticks, [0])
  })
})
