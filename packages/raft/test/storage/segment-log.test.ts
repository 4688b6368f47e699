/** The log on disk against the suite of all log storages, and what is its own: segments that roll and go, names, a look from outside. */

import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { encodeConfig } from '../../src/core/members.ts'
import { makeEntry } from '../../src/core/record.ts'
import { EntryKind } from '../../src/core/types.ts'
import { checksum } from '../../src/storage/checksum.ts'
import { inspectGroup } from '../../src/storage/log-reader.ts'
import { openSegmentLog } from '../../src/storage/segment-log.ts'
import { CrashFileSystem } from './crash-file-system.ts'
import { after, baseAt, carryOut, drawStep, emptyState, entriesAfter, type LogState, pictureOf } from './log-model.ts'
import { logStorageSuite } from './log-storage-suite.ts'
import { randomFrom } from './random.ts'
import { realFolder } from './real-folder.ts'

for (const segmentBytes of [300, undefined]) {
  const init = segmentBytes === undefined ? {} : { segmentBytes }
  logStorageSuite(`segment log of ${segmentBytes ?? 'many'} bytes on the real file system`, async () => {
    const { folder, dispose } = await realFolder()
    return { open: () => openSegmentLog({ folder: `${folder}/raft`, ...init }), dispose }
  })
  logStorageSuite(`segment log of ${segmentBytes ?? 'many'} bytes in memory`, async () => {
    const fileSystem = new CrashFileSystem()
    return { open: () => openSegmentLog({ folder: '/raft', fileSystem, ...init }), dispose: async () => {} }
  })
}

describe('segment log', () => {
  it('touches nothing in a folder before the first write', async () => {
    const { folder, dispose } = await realFolder()
    const log = openSegmentLog({ folder })
    await log.load()
    await log.close()
    assert.deepEqual(await readdir(folder), [])
    await dispose()
  })

  it('rolls to a new segment, and unlinks those below the base', async () => {
    const { folder, dispose } = await realFolder()
    const log = openSegmentLog({ folder, segmentBytes: 1000 })
    await log.load()
    let state: LogState = emptyState
    for (let n = 0; n < 40; n++) {
      const entries = entriesAfter(state, n, 1, [new Uint8Array(100)])
      await log.persist({ hardState: undefined, truncateFrom: undefined, entries })
      state = { ...state, entries: [...state.entries, ...entries] }
    }
    const segments = async (): Promise<number> => (await readdir(folder)).filter((name) => name.endsWith('.seg')).length
    const before = await segments()
    assert.ok(before >= 6)
    await log.compact(baseAt(state, 20))
    assert.ok((await segments()) <= before / 2 + 1)
    await log.close()
    await dispose()
  })

  it('loads records that share one buffer', async () => {
    const fileSystem = new CrashFileSystem()
    const log = openSegmentLog({ folder: '/raft', fileSystem })
    await log.load()
    const entries = entriesAfter(emptyState, 0, 1, [Buffer.from('one'), Buffer.from('two')])
    await log.persist({ hardState: undefined, truncateFrom: undefined, entries })
    await log.close()
    const loaded = await openSegmentLog({ folder: '/raft', fileSystem }).load()
    assert.equal(loaded.entries[0]!.record.buffer, loaded.entries[1]!.record.buffer)
  })

  it('does not begin a second call while one is under way', async () => {
    const log = openSegmentLog({ folder: '/raft', fileSystem: new CrashFileSystem() })
    await log.load()
    const entries = entriesAfter(emptyState, 0, 1, [Buffer.from('one'), Buffer.from('two')])
    const first = log.persist({ hardState: undefined, truncateFrom: undefined, entries })
    await assert.rejects(log.persist({ hardState: undefined, truncateFrom: undefined, entries: [] }), {
      name: 'StorageMisuseError'
    })
    await first
    await log.close()
  })

  it('writes nothing but the one frame for a commit', async () => {
    const fileSystem = new CrashFileSystem()
    const log = openSegmentLog({ folder: '/raft', fileSystem, clock: { after: () => () => {} } })
    await log.load()
    let state = emptyState
    for (let n = 0; n < 3; n++) {
      const before = fileSystem.operations
      const entries = entriesAfter(state, n * 100, 1, Array(100).fill(new Uint8Array(250)))
      await log.persist({ hardState: undefined, truncateFrom: undefined, entries })
      state = { ...state, entries: [...state.entries, ...entries] }
      if (n > 0) assert.equal(fileSystem.operations - before, 1)
    }
  })

  it('brings the mark up to date while commits go on without a pause', async () => {
    const due: (() => void)[] = []
    const clock = {
      after: (_delayMs: number, callback: () => void) => ([due.push(callback)].length > 0 ? () => {} : () => {})
    }
    const fileSystem = new CrashFileSystem()
    const log = openSegmentLog({ folder: '/raft', fileSystem, clock })
    await log.load()
    const [one, two] = entriesAfter(emptyState, 0, 1, [Buffer.from('one'), Buffer.from('two')])
    await log.persist({ hardState: undefined, truncateFrom: undefined, entries: [one!] })
    const second = log.persist({ hardState: undefined, truncateFrom: undefined, entries: [two!] })
    assert.equal(due.length, 1)
    due[0]!()
    await second
    await log.close()
    const segment = fileSystem.files().find((path) => path.endsWith('.seg'))!
    fileSystem.damage(segment, (content) => content.slice(0, 64))
    assert.equal((await openSegmentLog({ folder: '/raft', fileSystem }).load()).faults.length, 1)
  })

  it('says what a folder holds without changing it', async () => {
    const fileSystem = new CrashFileSystem()
    assert.equal(await inspectGroup('/raft', { fileSystem }), undefined)
    const log = openSegmentLog({ folder: '/raft', fileSystem })
    await log.load()
    const base = { ...emptyState.base, config: { voters: ['a'], outgoing: [], learners: [] } }
    await log.reset(base)
    assert.deepEqual((await inspectGroup('/raft', { fileSystem }))?.config, base.config)
    const config = { voters: ['a', 'b'], outgoing: [], learners: ['c'] }
    const entry = makeEntry(1, 5, EntryKind.config, encodeConfig(config), 0, checksum)
    await log.persist({ hardState: { term: 5, votedFor: 'a' }, truncateFrom: undefined, entries: [entry] })
    const before = fileSystem.operations
    assert.deepEqual(await inspectGroup('/raft', { fileSystem }), {
      hardState: { term: 5, votedFor: 'a' },
      base,
      lastIndex: 1,
      config,
      damaged: false
    })
    assert.equal(fileSystem.operations, before)
    await log.close()
  })

  it('says of a folder that lost where its log begins that it is damaged, and what its term is', async () => {
    const fileSystem = new CrashFileSystem()
    const log = openSegmentLog({ folder: '/raft', fileSystem })
    await log.load()
    const entry = makeEntry(1, 5, EntryKind.command, Uint8Array.of(1), 0, checksum)
    await log.reset({ ...emptyState.base, config: { voters: ['a'], outgoing: [], learners: [] } })
    await log.persist({ hardState: { term: 5, votedFor: 'a' }, truncateFrom: undefined, entries: [entry] })
    await log.close()
    for (const name of (await fileSystem.list('/raft')) ?? []) {
      if (name.startsWith('base')) await fileSystem.remove(`/raft/${name}`)
    }
    const { hardState, damaged } = (await inspectGroup('/raft', { fileSystem }))!
    assert.deepEqual([hardState, damaged], [{ term: 5, votedFor: 'a' }, true])
  })

  it('does what an array would, whatever the steps and the size of a segment', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.integer({ min: 128, max: 5000 }),
        fc.array(fc.boolean(), { maxLength: 25 }),
        async (seed, segmentBytes, restarts) => {
          const fileSystem = new CrashFileSystem()
          const random = randomFrom(seed)
          let state = emptyState
          let log = openSegmentLog({ folder: '/raft', fileSystem, segmentBytes })
          await log.load()
          for (const restart of [...restarts, true]) {
            const step = drawStep(state, random)
            await carryOut(log, step)
            state = after(state, step)
            if (!restart) continue
            await log.close()
            log = openSegmentLog({ folder: '/raft', fileSystem, segmentBytes })
            const loaded = await log.load()
            assert.deepEqual(loaded.faults, [])
            assert.equal(pictureOf(loaded), pictureOf(state))
          }
          await log.close()
        }
      ),
      { numRuns: 150 }
    )
  })
})
