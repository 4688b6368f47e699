/** A new group from the log of a lost one (T37). */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { encodeConfig } from '../../src/core/members.ts'
import { makeEntry } from '../../src/core/record.ts'
import { EntryKind, type LogBase } from '../../src/core/types.ts'
import { openRaft } from '../../src/driver/driver.ts'
import { foundFromLog, logEnd } from '../../src/driver/recovery.ts'
import { checksum } from '../../src/storage/checksum.ts'
import { MemoryNetwork } from '../support/memory-network.ts'
import { MemoryDisk, MemoryLog, MemorySnapshots } from '../support/memory-storage.ts'
import { RegisterMachine } from '../support/register-machine.ts'
import { until } from '../support/until.ts'

const config = { voters: ['a', 'b', 'c'], outgoing: [], learners: ['d'] }

/** A disk of the old group: so many commands of term 2 after a base, the last but one a configuration. */
function oldDisk(from = 0, count = 5): MemoryDisk {
  const disk = new MemoryDisk()
  disk.hardState = { term: 7, votedFor: 'b' }
  disk.base = { index: from, term: from === 0 ? 0 : 1, chain: from, config }
  for (let i = 1; i <= count; i++) {
    const chain = disk.entries.at(-1)?.chain ?? disk.base.chain
    const isConfig = i === count - 1
    const payload = isConfig ? encodeConfig({ ...config, learners: [] }) : Buffer.from(`e${from + i}`)
    disk.entries.push(makeEntry(from + i, 2, isConfig ? EntryKind.config : EntryKind.command, payload, chain, checksum))
  }
  return disk
}

async function found(disk: MemoryDisk, machine = new RegisterMachine()) {
  const fresh = new MemoryDisk()
  const log = await new MemoryLog(disk).load()
  const into = new MemoryLog(fresh)
  await into.load()
  const base = await foundFromLog({ log, snapshots: new MemorySnapshots(disk), stateMachine: machine, into }, 'a2')
  return { base, fresh, machine }
}

describe('a group that is founded from a log', () => {
  it('begins where the log ends, with all of it applied and one voter, no learner of the old group among them', async () => {
    const disk = oldDisk()
    const { base, fresh, machine } = await found(disk)
    const last = disk.entries.at(-1)!
    const alone = { voters: ['a2'], outgoing: [], learners: [] }
    assert.deepEqual(base, { index: 5, term: 2, chain: last.chain, config: alone } satisfies LogBase)
    assert.deepEqual([fresh.base, fresh.entries, fresh.hardState], [base, [], { term: 7, votedFor: undefined }])
    assert.deepEqual(machine.texts, ['e1', 'e2', 'e3', 'e5'])
    assert.equal(await machine.flush(), 5)
  })

  it('leads itself, goes on from there, and lets others in', async () => {
    const { fresh, machine } = await found(oldDisk())
    const network = new MemoryNetwork()
    const raft = await openRaft(
      {
        storage: new MemoryLog(fresh),
        snapshots: new MemorySnapshots(fresh),
        transport: network.transport('a2'),
        stateMachine: machine
      },
      { id: 'a2' }
    )
    const otherDisk = new MemoryDisk()
    const otherMachine = new RegisterMachine()
    const other = await openRaft(
      {
        storage: new MemoryLog(otherDisk),
        snapshots: new MemorySnapshots(otherDisk),
        transport: network.transport('b2'),
        stateMachine: otherMachine
      },
      { id: 'b2' }
    )
    try {
      await raft.readBarrier()
      assert.ok(raft.status().term > 7)
      await raft.propose(Buffer.from('new'))
      assert.deepEqual(machine.texts, ['e1', 'e2', 'e3', 'e5', 'new'])
      await raft.changeMembers({ voters: ['a2'], learners: ['b2'] })
      await until('the other has all', () => otherMachine.texts.join() === machine.texts.join())
    } finally {
      await Promise.all([raft.close(), other.close()])
    }
  })

  it('applies nothing twice', async () => {
    const machine = new RegisterMachine()
    await machine.apply([{ index: 2, payload: Buffer.from('e2') }], 2)
    await found(oldDisk(), machine)
    assert.deepEqual(machine.texts, ['e2', 'e3', 'e5'])
  })

  it('takes a snapshot where the state lags behind the log, and is not founded where there is none', async () => {
    const disk = oldDisk(100, 3)
    await assert.rejects(found(disk), { name: 'RaftStartError', code: 'state-behind-log' })
    const chunk = Buffer.from(JSON.stringify([{ index: 1, text: 'in the snapshot' }]))
    const base = { index: 100, term: 1, chain: 100, config }
    const chunks = [{ bytes: chunk.length, crc32: crc32(chunk) }]
    const manifest = { version: 1 as const, id: 's100', base, chunks, totalBytes: chunk.length }
    disk.snapshots.push({ manifest, chunks: [chunk] })
    const { machine, base: begun } = await found(disk)
    assert.deepEqual(machine.texts, ['in the snapshot', 'e101', 'e103'])
    assert.equal(begun.index, 103)
  })

  it('is not founded from a log that the state is ahead of: part of it is lost', async () => {
    const machine = new RegisterMachine()
    await machine.apply([], 9)
    const disk = oldDisk()
    await assert.rejects(found(disk, machine), { name: 'RaftStartError', code: 'state-ahead-of-log' })
  })

  it('begins where the state stands, where damage took the log before that', async () => {
    const disk = oldDisk()
    disk.faults = [{ file: 'x', offset: 0, fromIndex: 3, detail: 'rotten' }]
    disk.entries = disk.entries.slice(0, 2)
    const machine = new RegisterMachine()
    await machine.apply([{ index: 1, payload: Buffer.from('all of it') }], 4)
    const { base, fresh } = await found(disk, machine)
    assert.deepEqual([base.index, base.term, fresh.hardState.term], [4, 7, 7])
    assert.deepEqual(machine.texts, ['all of it'])
    // Where the log reaches further than the state, as far as it can be read.
    const behind = await found(disk)
    assert.deepEqual([behind.base.index, behind.base.term, behind.machine.texts], [2, 2, ['e1', 'e2']])
  })

  it('begins where the state stands, where the beginning of the log is lost, and not without a state', async () => {
    const lost = { hardState: { term: 7, votedFor: undefined }, base: new MemoryDisk().base, entries: [], faults: [] }
    const parts = () => ({
      log: { ...lost, baseLost: true },
      snapshots: new MemorySnapshots(new MemoryDisk()),
      stateMachine: new RegisterMachine(),
      into: new MemoryLog(new MemoryDisk())
    })
    await assert.rejects(foundFromLog(parts(), 'a2'), { name: 'RaftStartError', code: 'log-damaged' })
    const some = parts()
    await some.stateMachine.apply([], 9)
    const { index, term } = await foundFromLog(some, 'a2')
    assert.deepEqual([index, term], [9, 7])
  })

  it('is not founded under a name that no member can have', async () => {
    const disk = oldDisk()
    const log = await new MemoryLog(disk).load()
    const into = new MemoryLog(new MemoryDisk())
    const parts = { log, snapshots: new MemorySnapshots(disk), stateMachine: new RegisterMachine(), into }
    await assert.rejects(foundFromLog(parts, 'é'), RangeError)
  })
})

describe('the end of a log', () => {
  it('is its last entry, or where it begins', () => {
    const disk = oldDisk()
    assert.deepEqual(logEnd(disk), { term: 2, index: 5 })
    assert.deepEqual(logEnd({ base: disk.base, entries: [] }), { term: 0, index: 0 })
  })
})
