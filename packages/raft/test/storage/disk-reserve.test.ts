/** A full disk in memory: what the log does when there is no room, and what the reserve tells (T56). */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { SpaceLeft } from '../../src/driver/health.ts'
import { openDiskReserve } from '../../src/storage/disk-reserve.ts'
import { openSegmentLog } from '../../src/storage/segment-log.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { LimitedFileSystem } from './limited-file-system.ts'
import { emptyState, entriesAfter, type LogState, lastIndexOf, pictureOf } from './log-model.ts'

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
}

async function startReserve(disk: LimitedFileSystem, ballastBytes: number) {
  const clock = new ManualClock()
  const told: SpaceLeft[] = []
  const { folder, fileSystem } = disk
  await fileSystem.makeFolder(folder)
  const reserve = openDiskReserve({ folder, fileSystem, clock, ballastBytes, intervalMs: 100 })
  reserve.start((space) => told.push(space))
  const look = async (): Promise<void> => {
    clock.jump(100)
    await settle()
  }
  await look()
  return { reserve, told, look }
}

describe('disk reserve', () => {
  it('lets the log go on when a commit finds no room, whatever was written of it', async () => {
    for (let room = 0; room < 700; room += 23) {
      const disk = new LimitedFileSystem('/raft', 1_000_000)
      const { fileSystem, folder } = disk
      const { reserve, told } = await startReserve(disk, 5000)
      const log = openSegmentLog({
        folder,
        fileSystem,
        reserve,
        segmentBytes: 1200,
        markDelayMs: Number.POSITIVE_INFINITY
      })
      await log.load()
      let state: LogState = emptyState
      const write = async (text: string): Promise<void> => {
        const entries = entriesAfter(state, lastIndexOf(state), 1, [Buffer.from(text), Buffer.alloc(300, text)])
        await log.persist({ hardState: undefined, truncateFrom: undefined, entries })
        state = { ...state, entries: [...state.entries, ...entries] }
      }
      for (const text of ['one', 'two', 'three']) await write(text)
      disk.capacity = disk.used + room
      for (const text of ['four', 'five', 'six']) await write(text)
      assert.equal(told.includes('none'), room < 3 * 364 + 64)
      // Half of what was read may be in the page cache only; a crash shows what is on disk.
      const loaded = await openSegmentLog({ folder, fileSystem: disk.disk.image(room) }).load()
      assert.deepEqual(loaded.faults, [])
      assert.equal(pictureOf(loaded), pictureOf(state))
      await log.close()
    }
  })

  it('fails for good once the ballast is gone too', async () => {
    const disk = new LimitedFileSystem('/raft', 1_000_000)
    const { fileSystem, folder } = disk
    const { reserve } = await startReserve(disk, 500)
    const log = openSegmentLog({ folder, fileSystem, reserve })
    await log.load()
    const entries = entriesAfter(emptyState, 0, 1, [Buffer.alloc(100), Buffer.alloc(3000)])
    await log.persist({ hardState: undefined, truncateFrom: undefined, entries: entries.slice(0, 1) })
    disk.capacity = disk.used
    const batch = { hardState: undefined, truncateFrom: undefined, entries: entries.slice(1) }
    await assert.rejects(log.persist(batch), { name: 'StorageFailedError' })
    disk.capacity = 1_000_000
    await assert.rejects(log.persist(batch), { name: 'StorageFailedError' })
    assert.equal((await openSegmentLog({ folder, fileSystem }).load()).entries.length, 1)
  })

  it('tells how much room there is, and makes the ballast anew when there is some again', async () => {
    const disk = new LimitedFileSystem('/raft', 10_000)
    const { reserve, told, look } = await startReserve(disk, 1000)
    assert.deepEqual(told, ['enough'])
    disk.capacity = 2500
    await look()
    disk.capacity = 1500
    await look()
    assert.deepEqual(told, ['enough', 'low', 'none'])
    // Whoever writes next finds that it was given up already.
    disk.capacity = 1200
    await look()
    assert.equal(disk.used, 0)
    assert.equal(await reserve.release(), false)
    await look()
    assert.equal(disk.used, 0)
    disk.capacity = 10_000
    await look()
    assert.equal(told.at(-1), 'enough')
    assert.equal(disk.used, 1000)
    await reserve.stop()
  })

  it('takes a sixteenth of a small volume', async () => {
    const disk = new LimitedFileSystem('/raft', 16_000)
    const clock = new ManualClock()
    const { folder, fileSystem } = disk
    await fileSystem.makeFolder(folder)
    const reserve = openDiskReserve({ folder, fileSystem, clock })
    reserve.start(() => {})
    clock.jump(1)
    await settle()
    assert.equal(disk.used, 1000)
    await reserve.stop()
  })
})
