/** How a peer learns that it was removed, and what it does not believe. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { RemovalWatch } from '../../src/consensus/removal-watch.ts'
import { FakeRaft, FakeRpc, hang, silent, turn } from './fakes.ts'

function setUp(context: TestContext, answers: Record<string, object | Error | 'hangs'>, connected = ['a', 'b', 'c']) {
  context.mock.timers.enable({ apis: ['setInterval'] })
  const raft = new FakeRaft('a', { voters: ['a', 'b', 'c'] })
  const rpc = new FakeRpc(async (peer, _method, _request, signal) => {
    const answer = answers[peer]
    if (answer === 'hangs') return hang(signal)
    if (answer === undefined || answer instanceof Error) throw answer ?? new Error('nobody there')
    return { clusterId: 'cluster', confirmed: true, member: true, peers: [], ...answer }
  })
  let removedCount = 0
  const watch = new RemovalWatch(
    { raft, rpc: rpc.asPeerRpc, logger: silent, connected: () => new Set(connected) },
    { id: 'a', clusterId: 'cluster', intervalMs: 1_000, onRemoved: () => removedCount++ }
  )
  watch.start()
  const pass = async (times = 1): Promise<void> => {
    for (let i = 0; i < times; i++) {
      context.mock.timers.tick(1_000)
      for (let j = 0; j < 5; j++) await turn()
    }
  }
  return { raft, rpc, watch, pass, removed: () => removedCount }
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
