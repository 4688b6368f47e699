/** How a peer learns that it was removed, or is not who it was, and what it does not believe. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { type Standing, StandingWatch } from '../../src/consensus/standing-watch.ts'
import { FakeRaft, FakeRpc, hang, silent, turn } from './fakes.ts'

const life = { boot: 1, bootId: '0'.repeat(16), term: 0, lastIndex: 0 }

function setUp(context: TestContext, answers: Record<string, object | Error | 'hangs'>, connected = ['a', 'b', 'c']) {
  context.mock.timers.enable({ apis: ['setInterval'] })
  const raft = new FakeRaft('a', { voters: ['a', 'b', 'c'] })
  const rpc = new FakeRpc(async (peer, _method, _request, signal) => {
    const answer = answers[peer]
    if (answer === 'hangs') return hang(signal)
    if (answer === undefined || answer instanceof Error) throw answer ?? new Error('nobody there')
    // As of `Cluster.membership`; a test that says only that the peer is no member means that it has no name there.
    const names = (answer as { member?: boolean }).member === false ? [] : ['a']
    return { clusterId: 'cluster', confirmed: true, member: true, names, tookPart: true, peers: [], ...answer }
  })
  const told: Standing[] = []
  const watch = new StandingWatch(
    { raft, rpc: rpc.asPeerRpc, logger: silent, connected: () => new Set(connected) },
    { id: 'a', clusterId: 'cluster', life, intervalMs: 1_000, onLost: (standing) => told.push(standing) }
  )
  watch.start()
  const pass = async (times = 1): Promise<void> => {
    for (let i = 0; i < times; i++) {
      context.mock.timers.tick(1_000)
      for (let j = 0; j < 5; j++) await turn()
    }
  }
  return { raft, rpc, watch, pass, told, removed: () => told.filter(({ type }) => type === 'removed').length }
}

describe('a peer without a leader', () => {
  it('is removed when a member says so and its leader confirmed it, and is told once', async (context) => {
    const { rpc, pass, removed, watch } = setUp(context, { b: { member: false } })
    await pass(3)
    assert.deepEqual([removed(), rpc.calls], [1, ['b Cluster.membership']])
    watch.stop()
  })

  it('believes no answer that is not confirmed, or of another cluster, and asks the next', async (context) => {
    for (const b of [{ member: false, confirmed: false }, { member: false, clusterId: 'another' }, new Error('no')]) {
      const { pass, removed, watch, rpc } = setUp(context, { b, c: { member: true } })
      await pass(2)
      assert.equal(removed(), 0)
      assert.deepEqual(rpc.calls.slice(0, 2), ['b Cluster.membership', 'c Cluster.membership'])
      watch.stop()
      context.mock.timers.reset()
    }
  })

  it('asks also those that it is connected with and does not know as members', async (context) => {
    const { raft, pass, removed, watch } = setUp(context, { x: { member: false } }, ['a', 'x'])
    raft.config = { voters: ['a'], outgoing: [], learners: [] }
    await pass()
    assert.equal(removed(), 1)
    watch.stop()
  })

  it('asks again and again, but never twice at once', async (context) => {
    const { rpc, pass, watch } = setUp(context, { b: 'hangs' })
    await pass(5)
    assert.equal(rpc.calls.length, 1)
    watch.stop()
    await pass()
  })

  it('is not told any more once the watch has ended', async (context) => {
    const { raft, pass, removed, watch, rpc } = setUp(context, { b: { member: false } })
    watch.stop()
    raft.setConfig({ voters: ['b'] })
    await pass(2)
    assert.deepEqual([removed(), rpc.calls.length, raft.listenerCount], [0, 0, 0])
  })
})

describe('a peer with a leader', () => {
  it('asks nobody while it is a member', async (context) => {
    const { raft, rpc, pass, watch } = setUp(context, { b: { member: false } })
    raft.leader = 'b'
    await pass(3)
    assert.deepEqual(rpc.calls, [])
    watch.stop()
  })

  it('asks as soon as its own log takes it out, and believes the leader, not the log', async (context) => {
    for (const member of [true, false]) {
      const { raft, removed, watch } = setUp(context, { b: { member } })
      raft.leader = 'b'
      raft.setConfig({ voters: ['b', 'c'] })
      for (let i = 0; i < 5; i++) await turn()
      assert.equal(removed(), member ? 0 : 1)
      watch.stop()
      context.mock.timers.reset()
    }
  })
})

describe('a peer that is refused as an older copy of itself', () => {
  const older = { objection: 'start 2 of a comes after start 3 was seen' }

  it('asks at once although it has a leader, and believes it of whoever has one too', async (context) => {
    const { raft, rpc, watch, told } = setUp(context, { b: { ...older, confirmed: false }, c: older })
    raft.leader = 'b'
    watch.onRefused()
    for (let i = 0; i < 5; i++) await turn()
    assert.deepEqual(told, [{ type: 'quarantined', reason: older.objection }])
    assert.deepEqual(rpc.calls, ['b Cluster.membership', 'c Cluster.membership'])
    watch.stop()
  })

  it('goes on asking while nobody with a leader says so', async (context) => {
    const { raft, rpc, watch, told, pass } = setUp(context, { b: { ...older, confirmed: false }, c: {} })
    raft.leader = 'b'
    watch.onRefused()
    for (let i = 0; i < 5; i++) await turn()
    await pass(2)
    assert.deepEqual(told, [])
    assert.equal(rpc.calls.length, 6)
    watch.stop()
  })
})

describe('a peer whose leader takes nothing from it any more', () => {
  it('asks all, since only the leader may have seen what it lost', async (context) => {
    const { watch, told, pass } = setUp(context, { b: {}, c: { objection: 'a does not hold entry 6' } })
    await pass()
    assert.deepEqual(told, [{ type: 'quarantined', reason: 'a does not hold entry 6' }])
    watch.stop()
  })
})

describe('a peer with data of an earlier life', () => {
  it('is a member, and its data is not: it does not count as removed', async (context) => {
    const { watch, told, pass } = setUp(context, { b: { names: ['a#00000001'] } })
    await pass()
    assert.deepEqual(told, [
      { type: 'quarantined', reason: 'a is an earlier life of this peer, and it has had another since' }
    ])
    watch.stop()
  })
})
