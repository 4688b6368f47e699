import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { encodeConfig } from '../../src/core/members.ts'
import { makeEntry } from '../../src/core/record.ts'
import { type Entry, EntryKind, type LogBase } from '../../src/core/types.ts'
import { describeStoredGroup, prepareStart, type StartingPoint } from '../../src/driver/startup.ts'
import { checksum } from '../../src/storage/checksum.ts'
import { MemoryNetwork } from '../support/memory-network.ts'
import { MemoryDisk, MemoryLog, MemorySnapshots } from '../support/memory-storage.ts'
import { RegisterMachine } from '../support/register-machine.ts'

const config = { voters: ['a', 'b', 'c'], outgoing: [], learners: [] }

/** A disk with a log of so many entries of term 1, after a base at `from`. */
function diskWith(from: number, count: number): MemoryDisk {
  const disk = new MemoryDisk()
  disk.hardState = { term: 1, votedFor: 'a' }
  disk.base = { index: from, term: from === 0 ? 0 : 1, chain: from, config }
  for (let i = 1; i <= count; i++) {
    const chain = disk.entries.at(-1)?.chain ?? disk.base.chain
    disk.entries.push(makeEntry(from + i, 1, EntryKind.command, Buffer.from(`e${from + i}`), chain, checksum))
  }
  return disk
}

const baseOf = (entry: Entry): LogBase => ({ index: entry.index, term: entry.term, chain: entry.chain, config })

/** Puts a snapshot of a state with one command beside the log. */
function addSnapshot(disk: MemoryDisk, base: LogBase): void {
  const chunk = Buffer.from(JSON.stringify([{ index: 1, text: `snapshot at ${base.index}` }]))
  const chunks = [{ bytes: chunk.length, crc32: crc32(chunk) }]
  const manifest = { version: 1 as const, id: `s${base.index}`, base, chunks, totalBytes: chunk.length }
  disk.snapshots.push({ manifest, chunks: [chunk] })
}

async function start(
  disk: MemoryDisk,
  machine = new RegisterMachine()
): Promise<{ point: StartingPoint; machine: RegisterMachine }> {
  const components = {
    storage: new MemoryLog(disk),
    snapshots: new MemorySnapshots(disk),
    transport: new MemoryNetwork().transport('a'),
    stateMachine: machine
  }
  return { point: await prepareStart(components, { id: 'a' }), machine }
}

describe('prepareStart', () => {
  it('finishes an installation that ended before the log was reset', async () => {
    const disk = diskWith(0, 5)
    addSnapshot(disk, { index: 100, term: 3, chain: 77, config })
    const { point, machine } = await start(disk)
    assert.equal(point.appliedIndex, 100)
    assert.equal(point.base.index, 100)
    assert.deepEqual(point.entries, [])
    assert.deepEqual(machine.texts, ['snapshot at 100'])
    assert.equal(disk.base.index, 100)
    // The log's last term is one the node has seen, and it voted for nobody in it.
    assert.deepEqual(disk.hardState, { term: 3, votedFor: undefined })
    assert.deepEqual(point.hardState, disk.hardState)
  })

  it('finishes an installation that ended before the state was replaced', async () => {
    const disk = diskWith(100, 0)
    addSnapshot(disk, disk.base)
    const { point, machine } = await start(disk)
    assert.equal(point.appliedIndex, 100)
    assert.equal(machine.restores, 1)
  })

  it('takes a snapshot whose entry the log holds for no reason to touch the log', async () => {
    const disk = diskWith(0, 10)
    addSnapshot(disk, baseOf(disk.entries[6]!))
    const { point, machine } = await start(disk)
    assert.equal(point.appliedIndex, 0)
    assert.equal(point.entries.length, 10)
    assert.equal(machine.restores, 0)
  })

  it('resets a log that conflicts with the snapshot (T42)', async () => {
    const disk = diskWith(0, 10)
    addSnapshot(disk, { index: 7, term: 2, chain: 9, config })
    const { point } = await start(disk)
    assert.deepEqual([point.base.index, point.base.term, point.entries.length], [7, 2, 0])
  })

  it('does not start a group of one whose state lies behind the log without a snapshot, or ahead of it', async () => {
    const alone = { voters: ['a'], outgoing: [], learners: [] }
    const behind = diskWith(100, 5)
    behind.base = { ...behind.base, config: alone }
    await assert.rejects(start(behind), { name: 'RaftStartError', code: 'state-behind-log' })
    const machine = new RegisterMachine()
    await machine.apply([], 50)
    const ahead = diskWith(0, 5)
    ahead.base = { ...ahead.base, config: alone }
    await assert.rejects(start(ahead, machine), { name: 'RaftStartError', code: 'state-ahead-of-log' })
  })

  it('calls for a new name where the state is ahead of the log, and others may rely on what is lost', async () => {
    const machine = new RegisterMachine()
    await machine.apply([], 50)
    await assert.rejects(start(diskWith(0, 5), machine), { name: 'QuarantineNeededError', reason: 'history-lost' })
  })

  it('takes a first configuration into an empty log only (T36)', async () => {
    const bootstrap = { voters: ['x'], outgoing: [], learners: [] }
    const open = (disk: MemoryDisk) =>
      prepareStart(
        {
          storage: new MemoryLog(disk),
          snapshots: new MemorySnapshots(disk),
          transport: new MemoryNetwork().transport('a'),
          stateMachine: new RegisterMachine()
        },
        { id: 'a', bootstrap }
      )
    const empty = new MemoryDisk()
    assert.deepEqual((await open(empty)).base.config, bootstrap)
    assert.deepEqual((await open(diskWith(0, 0))).base.config, config)
    // A joiner that has answered a leader, and was sent nothing yet.
    const joiner = new MemoryDisk()
    joiner.hardState = { term: 1, votedFor: undefined }
    assert.deepEqual((await open(joiner)).base.config, { voters: [], outgoing: [], learners: [] })
  })

  it('writes no first configuration that cannot be worked with', async () => {
    const disk = new MemoryDisk()
    const components = {
      storage: new MemoryLog(disk),
      snapshots: new MemorySnapshots(disk),
      transport: new MemoryNetwork().transport('a'),
      stateMachine: new RegisterMachine()
    }
    const bootstrap = { voters: ['b', 'a', 'b'], outgoing: [], learners: [] }
    await assert.rejects(prepareStart(components, { id: 'a', bootstrap }), { name: 'RangeError' })
    assert.deepEqual(disk.base.config.voters, [])
    const { base } = await prepareStart(components, { id: 'a', bootstrap: { ...bootstrap, voters: ['b', 'a'] } })
    assert.deepEqual(base.config.voters, ['a', 'b'])
    assert.deepEqual(disk.base, base)
  })
})

describe('describeStoredGroup', () => {
  it('names the configuration of the last config entry', () => {
    const disk = diskWith(0, 3)
    const next = { voters: ['a', 'd'], outgoing: [], learners: [] }
    const chain = disk.entries.at(-1)!.chain
    const entries = [...disk.entries, makeEntry(4, 1, EntryKind.config, encodeConfig(next), chain, checksum)]
    const { hardState, base } = disk
    const group = describeStoredGroup({ hardState, base, entries, faults: [] })
    assert.deepEqual(group, { hardState, base, lastIndex: 4, config: next, damaged: false })
  })
})
