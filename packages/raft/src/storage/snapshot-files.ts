/**
 * Snapshots of the state on disk: `SnapshotStore` for the driver. A snapshot is a folder `snapshots/<index>-<term>-<id>` with
 * `data`, the chunks back to back, and `manifest.json`, which says what they are and carries a CRC of its own.
 *
 * Nothing half-written is ever taken for a snapshot (T41): it grows in a folder with another ending (`.new` if made here,
 * `.part` if received), its data is synced, then its manifest is written and synced, then the folder; only then is it
 * renamed and the rename synced. Whoever compacts the log does so after `commit`. On removal the manifest goes first, so that
 * half of a removed snapshot is not one either.
 *
 * A `.part` holds the sender's manifest from its first moment; an interrupted transfer continues after the chunks whose
 * checksums are right. There is at most one: to begin another is to give up the one before.
 */

import { randomBytes } from 'node:crypto'
import type { LogBase } from '../core/types.ts'
import type { SnapshotManifest, SnapshotStore, SnapshotWriter } from '../ports.ts'
import { checksum } from './checksum.ts'
import { SnapshotDamagedError, SnapshotRefusedError, StorageFailedError } from './errors.ts'
import { type FileSystem, nodeFileSystem } from './file-system.ts'
import { checkManifest, chunkOffset, decodeManifest, MANIFEST_FILE } from './snapshot-manifest.ts'
import { DATA_FILE, SnapshotFilesWriter, type SnapshotPlace, writeManifest } from './snapshot-writer.ts'

export interface SnapshotStoreInit {
  /** The folder of the raft data; snapshots stand in `snapshots` in it. Made if it is not there. */
  readonly folder: string
  /** @default the real one */
  readonly fileSystem?: FileSystem
  /** Draws the name of each snapshot that is made here: letters, digits and `-`. @default 16 random hexadecimal digits */
  readonly newId?: () => string
}

/**
 * The snapshots below `folder`. Touches nothing until the first call.
 *
 * @example
 * const snapshots = openSnapshotStore({ folder: '/var/lib/quorate/raft' })
 * const writer = await snapshots.create(base)
 * for await (const chunk of state.chunks(signal)) await writer.write(chunk)
 * const manifest = await writer.commit()
 */
export function openSnapshotStore(init: SnapshotStoreInit): SnapshotStore {
  return new SnapshotFiles(init)
}

/** A folder that ought to be a snapshot, or the beginning of one. */
interface Found {
  readonly name: string
  readonly index: number
  readonly term: number
  readonly id: string
  readonly ending: '' | '.new' | '.part'
}

const nameOf = (base: LogBase, id: string): string => `${base.index}-${base.term}-${id}`

function parseName(name: string): Found | undefined {
  const match = /^(\d{1,15})-(\d{1,15})-([A-Za-z0-9-]{1,64})(|\.new|\.part)$/.exec(name)
  if (match === null) return undefined
  const [, index, term, id, ending] = match
  return { name, index: Number(index), term: Number(term), id: id!, ending: ending as Found['ending'] }
}

/** By index, and only then by term: sorting by term first has cost others their newest (T40). */
const byAge = (a: { index: number; term: number }, b: { index: number; term: number }): number =>
  a.index - b.index || a.term - b.term

class SnapshotFiles implements SnapshotStore {
  readonly #folder: string
  readonly #fileSystem: FileSystem
  readonly #newId: () => string
  /** Names that a writer of this process is at work on. */
  readonly #inUse = new Set<string>()

  constructor(init: SnapshotStoreInit) {
    this.#folder = `${init.folder}/snapshots`
    this.#fileSystem = init.fileSystem ?? nodeFileSystem
    this.#newId = init.newId ?? (() => randomBytes(8).toString('hex'))
  }

  async latest(): Promise<SnapshotManifest | undefined> {
    return (await this.#newestSound())?.manifest
  }

  async create(base: LogBase): Promise<SnapshotWriter> {
    const id = this.#newId()
    const place = await this.#place(nameOf(base, id), '.new')
    try {
      await this.#fileSystem.makeFolder(place.temporary)
      return await this.#writer(place, id, base, undefined, 0)
    } catch (error) {
      place.release()
      throw error
    }
  }

  async receive(manifest: SnapshotManifest): Promise<SnapshotWriter> {
    checkManifest(manifest)
    const { id, base } = manifest
    const place = await this.#place(nameOf(base, id), '.part')
    try {
      const found = await this.#list()
      for (const other of found) {
        if (other.ending === '.part' && other.name !== `${place.name}.part` && !this.#inUse.has(other.name))
          await this.#remove(other.name)
      }
      // The rename may have happened, and the answer been lost with the process.
      if (found.some(({ name }) => name === place.name)) {
        if (sameManifest(await this.#sound(place.name), manifest)) {
          return await this.#writer(place, id, base, manifest, manifest.chunks.length, true)
        }
        await this.#remove(place.name)
      }
      const started = await this.#readManifest(place.temporary)
      if (!sameManifest(started, manifest)) {
        await this.#remove(`${place.name}.part`)
        await this.#fileSystem.makeFolder(place.temporary)
        await writeManifest(this.#fileSystem, place.temporary, manifest)
        return await this.#writer(place, id, base, manifest, 0)
      }
      return await this.#writer(place, id, base, manifest, await this.#soundChunks(place.temporary, manifest))
    } catch (error) {
      place.release()
      throw new StorageFailedError(`Could not begin to write the snapshot ${place.name}`, error)
    }
  }

  async open(id: string): Promise<SnapshotManifest | undefined> {
    for (const found of await this.#list()) {
      if (found.id === id && found.ending === '') return this.#sound(found.name)
    }
    return undefined
  }

  async readChunk(manifest: SnapshotManifest, chunk: number): Promise<Uint8Array> {
    const expected = manifest.chunks[chunk]
    if (expected === undefined)
      throw new SnapshotDamagedError(manifest.id, chunk, `it has ${manifest.chunks.length} chunks`)
    const name = nameOf(manifest.base, manifest.id)
    const bytes = await this.#readData(`${this.#folder}/${name}`, manifest, chunk)
    if (bytes === undefined) throw new SnapshotDamagedError(manifest.id, chunk, 'the snapshot is not here any more')
    if (bytes.length !== expected.bytes) {
      throw new SnapshotDamagedError(
        manifest.id,
        chunk,
        `${bytes.length} bytes are there in place of ${expected.bytes}`
      )
    }
    if (checksum(bytes, 0) !== expected.crc32)
      throw new SnapshotDamagedError(manifest.id, chunk, 'its checksum is wrong')
    return bytes
  }

  async prune(): Promise<void> {
    const newest = await this.#newestSound()
    // Without one that can be read, everything else may still be of use to somebody.
    if (newest === undefined) return
    for (const found of await this.#list()) {
      if (found.name === newest.name || this.#inUse.has(found.name)) continue
      // What is newer is either on its way, or damaged and gone with the next that is sound.
      if (byAge(found, newest) <= 0) await this.#remove(found.name)
    }
  }

  async discard({ base, id }: SnapshotManifest): Promise<void> {
    await this.#remove(nameOf(base, id))
  }

  async #list(): Promise<Found[]> {
    const names = (await this.#fileSystem.list(this.#folder)) ?? []
    return names.flatMap((name) => parseName(name) ?? [])
  }

  async #newestSound(): Promise<(Found & { manifest: SnapshotManifest }) | undefined> {
    const complete = (await this.#list()).filter(({ ending }) => ending === '').sort(byAge)
    for (const found of complete.reverse()) {
      const manifest = await this.#sound(found.name)
      if (manifest !== undefined) return { ...found, manifest }
    }
    return undefined
  }

  /** The manifest of a complete snapshot, if it can be read, is of this folder, and the data have their length. */
  async #sound(name: string): Promise<SnapshotManifest | undefined> {
    const folder = `${this.#folder}/${name}`
    const manifest = await this.#readManifest(folder)
    if (manifest === undefined || nameOf(manifest.base, manifest.id) !== name) return undefined
    return (await this.#fileSystem.size(`${folder}/${DATA_FILE}`)) === manifest.totalBytes ? manifest : undefined
  }

  async #readManifest(folder: string): Promise<SnapshotManifest | undefined> {
    const bytes = await this.#fileSystem.readFile(`${folder}/${MANIFEST_FILE}`)
    return bytes === undefined ? undefined : decodeManifest(bytes)
  }

  #readData(folder: string, manifest: SnapshotManifest, chunk: number): Promise<Uint8Array | undefined> {
    return this.#fileSystem.readAt(
      `${folder}/${DATA_FILE}`,
      chunkOffset(manifest, chunk),
      manifest.chunks[chunk]!.bytes
    )
  }

  /** How many chunks from the first on are there and right. */
  async #soundChunks(folder: string, manifest: SnapshotManifest): Promise<number> {
    for (const [n, expected] of manifest.chunks.entries()) {
      const bytes = await this.#readData(folder, manifest, n)
      if (bytes?.length !== expected.bytes || checksum(bytes, 0) !== expected.crc32) return n
    }
    return manifest.chunks.length
  }

  async #place(name: string, ending: '.new' | '.part'): Promise<SnapshotPlace> {
    const temporaryName = name + ending
    if (this.#inUse.has(temporaryName)) throw new SnapshotRefusedError(`another writer is at work on ${name}`)
    this.#inUse.add(temporaryName)
    try {
      await this.#fileSystem.makeFolder(this.#folder)
    } catch (error) {
      this.#inUse.delete(temporaryName)
      throw error
    }
    return {
      name,
      parent: this.#folder,
      temporary: `${this.#folder}/${temporaryName}`,
      final: `${this.#folder}/${name}`,
      remove: () => this.#remove(temporaryName),
      release: () => this.#inUse.delete(temporaryName)
    }
  }

  async #writer(
    place: SnapshotPlace,
    id: string,
    base: LogBase,
    expected: SnapshotManifest | undefined,
    resumedChunks: number,
    complete = false
  ): Promise<SnapshotWriter> {
    return SnapshotFilesWriter.open(this.#fileSystem, place, { id, base, expected, resumedChunks, complete })
  }

  async #remove(name: string): Promise<void> {
    const folder = `${this.#folder}/${name}`
    const files = await this.#fileSystem.list(folder)
    if (files === undefined) return
    if (files.includes(MANIFEST_FILE)) {
      await this.#fileSystem.remove(`${folder}/${MANIFEST_FILE}`)
      await this.#fileSystem.syncFolder(folder)
    }
    for (const file of files) await this.#fileSystem.remove(`${folder}/${file}`)
    await this.#fileSystem.removeFolder(folder)
    await this.#fileSystem.syncFolder(this.#folder)
  }
}

function sameManifest(a: SnapshotManifest | undefined, b: SnapshotManifest): boolean {
  if (a === undefined || a.id !== b.id || a.totalBytes !== b.totalBytes || a.chunks.length !== b.chunks.length)
    return false
  if (a.base.index !== b.base.index || a.base.term !== b.base.term || a.base.chain !== b.base.chain) return false
  return a.chunks.every(({ bytes, crc32 }, n) => bytes === b.chunks[n]!.bytes && crc32 === b.chunks[n]!.crc32)
}
