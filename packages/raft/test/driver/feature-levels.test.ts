import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { NodeId } from '../../src/core/types.ts'
import { Group } from '../support/group.ts'
import { until } from '../support/until.ts'

const IDS = ['a', 'b', 'c']

/** Starts a node anew, as the version that knows this level. */
async function upgrade(group: Group, id: NodeId, level: number): Promise<void> {
  await group.get(id).raft.close()
  group.network.levels.set(id, level)
  await group.open(id)
  await group.leader()
}

describe('feature levels', () => {
  it('rise once the last member knows more, one node after the other, and writes go on', async () => {
    await using group = new Group()
    for (const id of IDS) group.network.levels.set(id, 1)
    for (const id of IDS) await group.open(id, IDS)
    for (const id of IDS) {
      const leader = await group.leader()
      assert.equal(leader.raft.status().level, 1)
      await leader.raft.propose(Buffer.from(id))
      await upgrade(group, id, 2)
    }
    await until('all are at level 2', () => IDS.every((id) => group.get(id).raft.status().level === 2))
    const leader = await group.leader()
    assert.deepEqual(
      leader.raft.status().peers.map(({ supportedLevel }) => supportedLevel),
      [2, 2]
    )
    await leader.raft.propose(Buffer.from('after'))
    for (const id of IDS) await until(`${id} has all`, () => group.get(id).machine.texts.length === 4)
  })

  it('stay while a member does not say what it knows', async () => {
    await using group = new Group()
    group.network.levels.set('a', 2).set('b', 2)
    for (const id of IDS) await group.open(id, IDS)
    const leader = await group.leader()
    for (let i = 0; i < 5; i++) await leader.raft.propose(Buffer.from(`${i}`))
    assert.equal(leader.raft.status().level, 1)
  })

  it('an older version does not start on what a newer one wrote, and names both levels', async () => {
    await using group = new Group()
    group.network.levels.set('a', 2)
    await group.open('a', ['a'])
    await until('the level is raised', () => group.get('a').raft.status().level === 2)
    await group.get('a').raft.close()
    group.network.levels.set('a', 1)
    await assert.rejects(group.open('a'), {
      name: 'RaftStartError',
      code: 'unknown-level',
      message: /at feature level 2 since entry 2, and 1 is the highest/
    })
  })

  it('an older version that is sent what it does not know halts, and the others go on', async () => {
    await using group = new Group()
    for (const id of IDS) group.network.levels.set(id, 2)
    for (const id of IDS) await group.open(id, IDS)
    await until('all are at level 2', () => IDS.every((id) => group.get(id).raft.status().level === 2))
    const leader = await group.leader()
    group.network.levels.set('d', 1)
    await group.open('d')
    const change = leader.raft.changeMembers({ voters: IDS, learners: ['d'] })
    await assert.rejects(change, { name: 'ProposalRefusedError', code: 'illegal-change' })
    // One that says nothing of itself is let in, and stops where it cannot follow.
    const { raft } = await group.open('e')
    const reasons: string[] = []
    raft.on('halt', ({ reason }) => reasons.push(reason))
    await leader.raft.changeMembers({ voters: IDS, learners: ['e'] })
    await until('e has halted', () => reasons.length > 0)
    assert.match(reasons[0]!, /at feature level 2 since entry 2, and 1 is the highest/)
    await leader.raft.propose(Buffer.from('x'))
  })
})
