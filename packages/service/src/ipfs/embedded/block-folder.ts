/**
 * Blocks as files, one each, in 1,024 folders named after two letters near the end of the key (Kubo's `next-to-last/2`, so that keys
 * spread evenly). Called by the embedded node only.
 *
 * Why not `blockstore-fs`: a block there reaches its name without fsync, so after a loss of power a pinned block could be empty. Here a file
 * is written under a temporary name, synced, then renamed: **a block under its own name is whole**. The rename itself is made
 * durable by syncing the folder, which `sync()` does for all folders written to since the last call; `pin` waits for it.
 *
 * All but fsync is synchronous: this code has a thread of its own, a block is read in less time than it takes to hand it to the thread
 * pool and back, and garbage collection needs "nobody asked for it, so delete it" to be one step (`garbage.ts`). Syncing waits for the
 * disk, so it is done by the thread pool; a few at a time, because the consensus log needs the same pool.
 */

import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fdatasync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { CID } from 'multiformats/cid'
import { blockKey } from '../cids.ts'
import { IpfsRequestError } from '../errors.ts'
import { Semaphore } from './semaphore.ts'

const EXTENSION = '.data'
/** Node's thread pool has four threads unless told otherwise; the consensus log must always find one free. */
const CONCURRENT_SYNCS = 3

const syncFile = promisify(fdatasync)

export interface BlockFile {
  readonly key: string
  readonly bytes: number
}

export class BlockFolder {
  readonly #folder: string
  readonly #temporary: string
  readonly #shards = new Set<string>()
  /** Shards with renames that are not durable yet. */
  #unsynced = new Set<string>()
  readonly #writing = new Map<string, Promise<boolean>>()
  readonly #slots = new Semaphore(CONCURRENT_SYNCS)
  #syncing: { readonly running: Promise<void>; next: Promise<void> | undefined } | undefined

  constructor(folder: string) {
    this.#folder = join(folder, 'blocks')
    this.#temporary = join(folder, 'incomplete')
  }

  /** Creates the folders; what an earlier run left incomplete is removed. */
  open(): void {
    mkdirSync(this.#folder, { recursive: true })
    rmSync(this.#temporary, { recursive: true, force: true })
    mkdirSync(this.#temporary, { recursive: true })
    for (const entry of readdirSync(this.#folder, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue
      this.#shards.add(entry.name)
      // An earlier run may have ended between a rename and the sync of its folder. A pin that finds such a block here
      // must not rely on it being durable, so every folder counts as unsynced until the first sync.
      this.#unsynced.add(entry.name)
    }
  }

  /** Size in bytes; undefined if it is not here. */
  size(cid: CID): number | undefined {
    const key = blockKey(cid)
    return statSync(this.#path(key), { throwIfNoEntry: false })?.size
  }

  has(cid: CID): boolean {
    return this.size(cid) !== undefined
  }

  /** Undefined if it is not here. */
  get(cid: CID): Uint8Array | undefined {
    try {
      return readFileSync(this.#path(blockKey(cid)))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw new IpfsRequestError(`cannot read block ${cid}: ${(error as Error).message}`, 'failed', { cause: error })
    }
  }

  /**
   * Writes the bytes, which the caller has verified. Resolves to false if the block was here already.
   * @throws {IpfsRequestError} `no-space` when the disk is full
   */
  async put(cid: CID, bytes: Uint8Array): Promise<boolean> {
    const key = blockKey(cid)
    const current = this.#writing.get(key)
    if (current !== undefined) {
      await current
      return false
    }
    if (statSync(this.#path(key), { throwIfNoEntry: false }) !== undefined) return false
    const writing = this.#write(key, bytes)
    this.#writing.set(key, writing)
    try {
      return await writing
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      const full = code === 'ENOSPC' || code === 'EDQUOT'
      throw new IpfsRequestError(
        `cannot store block ${cid} of ${bytes.byteLength} bytes: ${full ? 'the disk is full' : (error as Error).message}`,
        full ? 'no-space' : 'failed',
        { cause: error }
      )
    } finally {
      this.#writing.delete(key)
    }
  }

  async #write(key: string, bytes: Uint8Array): Promise<boolean> {
    const release = await this.#slots.acquire()
    const temporary = join(this.#temporary, randomBytes(12).toString('hex'))
    try {
      const file = openSync(temporary, 'wx')
      try {
        for (let at = 0; at < bytes.byteLength; ) at += writeSync(file, bytes, at)
        await syncFile(file)
      } finally {
        closeSync(file)
      }
      const shard = shardOf(key)
      if (!this.#shards.has(shard)) {
        mkdirSync(join(this.#folder, shard), { recursive: true })
        this.#shards.add(shard)
        this.#unsynced.add('')
      }
      // One step with the note below: whoever sees the block under its name can rely on `sync` knowing of it.
      renameSync(temporary, this.#path(key))
      this.#unsynced.add(shard)
      return true
    } catch (error) {
      rmSync(temporary, { force: true })
      throw error
    } finally {
      release()
    }
  }

  /** Synchronous, see above. Returns the bytes that it freed. */
  delete(key: string, bytes: number): number {
    // A write in progress means that somebody wants it.
    if (this.#writing.has(key)) return 0
    try {
      unlinkSync(this.#path(key))
      return bytes
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
      throw error
    }
  }

  /** Removes a damaged block. Returns the bytes that it freed. */
  discard(cid: CID): number {
    const bytes = this.size(cid)
    return bytes === undefined ? 0 : this.delete(blockKey(cid), bytes)
  }

  /** Resolves when every block that was put before the call is durable under its name. Calls that come together share one sync. */
  sync(): Promise<void> {
    const current = this.#syncing
    if (current === undefined) return this.#startSync()
    // The running one may have passed the folder in question already: wait for the one after it.
    current.next ??= current.running.catch(() => undefined).then(() => this.#startSync())
    return current.next
  }

  #startSync(): Promise<void> {
    const running = this.#sync()
    const entry = { running, next: undefined as Promise<void> | undefined }
    this.#syncing = entry
    const clear = () => {
      if (this.#syncing === entry && entry.next === undefined) this.#syncing = undefined
    }
    running.then(clear, clear)
    return running
  }

  async #sync(): Promise<void> {
    const shards = this.#unsynced
    this.#unsynced = new Set()
    try {
      const queue = [...shards]
      const workers = Array.from({ length: CONCURRENT_SYNCS }, async () => {
        for (let shard = queue.pop(); shard !== undefined; shard = queue.pop()) {
          const folder = openSync(join(this.#folder, shard), 'r')
          try {
            await syncFile(folder)
          } finally {
            closeSync(folder)
          }
        }
      })
      await Promise.all(workers)
    } catch (error) {
      for (const shard of shards) this.#unsynced.add(shard)
      throw error
    }
  }

  shards(): readonly string[] {
    return [...this.#shards].sort()
  }

  /** The blocks of one shard, as they are now. */
  listShard(shard: string): BlockFile[] {
    const files: BlockFile[] = []
    for (const name of readdirSync(join(this.#folder, shard))) {
      if (!name.endsWith(EXTENSION)) continue
      const bytes = statSync(join(this.#folder, shard, name), { throwIfNoEntry: false })?.size
      if (bytes !== undefined) files.push({ key: name.slice(0, -EXTENSION.length), bytes })
    }
    return files
  }

  #path(key: string): string {
    return join(this.#folder, shardOf(key), key + EXTENSION)
  }
}

/** The two letters before the last: the last one holds few bits. */
function shardOf(key: string): string {
  return key.slice(-3, -1).padStart(2, '_')
}
