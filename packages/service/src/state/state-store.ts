/**
 * One database of the state: its keys, its books (applied index, number of pins, digest), and the proof, at opening, that no batch is
 * missing from its middle. `pinset-state.ts` owns one of these, and a second one for the time of a restore.
 *
 *   /p/<hex of the CID's bytes>   a pin record (`pin-codec.ts`); hex keeps the order of the bytes
 *   /r/<peer id>                  a peer record
 *   /s/<session>[/<page>]         a session of those who write, and what it keeps (`@quorate/raft`, `SessionTable`)
 *   /m/books                      format version, applied index, number of pins, digest + 1 or 0
 *   /m/durable                    an index at and below which all is on the disk
 *   /b/<index, 14 hex digits>     one batch: the index it brought the state to, and the index it found
 *
 * Batches are written without a sync, and every batch carries the books, so whatever survives the end of the process is a prefix
 * of what was applied: the kernel has it all, in order. The end of the machine is another matter. LevelDB's log is several files
 * in sequence, its reader passes over a damaged block in silence, and pages reach the disk in any order: a batch can be missing
 * while a later one, with its later applied index, is there. Hence the `/b/` keys: from the durable index to the applied one they
 * must form an unbroken chain. If they do not, the database is not a state of the log, and is given up for the snapshot and the
 * log to rebuild.
 */

import { readdir } from 'node:fs/promises'
import type { LevelDatastore } from 'datastore-level'
import { ByteReader, ByteWriter } from './byte-codec.ts'
import { StateVersionError } from './errors.ts'
import { type LevelSnapshot, levelKey, makeDurable, openLevelStore, readKey, scan } from './level-store.ts'

export const PIN_PREFIX = '/p/'
export const PEER_PREFIX = '/r/'
export const SESSION_PREFIX = '/s/'
const BATCH_PREFIX = '/b/'
const BOOKS_KEY = '/m/books'
const DURABLE_KEY = '/m/durable'
/** Version 1 has neither sessions nor a digest, and is read as a state in which there are none yet. */
const FORMAT_VERSION = 2
const OLDEST_VERSION = 1

/** Batches after which the state is made durable by itself, so that the chain to be checked at opening stays short. */
const MAX_BATCHES_UNSYNCED = 20_000

export interface Books {
  readonly appliedIndex: number
  readonly pinCount: number
  /** Of all that was ever applied (`pin-batch.ts`); undefined before the first session. Unsigned 32 bit. */
  readonly digest: number | undefined
}

export type StoreWrite = { readonly key: string; readonly value: Uint8Array | undefined }

export class StateStore {
  readonly name: string
  readonly store: LevelDatastore
  #books: Books
  /** Batches written and not known to be on the disk, in order. */
  #unsynced: number[] = []
  /** Readers at work, plus one for the owner until `retire`. */
  #users = 1
  readonly #allDone = Promise.withResolvers<void>()
  /** Reads of this turn of the event loop. */
  #asked: {
    readonly key: string
    readonly resolve: (value: Uint8Array | undefined) => void
    readonly reject: (error: unknown) => void
  }[] = []

  private constructor(name: string, store: LevelDatastore, books: Books) {
    this.name = name
    this.store = store
    this.#books = books
  }

  /**
   * Opens, or makes, the database in `folder`. Answers undefined in place of a database with a hole in it, or a damaged one.
   * @throws {StateVersionError} when it is of another format
   * @throws {Error} when another process has it open, or the system refuses
   */
  static async open(folder: string, name: string): Promise<StateStore | undefined> {
    if (await lacksCurrent(folder)) return undefined
    let store: LevelDatastore
    try {
      store = await openLevelStore(folder)
    } catch (error) {
      if (isDamage(error)) return undefined
      throw error
    }
    try {
      const books = await readBooks(store)
      const state = new StateStore(name, store, books)
      if (await state.#checkChain()) return state
      await store.close()
      return undefined
    } catch (error) {
      await store.close()
      if (isDamage(error)) return undefined
      throw error
    }
  }

  get books(): Books {
    return this.#books
  }

  /** Writes one batch, with the books that hold after it. */
  async write(writes: Iterable<StoreWrite>, books: Books): Promise<void> {
    const batch = this.store.batch()
    for (const { key, value } of writes) {
      if (value === undefined) batch.delete(levelKey(key))
      else batch.put(levelKey(key), value)
    }
    batch.put(levelKey(BOOKS_KEY), encodeBooks(books))
    batch.put(levelKey(batchKey(books.appliedIndex)), encodeNumbers(this.#books.appliedIndex))
    await batch.commit()
    this.#books = books
    this.#unsynced.push(books.appliedIndex)
    if (this.#unsynced.length >= MAX_BATCHES_UNSYNCED) await this.flush()
  }

  /** Writes entries ahead of the books, into a database that is not in force yet. */
  async load(writes: Iterable<StoreWrite>): Promise<void> {
    const batch = this.store.batch()
    for (const { key, value } of writes) if (value !== undefined) batch.put(levelKey(key), value)
    await batch.commit()
  }

  /** Makes all that is written durable, and answers the index it stands at. */
  async flush(): Promise<number> {
    const { appliedIndex } = this.#books
    const batches = this.#unsynced
    this.#unsynced = []
    await makeDurable(this.store)
    // Only now, and in one batch: as long as this is not on the disk, the chain from the earlier durable index is.
    const batch = this.store.batch()
    batch.put(levelKey(DURABLE_KEY), encodeNumbers(appliedIndex))
    for (const index of batches) batch.delete(levelKey(batchKey(index)))
    await batch.commit()
    return appliedIndex
  }

  /**
   * One value. What is asked for in one turn of the event loop is read together: under load most of the time of a read is the way
   * to LevelDB's thread and back.
   */
  get(key: string): Promise<Uint8Array | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array | undefined>()
    this.#asked.push({ key, resolve, reject })
    if (this.#asked.length === 1) setImmediate(() => void this.#readAsked())
    return promise
  }

  async #readAsked(): Promise<void> {
    const asked = this.#asked
    this.#asked = []
    try {
      const values = await this.getMany(asked.map(({ key }) => key))
      for (const [position, { resolve }] of asked.entries()) resolve(values[position])
    } catch (error) {
      for (const { reject } of asked) reject(error)
    }
  }

  /** The values of many keys, in their order. */
  async getMany(keys: string[]): Promise<(Uint8Array | undefined)[]> {
    return keys.length === 0 ? [] : await this.store.db.getMany(keys)
  }

  /** A view of now, with the books as they are in it: a batch that is being written is in both or in neither. */
  async view(): Promise<{ snapshot: LevelSnapshot; books: Books }> {
    const snapshot = this.store.db.snapshot()
    return { snapshot, books: await readBooks(this.store, snapshot) }
  }

  /** Holds off `retire` until the answer is called. */
  use(): () => void {
    this.#users++
    let released = false
    return () => {
      if (released) return
      released = true
      this.#release()
    }
  }

  /** Closes when the last reader is done; the promise waits for that. */
  async retire(): Promise<void> {
    this.#release()
    await this.#allDone.promise
    await this.close()
  }

  /** Closes now: readers that are still at work get an error from LevelDB. */
  async close(): Promise<void> {
    await this.store.close()
  }

  #release(): void {
    if (--this.#users === 0) this.#allDone.resolve()
  }

  /** True if the batches after the durable index lead to the applied one without a gap. */
  async #checkChain(): Promise<boolean> {
    const durableBytes = await readKey(this.store, DURABLE_KEY)
    const durable = durableBytes === undefined ? 0 : (decodeNumbers(durableBytes)[0] ?? 0)
    let reached = durable
    for await (const [key, value] of scan(this.store, BATCH_PREFIX)) {
      const index = Number.parseInt(key.slice(BATCH_PREFIX.length), 16)
      this.#unsynced.push(index)
      if (index <= durable) continue
      if ((decodeNumbers(value)[0] ?? -1) !== reached) return false
      reached = index
    }
    return reached === this.#books.appliedIndex
  }
}

function batchKey(index: number): string {
  return BATCH_PREFIX + index.toString(16).padStart(14, '0')
}

async function readBooks(store: LevelDatastore, snapshot?: LevelSnapshot): Promise<Books> {
  const bytes = await readKey(store, BOOKS_KEY, snapshot)
  if (bytes === undefined) return { appliedIndex: 0, pinCount: 0, digest: undefined }
  const [version = 0, appliedIndex = 0, pinCount = 0, digest = 0] = decodeNumbers(bytes)
  if (version < OLDEST_VERSION || version > FORMAT_VERSION) {
    throw new StateVersionError(
      `cannot open the state: its format is version ${version}, this release reads ${OLDEST_VERSION} to ${FORMAT_VERSION}`
    )
  }
  return { appliedIndex, pinCount, digest: digest === 0 ? undefined : digest - 1 }
}

function encodeBooks({ appliedIndex, pinCount, digest }: Books): Uint8Array {
  return encodeNumbers(FORMAT_VERSION, appliedIndex, pinCount, digest === undefined ? 0 : digest + 1)
}

function encodeNumbers(...numbers: number[]): Uint8Array {
  const writer = new ByteWriter(32)
  for (const number of numbers) writer.varint(number)
  return writer.finish()
}

function decodeNumbers(bytes: Uint8Array): number[] {
  const reader = new ByteReader(bytes)
  const numbers: number[] = []
  while (reader.remaining > 0) numbers.push(reader.varint())
  return numbers
}

/**
 * Whether files of a database are there, and not the one that says which of them count: LevelDB would begin a new one among them, and take into
 * it whatever is in an old log, so that the end of a state would pass as the whole.
 */
async function lacksCurrent(folder: string): Promise<boolean> {
  const names: string[] = await readdir(folder).catch(() => [])
  return names.some((name) => /^MANIFEST|\.(ldb|log|sst)$/.test(name)) && !names.includes('CURRENT')
}

/** What an input or output error says when the system refuses, and the file may be sound. */
const REFUSED =
  /permission|not permitted|no space|quota|too many open|read-only|lock|resource temporarily|cannot allocate/i

/**
 * Whether the database itself is at fault, and not its format, another process, or the system: LevelDB says so, a file of it is gone or cannot be
 * read, or what was read is no record of ours.
 */
export function isDamage(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = 'code' in at ? at.code : undefined
    if (code === 'LEVEL_CORRUPTION' || at.name === 'MalformedError') return true
    if (code === 'LEVEL_IO_ERROR') return !REFUSED.test(at.message)
    // Found by LevelDB where it has no code for it.
    if (/^corruption/i.test(at.message)) return true
  }
  return false
}
