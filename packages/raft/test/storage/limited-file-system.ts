/** A disk in memory that has only so much room: what is written beyond it is written in part, and then there is no space. */

import type { FileSystem, WritableFile } from '../../src/storage/file-system.ts'
import { CrashFileSystem } from './crash-file-system.ts'

export class LimitedFileSystem {
  readonly disk = new CrashFileSystem()
  readonly folder: string
  /** Bytes that all files together may have. */
  capacity: number
  readonly #sizes = new Map<string, number>()

  constructor(folder: string, capacity: number) {
    this.folder = folder
    this.capacity = capacity
  }

  get used(): number {
    return this.disk.files().reduce((sum, path) => sum + (this.#sizes.get(path) ?? 0), 0)
  }

  get fileSystem(): FileSystem {
    const { disk } = this
    return {
      makeFolder: (path) => disk.makeFolder(path),
      list: (path) => disk.list(path),
      readFile: (path) => disk.readFile(path),
      readAt: (path, position, bytes) => disk.readAt(path, position, bytes),
      size: (path) => disk.size(path),
      open: async (path, mode, durable) => {
        const file = await disk.open(path, mode, durable)
        this.#sizes.set(path, (await disk.size(path)) ?? 0)
        return this.#limit(path, file)
      },
      rename: async (from, to) => {
        await disk.rename(from, to)
        this.#sizes.set(to, this.#sizes.get(from) ?? 0)
      },
      remove: (path) => disk.remove(path),
      removeFolder: (path) => disk.removeFolder(path),
      syncFolder: (path) => disk.syncFolder(path),
      space: async () => ({ freeBytes: Math.max(this.capacity - this.used, 0), totalBytes: this.capacity })
    }
  }

  #limit(path: string, file: WritableFile): WritableFile {
    return {
      write: async (buffers, position) => {
        const bytes = Buffer.concat(buffers)
        const size = this.#sizes.get(path) ?? 0
        const room = Math.max(this.capacity - this.used, 0) + size - position
        const written = Math.min(bytes.length, Math.max(room, 0))
        await file.write([bytes.subarray(0, written)], position)
        this.#sizes.set(path, Math.max(size, position + written))
        if (written < bytes.length) throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' })
      },
      truncate: async (bytes) => {
        await file.truncate(bytes)
        this.#sizes.set(path, bytes)
      },
      sync: () => file.sync(),
      close: () => file.close()
    }
  }
}
