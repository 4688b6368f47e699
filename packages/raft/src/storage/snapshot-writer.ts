/**
 * Writes one snapshot, made here or received; `snapshot-files.ts` opens it and explains the order of the syncs (T41).
 */

import type { LogBase } from '../core/types.ts'
import type { SnapshotChunk, SnapshotManifest, SnapshotWriter } from '../ports.ts'
import { checksum } from './checksum.ts'
import { SnapshotDamagedError, SnapshotRefusedError, StorageFailedError } from './errors.ts'
import { type FileSystem, type WritableFile, writeFileAtomically } from './file-system.ts'
import { chunkOffset, encodeManifest, MANIFEST_FILE, MAX_CHUNK_BYTES, MAX_CHUNKS } from './snapshot-manifest.ts'

export const DATA_FILE = 'data'

/** Where a snapshot is written, and where it will be. */
export interface SnapshotPlace {
  readonly name: string
  readonly parent: string
  readonly temporary: string
  readonly final: string
  /** Removes the temporary folder. */
  readonly remove: () => Promise<void>
  /** Nobody is at work on it any more. */
  readonly release: () => void
}

export interface SnapshotWriterInit {
  readonly id: string
  readonly base: LogBase
  /** What the sender described; undefined for a snapshot that is made here. */
  readonly expected: SnapshotManifest | undefined
  readonly resumedChunks: number
  /** It stands in its final place already. */
  readonly complete: boolean
}

export const writeManifest = (fileSystem: FileSystem, folder: string, manifest: SnapshotManifest): Promise<void> =>
  writeFileAtomically(fileSystem, folder, MANIFEST_FILE, encodeManifest(manifest))

export class SnapshotFilesWriter implements SnapshotWriter {
  readonly resumedChunks: number
  readonly #fileSystem: FileSystem
  readonly #place: SnapshotPlace
  readonly #init: SnapshotWriterInit
  /** Undefined if the snapshot is complete, or the writer is done. */
  #data: WritableFile | undefined
  readonly #chunks: SnapshotChunk[]
  #bytes: number
  #state: 'open' | 'failed' | 'done' = 'open'

  private constructor(
    fileSystem: FileSystem,
    place: SnapshotPlace,
    init: SnapshotWriterInit,
    data: WritableFile | undefined
  ) {
    this.#fileSystem = fileSystem
    this.#place = place
    this.#init = init
    this.#data = data
    this.resumedChunks = init.resumedChunks
    this.#chunks = init.expected?.chunks.slice(0, init.resumedChunks) ?? []
    this.#bytes = init.expected === undefined ? 0 : chunkOffset(init.expected, init.resumedChunks)
  }

  static async open(
    fileSystem: FileSystem,
    place: SnapshotPlace,
    init: SnapshotWriterInit
  ): Promise<SnapshotFilesWriter> {
    if (init.complete) return new SnapshotFilesWriter(fileSystem, place, init, undefined)
    const path = `${place.temporary}/${DATA_FILE}`
    const exists = (await fileSystem.size(path)) !== undefined
    const writer = new SnapshotFilesWriter(
      fileSystem,
      place,
      init,
      await fileSystem.open(path, exists ? 'update' : 'create', false)
    )
    if (exists) await writer.#data?.truncate(writer.#bytes)
    return writer
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#requireOpen()
    const { expected, id } = this.#init
    const n = this.#chunks.length
    if (chunk.length === 0 || chunk.length > MAX_CHUNK_BYTES) {
      throw new SnapshotRefusedError(`a chunk has ${chunk.length} bytes, and 1 to ${MAX_CHUNK_BYTES} are allowed`)
    }
    if (n >= (expected?.chunks.length ?? MAX_CHUNKS)) throw new SnapshotRefusedError(`chunk ${n} is one too many`)
    const crc32 = checksum(chunk, 0)
    const described = expected?.chunks[n]
    if (described !== undefined && (described.bytes !== chunk.length || described.crc32 !== crc32)) {
      throw new SnapshotDamagedError(id, n, 'what was received is not what the manifest says')
    }
    await this.#guard(async () => this.#data?.write([chunk], this.#bytes))
    this.#chunks.push({ bytes: chunk.length, crc32 })
    this.#bytes += chunk.length
  }

  async commit(): Promise<SnapshotManifest> {
    this.#requireOpen()
    const { id, base, expected, complete } = this.#init
    const manifest: SnapshotManifest = expected ?? {
      version: 1,
      id,
      base,
      chunks: this.#chunks,
      totalBytes: this.#bytes
    }
    if (this.#chunks.length < manifest.chunks.length) {
      throw new SnapshotRefusedError(`${this.#chunks.length} of its ${manifest.chunks.length} chunks are there`)
    }
    const { temporary, final, parent } = this.#place
    await this.#guard(async () => {
      if (!complete) {
        await this.#data?.sync()
        await this.#closeData()
        if (expected === undefined) await writeManifest(this.#fileSystem, temporary, manifest)
        await this.#fileSystem.syncFolder(temporary)
        await this.#fileSystem.rename(temporary, final)
      }
      await this.#fileSystem.syncFolder(parent)
    })
    this.#state = 'done'
    this.#place.release()
    return manifest
  }

  async abort(options: { keep: boolean }): Promise<void> {
    if (this.#state === 'done') return
    const failed = this.#state === 'failed'
    this.#state = 'done'
    try {
      await this.#closeData()
      // A snapshot that was made here cannot be continued, since the state has moved on; nor one whose sync failed, since what
      // is read of it then need not be on disk.
      const resumable = this.#init.expected !== undefined && !failed
      if (!this.#init.complete && !(options.keep && resumable)) await this.#place.remove()
    } finally {
      this.#place.release()
    }
  }

  #requireOpen(): void {
    if (this.#state === 'open') return
    throw new StorageFailedError(
      `The snapshot ${this.#place.name} is written no more: ${this.#state === 'done' ? 'it is done' : 'a write failed'}`
    )
  }

  /** A failed write or sync is final for this writer (T51); what is on disk is verified when the transfer is resumed. */
  async #guard(task: () => Promise<void>): Promise<void> {
    try {
      await task()
    } catch (error) {
      this.#state = 'failed'
      throw new StorageFailedError(`Could not write the snapshot ${this.#place.name}`, error)
    }
  }

  async #closeData(): Promise<void> {
    const data = this.#data
    this.#data = undefined
    await data?.close()
  }
}
