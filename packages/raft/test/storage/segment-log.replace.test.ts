/** A damaged log that is replaced by a whole one, with the power going at every step, twice in a row: it is the old one or the new. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LogStorage } from '../../src/ports.ts'
import { openSegmentLog } from '../../src/storage/segment-log.ts'
import { CrashFileSystem, PowerCut } from './crash-file-system.ts'
import { emptyState, entriesAfter, type LogState, pictureOf } from './log-model.ts'

const noTimers = { after: () => () => {} }

const open = (fileSystem: CrashFileSystem): LogStorage =>
  openSegmentLog({ folder: '/raft', fileSystem, clock: noTimers, segmentBytes: 400 })

interface Damaged {
  readonly fileSystem: CrashFileSystem
  readonly whole: LogState
}

/** A log of several segments with a hole in the first. */
async function makeDamaged(): Promise<Damaged> {
  const fileSystem = new CrashFileSystem()
  const log = open(fileSystem)
  await log.load()
  const payloads = Array.from({ length: 12 }, (_, n) => Buffer.alloc(90, n))
  const entries = entriesAfter(emptyState, 0, 1, payloads)
  const hardState = { term: 1, votedFor: 'a' }
  for (const entry of entries) await log.persist({ hardState, truncateFrom: undefined, entries: [entry] })
  await log.close()
  const first = fileSystem.files().find((path) => path.endsWith('.seg'))!
  fileSystem.damage(first, (content) => content.fill(0, 120, 140))
  return { fileSystem, whole: { hardState, base: emptyState.base, entries } }
}

/** @returns the disk after the power went at the given operation of a repair; undefined if it came to its end before */
async function cutDuringRepair(
  disk: CrashFileSystem,
  { whole }: Damaged,
  step: number
): Promise<CrashFileSystem | undefined> {
  const log = open(disk)
  const loaded = await log.load()
  if (loaded.faults.length === 0) return undefined
  disk.cutAt = disk.operations + step
  try {
    await log.replace!(whole)
    return undefined
  } catch (error) {
    assert((error as Error).cause instanceof PowerCut)
    return disk.image(step)
  }
}

describe('segment log, repair', () => {
  it('is whole after it was replaced, and goes on', async () => {
    const damaged = await makeDamaged()
    const log = open(damaged.fileSystem)
    const { faults, remains } = await log.load()
    assert.equal(faults.length, 1)
    assert.deepEqual(remains?.end, { index: 12, chain: damaged.whole.entries.at(-1)!.chain })
    await log.replace!(damaged.whole)
    const more = entriesAfter(damaged.whole, 12, 2, [Buffer.from('more')])
    await log.persist({ hardState: { term: 2, votedFor: undefined }, truncateFrom: undefined, entries: more })
    await log.close()
    const loaded = await open(damaged.fileSystem).load()
    assert.deepEqual(loaded.faults, [])
    const after = {
      ...damaged.whole,
      hardState: { term: 2, votedFor: undefined },
      entries: [...damaged.whole.entries, ...more]
    }
    assert.equal(pictureOf(loaded), pictureOf(after))
  })

  it('is the old log, with all that it proves, or the new one, wherever the power goes and goes again', async () => {
    const damaged = await makeDamaged()
    const seen = { old: 0, new: 0 }
    for (let first = 1; ; first += 2) {
      const once: CrashFileSystem | undefined = await cutDuringRepair(damaged.fileSystem.copy(), damaged, first)
      if (once === undefined) break
      for (let second = 1; second < 60; second += 5) {
        const twice: CrashFileSystem = (await cutDuringRepair(once.copy(), damaged, second)) ?? once
        const { faults, remains, ...loaded } = await open(twice.copy()).load()
        if (faults.length === 0) {
          seen.new++
          assert.equal(pictureOf({ ...loaded, faults }), pictureOf(damaged.whole))
        } else {
          seen.old++
          assert.deepEqual(remains?.end, { index: 12, chain: damaged.whole.entries.at(-1)!.chain })
        }
      }
    }
    assert(seen.old > 50 && seen.new > 10, JSON.stringify(seen))
  })

  it('cannot be replaced while it is sound', async () => {
    const log = open(new CrashFileSystem())
    await log.load()
    await assert.rejects(log.replace!(emptyState), { name: 'StorageMisuseError' })
  })
})
