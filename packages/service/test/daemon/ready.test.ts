/** When a peer calls itself ready, and what it says until then. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Readiness } from '../../src/daemon/ready.ts'
import { FakeRaft, hang, named, silent, turn } from '../consensus/fakes.ts'

function setUp(timeoutMs?: number, logger = silent) {
  const raft = new FakeRaft('a', { voters: ['a', 'b', 'c'] })
  raft.onBarrier = hang
  const readiness = new Readiness({ raft, connected: () => new Set(['a']), logger }, { name: 'a', timeoutMs })
  return { raft, readiness }
}

describe('a peer that starts', () => {
  it('is ready once a leader confirmed its state and it votes', async () => {
    const { raft, readiness } = setUp()
    const confirmed = Promise.withResolvers<number>()
    raft.onBarrier = () => confirmed.promise
    raft.config = { voters: ['b'], outgoing: [], learners: ['a'] }
    let ready = false
    const waiting = readiness.wait().then(() => (ready = true))
    await turn()
    assert.match(readiness.reason() ?? '', /^this peer is not ready yet: there is no leader\. 0 of 1 voters reachable/)
    raft.leader = 'b'
    assert.match(readiness.reason() ?? '', /the leader is b; this peer is a learner until it has caught up/)
    confirmed.resolve(1)
    await turn()
    raft.setConfig({ learners: ['a', 'x'] })
    await turn()
    assert.equal(ready, false)
    raft.setConfig({ voters: ['a', 'b'], learners: [] })
    await waiting
    assert.equal(readiness.reason(), undefined)
    assert.equal(raft.listenerCount, 0)
  })

  it('stays ready when its leader goes away later: the API then answers for itself', async () => {
    const { raft, readiness } = setUp()
    raft.onBarrier = async () => 1
    await readiness.wait()
    raft.setLeader(undefined)
    assert.equal(readiness.reason(), undefined)
  })

  it('fails at its time limit with the quorum arithmetic, and says that nothing was lost', async () => {
    const { raft, readiness } = setUp(0)
    raft.onBarrier = () => Promise.reject(named('ReadUnavailableError'))
    await assert.rejects(readiness.wait(), {
      name: 'StartError',
      message:
        'no leader within 0 s (raft.wait_for_leader_timeout): there is no leader. 1 of 3 voters reachable, 2 needed. Missing: b, c. ' +
        'Start the others and run this one again; nothing was lost.'
    })
  })

  it('leaves the process time for other things when its checks fail at once', async () => {
    const { raft, readiness } = setUp()
    let triedCount = 0
    raft.onBarrier = () => {
      triedCount++
      return Promise.reject(named('ReadUnavailableError'))
    }
    const stopping = new AbortController()
    const waiting = readiness.wait({ signal: stopping.signal })
    for (let i = 0; i < 10; i++) await turn()
    stopping.abort(new Error('enough'))
    await assert.rejects(waiting)
    assert.ok(triedCount < 10, `it tried ${triedCount} times in ten turns`)
  })

  it('ends its wait with its signal', async () => {
    const { raft, readiness } = setUp()
    for (const barrier of [hang, async () => 1]) {
      raft.onBarrier = barrier
      raft.config = { voters: ['b'], outgoing: [], learners: ['a'] }
      const stopping = new AbortController()
      const waiting = readiness.wait({ signal: stopping.signal })
      await turn()
      stopping.abort(new Error('enough'))
      await assert.rejects(waiting, { message: 'enough' })
      assert.equal(raft.listenerCount, 0)
    }
    await assert.rejects(readiness.wait({ signal: AbortSignal.abort(new Error('enough')) }), { message: 'enough' })
  })
})
