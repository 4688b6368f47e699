/** A log and a snapshot store in memory that outlive the node, as a disk does. They check the contract of their callers. */

import { crc32 } from 'node:zlib'
import type { Entry, HardState, LogBase } from '../../src/core/types.ts'
import type {
  LoadedLog,
  LogFault,
  LogStorage,
  PersistBatch,
  SnapshotManifest,
  SnapshotStore,
  SnapshotWriter
} from '../../src/ports.ts'

/** What lies on the disk. */
export class MemoryDisk {
  hardState: HardState = { term: 0, votedFor: undefined }
  base: LogBase = { index: 0, term: 0, chain: 0, config: { voters: [], outgoing: [], learners: [] } }
  entries: Entry[] = []
  faults: LogFault[] = []
  persists = 0
  /** When set, writes wait for it. */
  gate: Promise<void> | undefined
  /** When set, the next write fails with it. */
  failure: Error | undefined
  /** When set, no chunk of a snapshot can be written. */
  snapshotFailure: Error | undefined
  readonly snapshots: { manifest: SnapshotManifest; chunks: Uint8Array[] }[] = []
  readonly parts = new Map<string, Uint8Array[]>()
}

export class MemoryLog implements LogStorage {
  readonly #disk: MemoryDisk
  #busy = false
  closed = false

  constructor(disk: MemoryDisk) {
    this.#disk = disk
  }

  async load(): Promise<LoadedLog> {
    const { hardState, base, entries, faults } = this.#disk
    return { hardState, base, entries: [...entries], faults }
  }

  persist(batch: PersistBatch): Promise<void> {
    return this.#alone(async () => {
      const disk = this.#disk
      disk.persists++
      await disk.gate
      if (disk.failure !== undefined) throw disk.failure
      if (batch.hardState !== undefined) disk.hardState = batch.hardState
      if (batch.truncateFrom !== undefined)
        disk.entries = disk.entries.slice(0, batch.truncateFrom - disk.base.index - 1)
      for (const entry of batch.entries) {
        if (entry.index !== disk.base.index + disk.entries.length + 1) {
          throw new Error(`entry ${entry.index} is written after ${disk.base.index + disk.entries.length}`)
        }
        disk.entries.push(entry)
      }
    })
  }

  compact(base: LogBase): Promise<void> {
    return this.#alone(async () => {
      const disk = this.#disk
      disk.entries = disk.entries.slice(base.index - disk.base.index)
      disk.base = base
    })
  }

  reset(base: LogBase): Promise<void> {
    return this.#alone(async () => {
      this.#disk.base = base
      this.#disk.entries = []
    })
  }

  async close(): Promise<void> {
    this.closed = true
  }

  async #alone(task: () => Promise<void>): Promise<void> {
    if (this.#busy) throw new Error('two calls to the storage at once')
    if (this.closed) throw new Error('the storage is closed')
    this.#busy = true
    try {
      await new Promise((resolve) => setImmediate(resolve))
      await task()
    } finally {
      this.#busy = false
    }
  }
}

export class MemorySnapshots implements SnapshotStore {
  readonly #disk: MemoryDisk

  constructor(disk: MemoryDisk) {
    this.#disk = disk
  }

  async latest(): Promise<SnapshotManifest | undefined> {
    return this.#disk.snapshots.map(({ manifest }) => manifest).sort((a, b) => b.base.index - a.base.index)[0]
  }

  async create(base: LogBase): Promise<SnapshotWriter> {
    const id = `own-${base.index}`
    return this.#writer([], 0, async (chunks) => ({
      version: 1,
      id,
      base,
      chunks: chunks.map((chunk) => ({ bytes: chunk.length, crc32: crc32(chunk) })),
      totalBytes: chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    }))
  }

  async receive(manifest: SnapshotManifest): Promise<SnapshotWriter> {
    const chunks = this.#disk.parts.get(manifest.id) ?? []
    this.#disk.parts.set(manifest.id, chunks)
    return this.#writer(chunks, chunks.length, async () => manifest)
  }

  #writer(
    chunks: Uint8Array[],
    resumedChunks: number,
    describe: (chunks: readonly Uint8Array[]) => Promise<SnapshotManifest>
  ): SnapshotWriter {
    const disk = this.#disk
    return {
      resumedChunks,
      async write(chunk) {
        if (disk.snapshotFailure !== undefined) throw disk.snapshotFailure
        chunks.push(Uint8Array.from(chunk))
      },
      async commit() {
        const manifest = await describe(chunks)
        disk.snapshots.push({ manifest, chunks })
        return manifest
      },
      async abort() {}
    }
  }

  async discard({ id }: SnapshotManifest): Promise<void> {
    const at = this.#disk.snapshots.findIndex(({ manifest }) => manifest.id === id)
    if (at >= 0) this.#disk.snapshots.splice(at, 1)
  }

  async open(id: string): Promise<SnapshotManifest | undefined> {
    return this.#disk.snapshots.find(({ manifest }) => manifest.id === id)?.manifest
  }

  async readChunk(manifest: SnapshotManifest, chunk: number): Promise<Uint8Array> {
    return this.#disk.snapshots.find((snapshot) => snapshot.manifest.id === manifest.id)!.chunks[chunk]!
  }

  async prune(): Promise<void> {
    const newest = await this.latest()
    this.#disk.snapshots.splice(
      0,
      Infinity,
      ...this.#disk.snapshots.filter(({ manifest }) => manifest.id === newest?.id)
    )
  }
}
