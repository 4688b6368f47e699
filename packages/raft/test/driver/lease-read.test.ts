import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Group } from '../support/group.ts'
import { until } from '../support/until.ts'

const LEASE = { leaseMs: 100 }

/** Counts the messages that a read costs: heartbeats that carry a question, and questions of followers. */
function countQuestions(group: Group): () => number {
  let asked = 0
  group.network.onSend = (_from, _to, message) => {
    if (message.type === 'read-index-request') asked++
  }
  return () => asked
}

describe('leaseRead', () => {
  it('reads the newest state on the leader while it holds a lease', async () => {
    await using group = await Group.start(['a', 'b', 'c'], LEASE)
    const { id, raft, machine } = await group.leader()
    await raft.propose(Buffer.from('x'))
    await until('the leader holds a lease', () => raft.status().leaseRemainingMs > 50)
    // No barrier could be answered now.
    group.network.cutOff(id)
    assert.equal(await raft.leaseRead(() => machine.texts.at(-1)), 'x')
  })

  it('falls back to a barrier where there is no lease', async () => {
    await using group = await Group.start(['a', 'b', 'c'], LEASE)
    const leader = await group.leader()
    await leader.raft.propose(Buffer.from('x'))
    const follower = [...group.members.values()].find(({ id }) => id !== leader.id)!
    const questions = countQuestions(group)
    assert.equal(await follower.raft.leaseRead(() => follower.machine.texts.at(-1)), 'x')
    assert.ok(questions() > 0)
    assert.equal(follower.raft.status().leaseRemainingMs, 0)
  })

  it('never takes a lease without leaseMs', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const { raft, machine } = await group.leader()
    await raft.propose(Buffer.from('x'))
    assert.equal(raft.status().leaseRemainingMs, 0)
    assert.equal(await raft.leaseRead(() => machine.texts.at(-1)), 'x')
  })

  it('asks again after the read: what was read while the lease ran out is read anew', async () => {
    await using group = await Group.start(['a', 'b', 'c'], LEASE)
    const old = await group.leader()
    await until('the leader holds a lease', () => old.raft.status().leaseRemainingMs > 0)
    const rest = [...group.members.keys()].filter((id) => id !== old.id)
    let reads = 0
    const answer = old.raft.leaseRead(async () => {
      reads++
      if (reads === 1) {
        group.network.cutOff(old.id)
        const next = await group.leader(rest)
        await next.raft.propose(Buffer.from('new'))
        group.network.heal()
      }
      return old.machine.texts.at(-1)
    })
    assert.equal(await answer, 'new')
    assert.equal(reads, 2)
  })

  it('is refused on a node that was closed', async () => {
    await using group = await Group.start(['a'], LEASE)
    const { raft } = await group.leader()
    await raft.close()
    await assert.rejects(
      raft.leaseRead(() => 1),
      { name: 'ReadUnavailableError' }
    )
  })
})

describe('reportSpace', () => {
  it('makes a leader without room hand over', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const leader = await group.leader()
    leader.raft.reportSpace('none')
    await until('another leads', () => {
      const status = leader.raft.status()
      return status.health === 'unfit' && status.leader !== undefined && status.leader !== leader.id
    })
    const next = await group.leader()
    await until('the next leader knows why', () =>
      next.raft.status().peers.some(({ id, health }) => id === leader.id && health === 'unfit')
    )
  })
})

describe('priority', () => {
  it('is a wish: the highest leads once all is quiet, and another while it is away', async () => {
    await using group = new Group()
    for (const id of ['a', 'b', 'c']) await group.open(id, ['a', 'b', 'c'], id === 'b' ? { priority: 2 } : {})
    await until('b leads', () => group.get('b').raft.status().role === 'leader')
    await group.get('b').raft.close()
    const next = await group.leader(['a', 'c'])
    assert.notEqual(next.id, 'b')
  })
})
