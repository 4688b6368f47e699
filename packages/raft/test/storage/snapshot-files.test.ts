/** Snapshots on disk against the suite of all stores, and power cuts and damage. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { SnapshotManifest, SnapshotStore } from '../../src/ports.ts'
import { openSnapshotStore } from '../../src/storage/snapshot-files.ts'
import { CrashFileSystem } from './crash-file-system.ts'
import { randomFrom } from './random.ts'
import { realFolder } from './real-folder.ts'
import { readAll, snapshotBase, snapshotStoreSuite, writeAll } from './snapshot-store-suite.ts'

snapshotStoreSuite('snapshot files on the real file system', async () => {
  const { folder, dispose } = await realFolder()
  return { open: () => openSnapshotStore({ folder: `${folder}/raft` }), dispose }
})
snapshotStoreSuite('snapshot files in memory', async () => {
  const fileSystem = new CrashFileSystem()
  return { open: () => openSnapshotStore({ folder: '/raft', fileSystem }), dispose: async () => {} }
})

const random = randomFrom(7)
const chunks = [300, 2000, 900].map((bytes) => random.bytes(bytes))
const open = (fileSystem: CrashFileSystem): SnapshotStore => openSnapshotStore({ folder: '/raft', fileSystem })
const isPowerCut = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'PowerCut' || isPowerCut(error.cause))

describe('snapshot files', () => {
  it('keeps every committed snapshot that was not replaced, whole, wherever the power goes', async () => {
    const sender = new CrashFileSystem()
    const received = await writeAll(await open(sender).create(snapshotBase(20)), chunks)
    let cuts = 0
    for (let cutAt = 1; ; cutAt++) {
      const fileSystem = new CrashFileSystem()
      fileSystem.cutAt = cutAt
      const store = open(fileSystem)
      let committed = 0
      let done = false
      try {
        await writeAll(await store.create(snapshotBase(10)), chunks)
        committed = 10
        const interrupted = await store.receive(received)
        await interrupted.write(chunks[0]!)
        await interrupted.abort({ keep: true })
        await writeAll(await store.receive(received), chunks)
        committed = 20
        await store.prune()
        await writeAll(await store.create(snapshotBase(30)), chunks)
        committed = 30
        await store.prune()
        done = true
      } catch (error) {
        if (!isPowerCut(error)) throw error
      }
      if (done) break
      cuts += 1
      for (let outcome = 0; outcome < 12; outcome++) {
        const after = open(fileSystem.image(cutAt * 100 + outcome))
        const latest = await after.latest()
        assert.ok((latest?.base.index ?? 0) >= committed, `cut ${cutAt}, outcome ${outcome}: ${committed} is lost`)
        if (latest !== undefined) assert.deepEqual(await readAll(after, latest), chunks)
        // What is left over hinders nothing.
        await writeAll(await after.receive(received), chunks)
        assert.deepEqual(await readAll(after, received), chunks)
        await after.prune()
        assert.ok((await after.latest())!.base.index >= Math.max(committed, 20))
      }
    }
    assert.ok(cuts > 40, `only ${cuts} cuts`)
  })

  it('never answers wrong bytes, whatever is damaged', async () => {
    const outcomes = { same: 0, refused: 0, absent: 0 }
    const fileSystem = new CrashFileSystem()
    const manifest = await writeAll(await open(fileSystem).create(snapshotBase(10)), chunks)
    for (let seed = 1; seed <= 2000; seed++) {
      const draw = randomFrom(seed)
      const damaged = fileSystem.copy()
      const files = damaged.files()
      damaged.damage(files[draw.below(files.length)]!, (content) => {
        const at = draw.below(content.length)
        const kind = draw.below(5)
        if (kind === 0) return content.slice(0, at)
        if (kind === 1) return content.fill(0, at, at + 600)
        if (kind === 2) return undefined
        content[at]! ^= 1 << draw.below(8)
        return content
      })
      const store = open(damaged)
      const latest: SnapshotManifest | undefined = await store.latest()
      if (latest === undefined) {
        outcomes.absent += 1
        continue
      }
      assert.deepEqual(latest, manifest)
      try {
        assert.deepEqual(await readAll(store, latest), chunks)
        outcomes.same += 1
      } catch (error) {
        assert.equal((error as Error).name, 'SnapshotDamagedError')
        outcomes.refused += 1
      }
    }
    assert.ok(outcomes.refused > 100 && outcomes.absent > 100, JSON.stringify(outcomes))
  })

  it('resumes after the chunks that are right, when those after them are not', async () => {
    const manifest = await writeAll(await open(new CrashFileSystem()).create(snapshotBase(10)), chunks)
    const fileSystem = new CrashFileSystem()
    const writer = await open(fileSystem).receive(manifest)
    await writer.write(chunks[0]!)
    await writer.write(chunks[1]!)
    await writer.abort({ keep: true })
    fileSystem.damage(fileSystem.files().find((path) => path.endsWith('/data'))!, (content) => {
      content[chunks[0]!.length + 5]! ^= 1
      return content
    })
    const again = await open(fileSystem).receive(manifest)
    assert.equal(again.resumedChunks, 1)
    await writeAll(again, chunks)
    assert.deepEqual(await readAll(open(fileSystem), manifest), chunks)
  })

  it('answers the one before when the newest is damaged, and does not prune it then', async () => {
    const fileSystem = new CrashFileSystem()
    const store = open(fileSystem)
    const older = await writeAll(await store.create(snapshotBase(10)), chunks)
    const newer = await writeAll(await store.create(snapshotBase(20)), chunks)
    fileSystem.damage(
      fileSystem.files().find((path) => path.includes(newer.id) && path.endsWith('.json'))!,
      (content) => {
        content[40]! ^= 1
        return content
      }
    )
    assert.deepEqual(await store.latest(), older)
    await store.prune()
    assert.deepEqual(await readAll(store, older), chunks)
  })

  it('keeps nothing of a transfer whose write failed', async () => {
    const manifest = await writeAll(await open(new CrashFileSystem()).create(snapshotBase(10)), chunks)
    const fileSystem = new CrashFileSystem()
    const writer = await open(fileSystem).receive(manifest)
    await writer.write(chunks[0]!)
    fileSystem.failAt = fileSystem.operations + 1
    await assert.rejects(writer.write(chunks[1]!), { name: 'StorageFailedError' })
    await writer.abort({ keep: true })
    assert.equal((await open(fileSystem).receive(manifest)).resumedChunks, 0)
  })
})
