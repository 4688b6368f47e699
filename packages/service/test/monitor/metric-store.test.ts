import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createMetricStore, type MeasuredMetric } from '../../src/monitor/metric-store.ts'

const measured = (name: string, value = '1', valid = true): MeasuredMetric => ({
  name,
  value,
  weight: 1,
  partitionable: false,
  valid
})

function setUp() {
  const world = { nowMs: 5000, members: ['b', 'a'] }
  const store = createMetricStore({ members: () => world.members, clock: { now: () => world.nowMs } })
  return { world, store }
}

describe('the metric store', () => {
  it('believes a metric for its time from its arrival, and remembers it after', () => {
    const { world, store } = setUp()
    store.put('a', measured('ping', 'one'), 1000)
    store.put('b', measured('ping', 'two'), 3000)
    assert.deepEqual(
      store.latest('ping').map(({ peer, receivedAtMs, expireAtMs }) => [peer, receivedAtMs, expireAtMs]),
      [
        ['a', 5000, 6000],
        ['b', 5000, 8000]
      ]
    )
    world.nowMs = 6000
    assert.deepEqual(
      store.latest('ping').map((metric) => metric.peer),
      ['b']
    )
    assert.equal(store.lastOf('ping', 'a')?.value, 'one')
    assert.deepEqual(store.names(), ['ping'])
  })

  it('gives no metric that its peer calls invalid', () => {
    const { store } = setUp()
    store.put('a', measured('freespace', '5'), 1000)
    store.put('a', measured('freespace', '0', false), 1000)
    assert.deepEqual(store.latest('freespace'), [])
    assert.equal(store.lastOf('freespace', 'a')?.value, '0')
  })

  it('hears members only, and speaks of members only', () => {
    const { world, store } = setUp()
    assert.equal(store.put('stranger', measured('ping'), 1000), false)
    assert.equal(store.put('a', measured('ping'), 1000), true)
    world.members = ['b']
    assert.deepEqual(store.latest('ping'), [])
    // Forgotten as soon as somebody new is heard.
    store.put('b', measured('ping'), 1000)
    assert.equal(store.lastOf('ping', 'a'), undefined)
  })

  it('keeps a bounded number of names for each peer, and takes no endless time to live', () => {
    const { store } = setUp()
    for (let number = 0; number < 1000; number++) store.put('a', measured(`n${number}`), 1000)
    assert.equal(store.names().length, 64)
    assert.equal(store.put('a', measured('n3', 'newer'), Number.POSITIVE_INFINITY), true)
    assert.equal(store.latest('n3').length, 0)
    store.put('a', measured('n3'), Number.MAX_SAFE_INTEGER)
    assert.equal(store.lastOf('n3', 'a')?.expireAtMs, 5000 + 24 * 60 * 60 * 1000)
  })
})
