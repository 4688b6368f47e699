/** What every `SnapshotStore` has to do, as a suite that is run on each of them. */

import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { LogBase } from '../../src/core/types.ts'
import type { SnapshotManifest, SnapshotStore, SnapshotWriter } from '../../src/ports.ts'
import { randomFrom } from './random.ts'

/** One place where snapshots can be kept. */
export interface SnapshotPlace {
  /** A new handle on the same place, as after a restart. */
  open(): SnapshotStore
  dispose(): Promise<void>
}

export const snapshotBase = (index: number, term = 1): LogBase => ({
  index,
  term,
  chain: (index * 2654435761) >>> 0,
  config: { voters: ['a', 'b', 'c'], outgoing: [], learners: [] }
})

export async function writeAll(writer: SnapshotWriter, chunks: readonly Uint8Array[]): Promise<SnapshotManifest> {
  for (const chunk of chunks.slice(writer.resumedChunks)) await writer.write(chunk)
  return writer.commit()
}

export async function readAll(store: SnapshotStore, manifest: SnapshotManifest): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = []
  for (let n = 0; n < manifest.chunks.length; n++) chunks.push(Uint8Array.from(await store.readChunk(manifest, n)))
  return chunks
}

/** @param create - makes an empty place */
export function snapshotStoreSuite(name: string, create: () => Promise<SnapshotPlace>): void {
  describe(`${name} as a snapshot store`, () => {
    const random = randomFrom(1)
    const chunks = [1, 1000, 70_000].map((bytes) => random.bytes(bytes))
    let place: SnapshotPlace
    let store: SnapshotStore
    /** Described by another node, whose chunks are `chunks`. */
    const foreign = async (index: number): Promise<SnapshotManifest> => {
      const other = await create()
      const manifest = await writeAll(await other.open().create(snapshotBase(index)), chunks)
      await other.dispose()
      return manifest
    }

    beforeEach(async () => {
      place = await create()
      store = place.open()
    })
    afterEach(() => place.dispose())

    it('has none at first', async () => {
      assert.equal(await store.latest(), undefined)
      assert.equal(await store.open('nothing'), undefined)
      await store.prune()
    })

    it('reads back what was written, after a restart too', async () => {
      const manifest = await writeAll(await store.create(snapshotBase(10)), chunks)
      assert.deepEqual(manifest.base, snapshotBase(10))
      for (const reader of [store, place.open()]) {
        assert.deepEqual(await reader.latest(), manifest)
        assert.deepEqual(await reader.open(manifest.id), manifest)
        assert.deepEqual(await readAll(reader, manifest), chunks)
      }
    })

    it('keeps a snapshot of an empty state', async () => {
      const manifest = await writeAll(await store.create(snapshotBase(3)), [])
      assert.deepEqual(await place.open().latest(), manifest)
    })

    it('shows nothing before commit, and nothing after abort', async () => {
      const writer = await store.create(snapshotBase(10))
      await writer.write(chunks[1]!)
      assert.equal(await store.latest(), undefined)
      await writer.abort({ keep: false })
      assert.equal(await place.open().latest(), undefined)
      await assert.rejects(writer.write(chunks[1]!), { name: 'StorageFailedError' })
    })

    it('answers the newest by index, not by term or by time', async () => {
      for (const [index, term] of [
        [30, 2],
        [9, 9],
        [100, 1],
        [20, 3]
      ] as const) {
        await writeAll(await store.create(snapshotBase(index, term)), chunks)
      }
      assert.equal((await store.latest())?.base.index, 100)
      await store.prune()
      assert.equal((await place.open().latest())?.base.index, 100)
      assert.deepEqual(await readAll(store, (await store.latest())!), chunks)
    })

    it('prunes all but the newest, and leaves one that is being written', async () => {
      const old = await writeAll(await store.create(snapshotBase(1)), chunks)
      const writer = await store.create(snapshotBase(1, 2))
      const newest = await writeAll(await store.create(snapshotBase(2)), chunks)
      await store.prune()
      assert.equal(await store.open(old.id), undefined)
      await assert.rejects(store.readChunk(old, 0), { name: 'SnapshotDamagedError' })
      assert.deepEqual(await store.open(newest.id), newest)
      await writeAll(writer, chunks)
      assert.equal((await store.latest())?.id, newest.id)
    })

    it('receives a snapshot under the name it has elsewhere', async () => {
      const manifest = await foreign(40)
      const writer = await store.receive(manifest)
      assert.equal(writer.resumedChunks, 0)
      assert.deepEqual(await writeAll(writer, chunks), manifest)
      assert.deepEqual(await readAll(place.open(), manifest), chunks)
    })

    it('resumes a transfer after the chunks that arrived', async () => {
      const manifest = await foreign(40)
      const writer = await store.receive(manifest)
      await writer.write(chunks[0]!)
      await writer.write(chunks[1]!)
      await writer.abort({ keep: true })
      const again = await place.open().receive(manifest)
      assert.equal(again.resumedChunks, 2)
      await writeAll(again, chunks)
      assert.deepEqual(await readAll(store, manifest), chunks)
    })

    it('begins again when what was kept is dropped, or of another snapshot', async () => {
      const manifest = await foreign(40)
      const first = await store.receive(manifest)
      await first.write(chunks[0]!)
      await first.abort({ keep: false })
      const second = await store.receive(manifest)
      assert.equal(second.resumedChunks, 0)
      await second.write(chunks[0]!)
      await second.abort({ keep: true })
      const other = await store.receive(await foreign(41))
      await other.abort({ keep: true })
      const third = await store.receive(manifest)
      assert.equal(third.resumedChunks, 0)
      await third.abort({ keep: false })
    })

    it('answers a transfer that was complete already', async () => {
      const manifest = await foreign(40)
      await writeAll(await store.receive(manifest), chunks)
      const again = await place.open().receive(manifest)
      assert.equal(again.resumedChunks, chunks.length)
      assert.deepEqual(await again.commit(), manifest)
    })

    it('refuses a chunk that is not what the manifest says, and takes the right one after it', async () => {
      const manifest = await foreign(40)
      const writer = await store.receive(manifest)
      await assert.rejects(writer.write(chunks[1]!), { name: 'SnapshotDamagedError', chunk: 0 })
      await assert.rejects(writer.commit(), { name: 'SnapshotRefusedError' })
      await writeAll(writer, chunks)
      assert.deepEqual(await readAll(store, manifest), chunks)
    })

    it('refuses chunks that are empty or too large, and one too many', async () => {
      const writer = await store.create(snapshotBase(1))
      await assert.rejects(writer.write(new Uint8Array(0)), { name: 'SnapshotRefusedError' })
      await assert.rejects(writer.write(new Uint8Array(1024 * 1024 + 1)), { name: 'SnapshotRefusedError' })
      await writer.abort({ keep: false })
      const receiving = await store.receive(await foreign(2))
      for (const chunk of chunks) await receiving.write(chunk)
      await assert.rejects(receiving.write(chunks[0]!), { name: 'SnapshotRefusedError' })
      await receiving.abort({ keep: false })
    })

    it('refuses to receive what is not described properly', async () => {
      const manifest = await foreign(40)
      const wrong: unknown[] = [
        undefined,
        { ...manifest, version: 2 },
        { ...manifest, id: '../../etc' },
        { ...manifest, id: '' },
        { ...manifest, totalBytes: manifest.totalBytes + 1 },
        { ...manifest, base: { ...manifest.base, index: -1 } },
        { ...manifest, base: { ...manifest.base, term: 2 ** 50 } },
        { ...manifest, base: { ...manifest.base, config: undefined } },
        { ...manifest, chunks: [{ bytes: 2 ** 30, crc32: 1 }], totalBytes: 2 ** 30 },
        { ...manifest, chunks: [{ bytes: 0, crc32: 1 }], totalBytes: 0 },
        { ...manifest, chunks: Array(100_000).fill({ bytes: 1, crc32: 0 }), totalBytes: 100_000 }
      ]
      for (const value of wrong) {
        await assert.rejects(
          store.receive(value as SnapshotManifest),
          { name: 'SnapshotRefusedError' },
          JSON.stringify(value)?.slice(0, 200)
        )
      }
    })

    it('refuses a second writer of the same transfer', async () => {
      const manifest = await foreign(40)
      const writer = await store.receive(manifest)
      await assert.rejects(store.receive(manifest), { name: 'SnapshotRefusedError' })
      await writeAll(writer, chunks)
    })
  })
}
