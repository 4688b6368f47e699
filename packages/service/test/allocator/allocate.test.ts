import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type AllocationInput, allocate, chooseAllocations } from '../../src/allocator/allocate.ts'
import { createMetricStore } from '../../src/monitor/metric-store.ts'
import type { Metric } from '../../src/ports.ts'
import { testPin } from '../state/fixtures.ts'

function metric(peer: string, name: string, value: string, weight = 0, partitionable = false): Metric {
  return { name, peer, value, weight, partitionable, valid: true, receivedAtMs: 0, expireAtMs: 1 }
}

const free = (peer: string, bytes: number): Metric => metric(peer, 'freespace', String(bytes), bytes)
const tag = (peer: string, key: string, value: string): Metric => metric(peer, `tag:${key}`, value, 0, true)
const ping = (peer: string): Metric => metric(peer, 'ping', '{}')

function input(changes: Partial<AllocationInput>): AllocationInput {
  return {
    replicationFactorMin: 2,
    replicationFactorMax: 3,
    allocateBy: ['freespace'],
    members: ['a', 'b', 'c', 'd', 'e'],
    metrics: [free('a', 10), free('b', 50), free('c', 30), free('d', 20), free('e', 40)],
    current: [],
    userAllocations: [],
    ...changes
  }
}

function chosen(changes: Partial<AllocationInput>): readonly string[] {
  const result = chooseAllocations(input(changes))
  assert.ok(result.ok, 'no allocation was found')
  return result.allocations
}

describe('allocation', () => {
  it('is empty for a pin that goes everywhere', () => {
    assert.deepEqual(chosen({ replicationFactorMin: -1, replicationFactorMax: -1 }), [])
  })

  it('takes the peers with most free space', () => {
    assert.deepEqual(chosen({}), ['b', 'e', 'c'])
  })

  it('spreads a pin over regions, then over zones, then by free space', () => {
    const place = (peer: string, region: string, zone: string, bytes: number): Metric[] => [
      tag(peer, 'region', region),
      tag(peer, 'zone', zone),
      free(peer, bytes)
    ]
    const allocations = chosen({
      replicationFactorMin: 4,
      replicationFactorMax: 4,
      allocateBy: ['tag:region', 'tag:zone', 'freespace'],
      members: ['a', 'b', 'c', 'd', 'e', 'f'],
      metrics: [
        ...place('a', 'eu', 'z1', 100),
        ...place('b', 'eu', 'z1', 90),
        ...place('c', 'eu', 'z2', 10),
        ...place('d', 'us', 'z1', 5),
        ...place('e', 'us', 'z1', 6),
        ...place('f', 'us', 'z2', 1)
      ]
    })
    // Europe has more space in all, and within it zone 1; then the other region in turn.
    assert.deepEqual(allocations, ['a', 'e', 'c', 'f'])
  })

  it('takes the wishes of the user first, in the order of the user', () => {
    assert.deepEqual(chosen({ userAllocations: ['d', 'nobody', 'a'] }), ['d', 'a', 'b'])
  })

  it('leaves the holders of a pin where they are', () => {
    assert.deepEqual(chosen({ current: ['a', 'd', 'c'], userAllocations: ['b'] }), ['a', 'd', 'c'])
  })

  it('tops holders up to a maximum that was raised', () => {
    assert.deepEqual(chosen({ replicationFactorMax: 4, current: ['a', 'd', 'c'] }), ['a', 'd', 'c', 'b'])
  })

  it('keeps the best holders when there are too many', () => {
    assert.deepEqual(chosen({ current: ['a', 'b', 'c', 'd', 'e'] }), ['b', 'e', 'c'])
    assert.deepEqual(chosen({ current: ['e', 'd', 'c', 'b', 'a'], userAllocations: ['a'] }), ['a', 'b', 'e'])
  })

  it('counts a holder whose disk is full, and gives it nothing new', () => {
    const metrics = [ping('a'), free('b', 50), ping('c'), free('c', 30)]
    assert.deepEqual(chosen({ metrics, current: ['a', 'c'], replicationFactorMax: 2 }), ['a', 'c'])
    assert.deepEqual(chosen({ metrics, members: ['a', 'b', 'c'] }), ['b', 'c'])
  })

  it('replaces a holder that is away where it can, and keeps its place where it cannot', () => {
    const metrics = [free('b', 50), free('c', 30), free('d', 20)]
    assert.deepEqual(chosen({ metrics, current: ['a', 'b', 'c'] }), ['b', 'c', 'd'])
    assert.deepEqual(chosen({ metrics: metrics.slice(0, 2), current: ['a', 'b', 'c'] }), ['b', 'c', 'a'])
    assert.deepEqual(chosen({ metrics: metrics.slice(0, 2), members: ['b', 'c'], current: ['a', 'b', 'c'] }), [
      'b',
      'c'
    ])
  })

  it('takes a pin away from an excluded peer', () => {
    assert.deepEqual(chosen({ current: ['b', 'c'], excluded: new Set(['b']) }), ['c', 'e', 'd'])
  })

  it('says what is missing, and at whom, when there are too few', () => {
    const result = chooseAllocations(
      input({ metrics: [free('a', 1)], allocateBy: ['tag:group', 'freespace'], current: [] })
    )
    assert.ok(!result.ok)
    assert.deepEqual([result.needed, result.wanted, result.available], [2, 3, 0])
    assert.equal(result.reasons.get('a'), 'it has no valid metric of tag:group')
    assert.equal(result.reasons.get('b'), 'it has no valid metric of tag:group, freespace')
  })

  it('fails with the words that clients know, and the reasons behind them', () => {
    const monitor = createMetricStore({ members: () => ['a', 'b', 'c'], clock: { now: () => 0 } })
    for (const peer of ['a', 'b']) monitor.put(peer, free(peer, 5), 1000)
    monitor.put('b', { ...free('b', 0), valid: false }, 1000)
    const request = {
      existing: undefined,
      userAllocations: [],
      allocateBy: ['freespace'],
      monitor,
      members: ['a', 'b', 'c']
    }
    const one = testPin(1, { replicationFactorMin: 1, replicationFactorMax: 3 })
    assert.deepEqual(allocate({ ...request, pin: one }), ['a'])
    assert.throws(() => allocate({ ...request, pin: { ...one, replicationFactorMin: 2 } }), {
      name: 'NotEnoughAllocationsError',
      message:
        'not enough peers to allocate CID. Needed at least: 2. Wanted at most: 3. Available candidates: 1. ' +
        'Passed over: b: it has no valid metric of freespace; c: it has no valid metric of freespace.'
    })
  })

  it('keeps its promises for any cluster', () => {
    const peers = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    const anyMetric = fc.constantFrom(...peers).chain((peer) =>
      fc.oneof(
        fc
          .oneof(fc.integer({ min: -5, max: 5 }), fc.constant(Number.NaN))
          .map((bytes) => metric(peer, 'freespace', String(bytes), bytes)),
        fc.constantFrom('x', 'y').map((value) => tag(peer, 'group', value)),
        fc.constant(ping(peer))
      )
    )
    const anyInput = fc.record({
      factors: fc.tuple(fc.integer({ min: 1, max: 5 }), fc.nat(3)),
      members: fc.subarray(peers),
      // One metric for each peer and name, as the store keeps them.
      metrics: fc.uniqueArray(anyMetric, { maxLength: 21, selector: (one) => `${one.peer} ${one.name}` }),
      current: fc.shuffledSubarray(peers),
      userAllocations: fc.shuffledSubarray(peers),
      excluded: fc.subarray(peers, { maxLength: 2 }).map((items) => new Set(items)),
      allocateBy: fc.constantFrom(['freespace'], ['tag:group', 'freespace'], ['tag:group'])
    })
    fc.assert(
      fc.property(anyInput, fc.infiniteStream(fc.nat(1000)), ({ factors: [min, more], ...rest }, dice) => {
        const max = min + more
        const given: AllocationInput = { ...rest, replicationFactorMin: min, replicationFactorMax: max }
        const result = chooseAllocations(given)
        const shuffle = <T>(items: readonly T[]): T[] =>
          items
            .map((item) => ({ item, by: dice.next().value ?? 0 }))
            .sort((a, b) => a.by - b.by)
            .map(({ item }) => item)
        const again = chooseAllocations({ ...given, members: shuffle(given.members), metrics: shuffle(given.metrics) })
        assert.deepEqual(again, result, 'the order of the input matters')

        const has = (peer: string, name: string): boolean =>
          given.metrics.some((one) => one.peer === peer && one.name === name)
        const allowed = given.members.filter((peer) => !given.excluded?.has(peer))
        const complete = (peer: string): boolean => given.allocateBy.every((name) => has(peer, name))
        const usable = allowed.filter((peer) => complete(peer) || (given.current.includes(peer) && has(peer, 'ping')))
        assert.equal(result.ok, usable.length >= min)
        if (!result.ok) return
        const { allocations } = result
        assert.equal(new Set(allocations).size, allocations.length)
        assert.ok(allocations.every((peer) => allowed.includes(peer)))
        assert.ok(allocations.length >= min && allocations.length <= max)
        assert.ok(allocations.filter((peer) => usable.includes(peer)).length >= Math.min(max, usable.length))
        const holders = usable.filter((peer) => given.current.includes(peer))
        if (holders.length <= max)
          for (const peer of holders) assert.ok(allocations.includes(peer), `${peer} lost its pin`)
      })
    )
  })
})
