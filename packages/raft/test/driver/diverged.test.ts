/** A node whose state broke is found by its digest, ends, puts the state away, and makes it anew at its next start (T43, T45). */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DIGEST_EVERY_ENTRIES } from '../../src/driver/applier.ts'
import { putAway } from '../../src/driver/diverged.ts'
import type { SnapshotManifest } from '../../src/ports.ts'
import { Group, type Member } from '../support/group.ts'
import { until } from '../support/until.ts'

const texts = (count: number): string[] => Array.from({ length: count }, (_, number) => `c${number}`)
const bytes = (text: string): Uint8Array => Buffer.from(text)
const MANY = DIGEST_EVERY_ENTRIES + 100

async function breakOne(group: Group, choose: (leader: Member) => Member, breaksAt = 50): Promise<string> {
  const leader = await group.leader()
  const broken = choose(leader)
  const alarms: string[] = []
  for (const { raft } of group.members.values()) raft.on('alarm', ({ code }) => alarms.push(code))
  const halted = new Promise<string>((resolve) => broken.raft.on('halt', ({ reason }) => resolve(reason)))
  broken.machine.breaksAt = breaksAt
  await Promise.allSettled([leader.raft.proposeMany(texts(MANY).map(bytes))])
  const reason = await halted
  assert(alarms.includes('state-diverged'))
  assert.match(reason, /the state is put away/)
  await assert.rejects(broken.raft.propose(bytes('x')), { code: 'stopped' })
  await assert.rejects(broken.raft.readBarrier())
  return broken.id
}

async function comesBack(group: Group, id: string): Promise<void> {
  const others = [...group.members.keys()].filter((other) => other !== id)
  const leader = await group.leader(others)
  await group.get(id).raft.close()
  const again = await group.open(id)
  await leader.raft.proposeMany(texts(DIGEST_EVERY_ENTRIES).map(bytes))
  await until('the node has caught up', () => again.machine.applied.length === leader.machine.applied.length)
  assert.deepEqual(again.machine.texts, leader.machine.texts)
  assert.equal(again.machine.digest(), leader.machine.digest())
}

describe('a state that differs from that of a majority', () => {
  it('ends the follower it is on, which makes it anew from its log', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const id = await breakOne(group, (leader) => [...group.members.values()].find((member) => member !== leader)!)
    await comesBack(group, id)
  })

  it('ends the leader it is on, and another takes over', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const id = await breakOne(group, (leader) => leader)
    await comesBack(group, id)
  })

  it("is made anew of a peer's snapshot where the log does not reach back", async () => {
    await using group = await Group.start(['a', 'b', 'c'], { trailingEntries: 10, maxLogBytes: 4000 })
    const first = await group.leader()
    await first.raft.proposeMany(texts(500).map(bytes))
    for (const { raft, disk } of group.members.values()) {
      await raft.waitApplied(500)
      await raft.checkpoint()
      await until('the log begins later', () => disk.base.index > 0)
    }
    const other = (leader: Member) => [...group.members.values()].find((member) => member !== leader)!
    const id = await breakOne(group, other, 700)
    const { disk } = group.get(id)
    assert.deepEqual(disk.snapshots, [])
    await comesBack(group, id)
    assert.equal(group.get(id).machine.restores, 1)
  })
})

describe('putting a state away', () => {
  const manifest = (id: string) => ({ id }) as SnapshotManifest

  it('waits until nobody works on it, and takes the snapshots first', async () => {
    const done: string[] = []
    const left = [manifest('one'), manifest('two')]
    await putAway({
      idle: async () => done.push('idle'),
      stateMachine: { discard: async () => void done.push('state') },
      snapshots: {
        latest: async () => left[0],
        discard: async (found) => {
          left.splice(left.indexOf(found), 1)
          done.push(found.id)
        }
      }
    })
    assert.deepEqual(done, ['idle', 'one', 'two', 'state'])
  })

  it('says so when an adapter cannot', async () => {
    const idle = async () => {}
    await assert.rejects(
      putAway({ idle, stateMachine: {}, snapshots: { latest: async () => undefined } }),
      /cannot put/
    )
    await assert.rejects(
      putAway({
        idle,
        stateMachine: { discard: async () => {} },
        snapshots: { latest: async () => manifest('one') }
      }),
      /cannot discard/
    )
  })
})
