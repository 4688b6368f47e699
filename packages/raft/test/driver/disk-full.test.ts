/** A node that has no room to spare on its disk, in a group of three (T56). */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openRaft } from '../../src/driver/driver.ts'
import type { SpaceLeft } from '../../src/driver/health.ts'
import { Group } from '../support/group.ts'
import { MemoryNetwork } from '../support/memory-network.ts'
import { MemoryDisk, MemoryLog, MemorySnapshots } from '../support/memory-storage.ts'
import { RegisterMachine } from '../support/register-machine.ts'
import { until } from '../support/until.ts'

describe('a full disk', () => {
  it('costs a node the leadership and its clients a clear refusal, and nothing once there is room', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const leader = await group.leader()
    await leader.raft.propose(Buffer.from('before'))
    leader.raft.reportSpace('none')
    await assert.rejects(leader.raft.propose(Buffer.from('refused')), {
      name: 'ProposalRefusedError',
      code: 'disk-full'
    })
    await until('another leads', () =>
      [...group.members.values()].some(({ id, raft }) => id !== leader.id && raft.status().role === 'leader')
    )
    const next = await group.leader()
    assert.notEqual(next.id, leader.id)
    await next.raft.propose(Buffer.from('meanwhile'))
    await until('the full node follows', () => leader.machine.texts.includes('meanwhile'))
    leader.raft.reportSpace('enough')
    await next.raft.transferLeadership(leader.id)
    await group.leader()
    await leader.raft.propose(Buffer.from('after'))
    assert.deepEqual(leader.machine.texts, ['before', 'meanwhile', 'after'])
  })

  it('is watched from the start of a node to its end', async () => {
    let tell: ((space: SpaceLeft) => void) | undefined
    let stopped = false
    const disk = {
      start(onSpace: (space: SpaceLeft) => void) {
        tell = onSpace
        onSpace('none')
      },
      async stop() {
        stopped = true
      }
    }
    const memory = new MemoryDisk()
    const raft = await openRaft(
      {
        storage: new MemoryLog(memory),
        snapshots: new MemorySnapshots(memory),
        transport: new MemoryNetwork().transport('a'),
        stateMachine: new RegisterMachine(),
        disk
      },
      { id: 'a', bootstrap: { voters: ['a'], outgoing: [], learners: [] } }
    )
    await until('it leads', () => raft.status().role === 'leader')
    await assert.rejects(raft.propose(Buffer.from('x')), { code: 'disk-full' })
    tell!('low')
    await raft.propose(Buffer.from('x'))
    await raft.close()
    assert(stopped)
  })
})
