/** What a peer measures reaches all members, also those that come later; and one informer that fails holds up no other. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { MetricsExchange } from '../../src/monitor/exchange.ts'
import type { Informer } from '../../src/ports.ts'
import { FakeRpc, hang, named, silent, turn, until } from '../consensus/fakes.ts'

const metric = (name: string, value = '1') => ({ name, value, weight: 1, partitionable: false, valid: true })

const informer = (name: string, ttlMs: number, measure: Informer['measure']): Informer => ({ name, ttlMs, measure })

async function setUp(
  context: TestContext,
  informers: Informer[],
  peers = { members: ['a', 'b'], connected: ['a', 'b'] }
) {
  const pushes: [peer: string, ...names: string[]][] = []
  const kept: string[] = []
  let looks = 0
  const rpc = new FakeRpc(async (peer, _method, request) => {
    pushes.push([peer, ...(request as { metrics: { name: string; ttlMs: number }[] }).metrics.map(({ name }) => name)])
    return null
  })
  const exchange = new MetricsExchange(
    {
      rpc: rpc.asPeerRpc,
      informers,
      logger: silent,
      members: () => peers.members,
      connected: () => {
        looks++
        return new Set(peers.connected)
      },
      put: (peer, { name, value, ttlMs }) => kept.push(`${peer} ${name} ${value} ${ttlMs}`)
    },
    'a'
  )
  await exchange.start()
  context.after(() => exchange.stop())
  return { exchange, rpc, pushes, kept, peers, looks: () => looks }
}

describe('the metrics of a peer', () => {
  it('are kept here and told to all other members that are there', async (context) => {
    const { pushes, kept } = await setUp(context, [informer('disk', 60_000, async () => [metric('freespace', '7')])], {
      members: ['a', 'b', 'c', 'd'],
      connected: ['a', 'b', 'd', 'stranger']
    })
    await until(() => pushes.length >= 2)
    assert.deepEqual(kept, ['a freespace 7 60000'])
    assert.deepEqual(pushes, [
      ['b', 'freespace'],
      ['d', 'freespace']
    ])
  })

  it('are measured again before they expire', async (context) => {
    let count = 0
    const { kept } = await setUp(context, [informer('i', 10, async () => [metric('m', String(++count))])])
    await until(() => kept.length >= 3)
    assert.deepEqual(kept.slice(0, 3), ['a m 1 10', 'a m 2 10', 'a m 3 10'])
  })

  it('come although another informer fails or hangs, and that one is tried again', async (context) => {
    let failedCount = 0
    const { kept } = await setUp(context, [
      informer('fails', 10, async () => {
        failedCount++
        if (failedCount < 3) throw new Error('not now')
        return [metric('late')]
      }),
      informer('hangs', 20, (options) => hang(options?.signal)),
      informer('works', 60_000, async () => [metric('m')])
    ])
    await until(() => kept.some((line) => line.startsWith('a late')))
    assert.equal(kept[0], 'a m 1 60000')
  })

  it('are all told to a member that comes later, and to one that comes back', async (context) => {
    const { pushes, peers, looks } = await setUp(context, [
      informer('x', 60_000, async () => [metric('x1'), metric('x2')]),
      informer('y', 60_000, async () => [metric('y')])
    ])
    await until(() => pushes.length >= 2)
    pushes.length = 0
    peers.members = ['a', 'b', 'c']
    peers.connected = ['a', 'b', 'c']
    await until(() => pushes.some(([peer]) => peer === 'c'))
    assert.deepEqual(
      pushes.find(([peer]) => peer === 'c'),
      ['c', 'x1', 'x2', 'y']
    )
    pushes.length = 0
    peers.connected = ['a', 'b']
    const before = looks()
    await until(() => looks() > before)
    peers.connected = ['a', 'b', 'c']
    await until(() => pushes.some(([peer]) => peer === 'c'))
  })

  it('that were measured once and cannot be any more are not told to newcomers for ever', async (context) => {
    let measured = false
    const { pushes, peers, looks } = await setUp(context, [
      informer('broken', 20, async () => {
        if (measured) throw new Error('not any more')
        measured = true
        return [metric('old')]
      }),
      informer('works', 60_000, async () => [metric('m')])
    ])
    await until(() => pushes.length >= 2)
    const before = looks()
    await until(() => looks() > before)
    peers.members = peers.connected = ['a', 'b', 'c']
    await until(() => pushes.some(([peer]) => peer === 'c'))
    assert.deepEqual(
      pushes.find(([peer]) => peer === 'c'),
      ['c', 'm']
    )
  })

  it('are told again to a member that could not be reached', async (context) => {
    const { pushes, rpc } = await setUp(context, [informer('i', 60_000, async () => [metric('m')])])
    const push = rpc.onCall
    let triedCount = 0
    rpc.onCall = async (...values) => {
      if (++triedCount < 2) throw named('RpcTimeoutError')
      return push(...values)
    }
    await until(() => pushes.length > 0)
    assert.deepEqual(pushes[0], ['b', 'm'])
  })

  it('of another member are kept as its own, whatever they say', async (context) => {
    const { rpc, kept } = await setUp(context, [])
    assert.equal(await rpc.receive('b', 'Monitor.push', { metrics: [{ ...metric('m'), ttlMs: 5, peer: 'c' }] }), null)
    assert.deepEqual(kept, ['b m 1 5'])
  })

  it('are not measured any more after the end, which does not wait for who hangs', async (context) => {
    let count = 0
    const { exchange, kept } = await setUp(context, [
      informer('i', 4, async () => [metric('m', String(++count))]),
      informer('hangs', 60_000, (options) => hang(options?.signal))
    ])
    await until(() => kept.length > 0)
    await exchange.stop()
    const atEnd = count
    for (let i = 0; i < 20; i++) await turn()
    assert.equal(count, atEnd)
  })
})
