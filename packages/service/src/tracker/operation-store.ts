/**
 * The tracker's memory on disk: operations that are not done, in the order in which they are to be tried, and the CIDs that this
 * peer has pinned, or begun to pin, for the cluster. Used by `tracker.ts`, `runner.ts`, `reconcile.ts` and `status.ts`.
 *
 *   /o/<cid>                an operation (`operation.ts`); <cid> is the hex of its bytes, whose order is the pinset's
 *   /s/<lane>/<due>/<cid>   the schedule: one key for each operation, empty
 *   /m/clean                there while nobody has the store open: it was closed in order
 *   /h/<cid>                held for the cluster: what may be unpinned when the cluster no longer wants it, and nothing else
 *
 * Nothing is synced: the pinset and the IPFS node together say what there is to do, and are compared at every start. What the
 * store adds is what they cannot know: attempts, reasons, unpins of what has left the pinset, and what was ours.
 *
 * A queue in LevelDB leaves a trail of deleted keys at its head, which every look at the head would walk over. Each lane hence
 * remembers below which key, and above which, it has nothing. Memory holds a few hundred names, however long the queue is.
 */

import type { LevelDatastore } from 'datastore-level'
import { levelKey, makeDurable, openLevelStore, readKey, scan } from '../state/level-store.ts'
import { cidToBytes } from '../state/pin-codec.ts'
import { decodeOperation, encodeOperation, type Lane, laneOf, type Operation, type TrackerConfig } from './operation.ts'

const OPERATION_PREFIX = '/o/'
const HELD_PREFIX = '/h/'
const CLEAN_KEY = '/m/clean'
/** More than run at a time, so that one page usually has one that does not. */
const PAGE_KEYS = 16
const MAX_RECENT = 500
const NOTHING = new Uint8Array(0)
const lanes: readonly Lane[] = ['unpin', 'fresh-priority', 'fresh', 'retry-priority', 'retry']

interface CleanNote {
  readonly priorityPinMaxAgeMs: number
  readonly priorityPinMaxRetries: number
  readonly count: number
  readonly pinCount: number
}

/** What is known of one CID. */
export interface Entry {
  readonly operation: Operation | undefined
  readonly held: boolean
}

/** A CID's entry, before and after. */
export interface Update {
  readonly id: string
  readonly before: Entry
  readonly after: Entry
}

export interface Scheduled {
  readonly id: string
  readonly dueAtMs: number
}

/** The hex of a CID's bytes: how the tracker names it. Sorts as the pinset does. */
export function idOf(cid: string): string {
  return Buffer.from(cidToBytes(cid)).toString('hex')
}

export class OperationStore {
  readonly #store: LevelDatastore
  readonly #config: TrackerConfig
  #count = 0
  #pinCount = 0
  #turn: Promise<unknown> = Promise.resolve()
  /** The last that were filed in each lane, newest last, at most twice MAX_RECENT; some may be done by now. */
  readonly #recent = new Map<Lane, string[]>()
  /** All keys of a lane are in [first, last]. */
  readonly #bounds = new Map<Lane, { first: string; last: string }>()

  private constructor(store: LevelDatastore, config: TrackerConfig) {
    this.#store = store
    this.#config = config
  }

  static async open(folder: string, config: TrackerConfig): Promise<OperationStore> {
    const store = new OperationStore(await openLevelStore(folder), config)
    try {
      await store.#load()
    } catch (error) {
      await store.close()
      throw error
    }
    return store
  }

  /** Operations not done, of both kinds. */
  get count(): number {
    return this.#count
  }

  /** Pins not done. */
  get pinCount(): number {
    return this.#pinCount
  }

  /** Runs `work` when all that was asked before is done: what it reads stays true until what it writes is written. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => {})
    return result
  }

  async get(id: string): Promise<Operation | undefined> {
    const bytes = await readKey(this.#store, OPERATION_PREFIX + id)
    return bytes === undefined ? undefined : readOperation(bytes)
  }

  async entries(ids: readonly string[]): Promise<Entry[]> {
    if (ids.length === 0) return []
    const values = await this.#store.db.getMany([
      ...ids.map((id) => OPERATION_PREFIX + id),
      ...ids.map((id) => HELD_PREFIX + id)
    ])
    return ids.map((_, position) => {
      const bytes = values[position]
      return {
        operation: bytes === undefined ? undefined : readOperation(bytes),
        held: values[ids.length + position] !== undefined
      }
    })
  }

  /** Writes all updates in one batch. To be called within `exclusive`, with `before` as read there. */
  async write(updates: readonly Update[]): Promise<void> {
    const batch = this.#store.batch()
    const filed: [Lane, string][] = []
    for (const { id, before, after } of updates) {
      if (before.operation !== after.operation) {
        const oldKey = before.operation === undefined ? undefined : this.#scheduleKey(id, before.operation)
        const newKey = after.operation === undefined ? undefined : this.#scheduleKey(id, after.operation)
        if (oldKey !== undefined && oldKey !== newKey) batch.delete(levelKey(oldKey))
        if (after.operation === undefined) {
          batch.delete(levelKey(OPERATION_PREFIX + id))
        } else {
          batch.put(levelKey(OPERATION_PREFIX + id), encodeOperation(after.operation))
          if (newKey !== undefined && newKey !== oldKey) {
            batch.put(levelKey(newKey), NOTHING)
            filed.push([laneOf(after.operation, this.#config), newKey])
          }
        }
        this.#tally(before.operation, -1)
        this.#tally(after.operation, 1)
      }
      if (before.held !== after.held) {
        if (after.held) batch.put(levelKey(HELD_PREFIX + id), NOTHING)
        else batch.delete(levelKey(HELD_PREFIX + id))
      }
    }
    await batch.commit()
    // Not earlier: `next` narrows the bounds to what it sees.
    for (const [lane, key] of filed) {
      this.#widen(lane, key)
      this.#remember(lane, key.slice(key.lastIndexOf('/') + 1))
    }
  }

  /** The oldest in a lane, whether due or not, without those that `skip` names. */
  async next(lane: Lane, skip: (id: string) => boolean): Promise<Scheduled | undefined> {
    const bounds = this.#bounds.get(lane)
    if (bounds === undefined) return undefined
    const iterator = this.#store.db.keys<string>({ gte: bounds.first, lte: bounds.last })
    let first = true
    try {
      for (;;) {
        const page = await iterator.nextv(PAGE_KEYS)
        // A key that came since the bounds were read has widened them: they are another object then, and stay.
        if (first && this.#bounds.get(lane) === bounds) {
          const [lowest] = page
          if (lowest === undefined) this.#bounds.delete(lane)
          else this.#bounds.set(lane, { first: lowest, last: bounds.last })
        }
        first = false
        if (page.length === 0) return undefined
        for (const key of page) {
          const [, , , due = '', id = ''] = key.split('/')
          if (!skip(id)) return { id, dueAtMs: Number.parseInt(due, 16) }
        }
      }
    } finally {
      await iterator.close()
    }
  }

  /**
   * The newest in a lane, of those that were the last at opening or came since; each is given once, unless it is given back.
   * Undefined does not mean that the lane is empty. From memory: LevelDB, asked for the end of a range, walks over all that was
   * deleted there.
   */
  async takeNewest(lane: Lane, skip: (id: string) => boolean): Promise<Scheduled | undefined> {
    const recent = this.#recent.get(lane)
    for (let id = recent?.pop(); id !== undefined; id = recent?.pop()) {
      if (skip(id)) continue
      const operation = await this.get(id)
      if (operation !== undefined && laneOf(operation, this.#config) === lane) return { id, dueAtMs: operation.dueAtMs }
    }
    return undefined
  }

  /** What was taken could not be tried, and is as new as before. */
  giveBack(id: string, operation: Operation): void {
    this.#remember(laneOf(operation, this.#config), id)
  }

  /** Takes a key out of the schedule that no operation stands behind. To be called within `exclusive`. */
  async unfile(lane: Lane, scheduled: Scheduled): Promise<void> {
    const operation = await this.get(scheduled.id)
    const key = `/s/${lane}/${formatDue(scheduled.dueAtMs)}/${scheduled.id}`
    if (operation === undefined || this.#scheduleKey(scheduled.id, operation) !== key)
      await this.#store.delete(levelKey(key))
  }

  /** All operations in the order of the CIDs. */
  async *operations(signal?: AbortSignal): AsyncGenerator<[id: string, operation: Operation]> {
    for await (const [key, value] of scan(this.#store, OPERATION_PREFIX, signal === undefined ? {} : { signal })) {
      const operation = readOperation(value)
      if (operation !== undefined) yield [key.slice(OPERATION_PREFIX.length), operation]
    }
  }

  /** All that is held for the cluster, in the order of the CIDs. */
  async *held(signal?: AbortSignal): AsyncGenerator<string> {
    for await (const [key] of scan(this.#store, HELD_PREFIX, signal === undefined ? {} : { signal })) {
      yield key.slice(HELD_PREFIX.length)
    }
  }

  /** Leaves a note that all is in order, by which the next start need not look through everything. */
  async close(): Promise<void> {
    await this.#turn
    const note: CleanNote = { ...this.#settings(), count: this.#count, pinCount: this.#pinCount }
    await this.#store.put(levelKey(CLEAN_KEY), Buffer.from(JSON.stringify(note)))
    await makeDurable(this.#store)
    await this.#store.close()
  }

  /** After a crash, or with other settings, files every operation anew: the schedule may have holes, or be in the wrong order. */
  async #load(): Promise<void> {
    const note = await readKey(this.#store, CLEAN_KEY)
    await this.#store.delete(levelKey(CLEAN_KEY))
    if (note !== undefined) {
      const { count, pinCount, ...settings } = JSON.parse(Buffer.from(note).toString()) as CleanNote
      if (JSON.stringify(settings) === JSON.stringify(this.#settings())) {
        this.#count = count
        this.#pinCount = pinCount
        for (const lane of lanes) this.#bounds.set(lane, { first: `/s/${lane}/`, last: `/s/${lane}0` })
        await this.#recall()
        return
      }
    }
    await this.#store.db.clear({ gte: '/s/', lt: '/s0' })
    let updates: Update[] = []
    const before: Entry = { operation: undefined, held: true }
    for await (const [id, operation] of this.operations()) {
      updates.push({ id, before, after: { operation, held: true } })
      if (updates.length === 1000) {
        await this.write(updates)
        updates = []
      }
    }
    await this.write(updates)
    // They were filed in the order of their CIDs, which says nothing of their age.
    await this.#recall()
  }

  /** Reads the newest of each lane, once: later it would cost what `takeNewest` avoids. */
  async #recall(): Promise<void> {
    for (const lane of lanes) {
      const range = { gte: `/s/${lane}/`, lt: `/s/${lane}0`, reverse: true, limit: MAX_RECENT }
      const keys = await this.#store.db.keys<string>(range).all()
      this.#recent.set(
        lane,
        keys.reverse().map((key) => key.slice(key.lastIndexOf('/') + 1))
      )
    }
  }

  #remember(lane: Lane, id: string): void {
    const recent = this.#recent.get(lane) ?? []
    recent.push(id)
    this.#recent.set(lane, recent.length < 2 * MAX_RECENT ? recent : recent.slice(-MAX_RECENT))
  }

  /** What the lanes depend on. */
  #settings(): Pick<CleanNote, 'priorityPinMaxAgeMs' | 'priorityPinMaxRetries'> {
    const { priorityPinMaxAgeMs, priorityPinMaxRetries } = this.#config
    return { priorityPinMaxAgeMs, priorityPinMaxRetries }
  }

  #tally(operation: Operation | undefined, change: 1 | -1): void {
    if (operation === undefined) return
    this.#count += change
    if (operation.kind === 'pin') this.#pinCount += change
  }

  #scheduleKey(id: string, operation: Operation): string {
    return `/s/${laneOf(operation, this.#config)}/${formatDue(operation.dueAtMs)}/${id}`
  }

  #widen(lane: Lane, key: string): void {
    const bounds = this.#bounds.get(lane)
    this.#bounds.set(lane, {
      first: bounds === undefined || key < bounds.first ? key : bounds.first,
      last: bounds === undefined || key > bounds.last ? key : bounds.last
    })
  }
}

function formatDue(dueAtMs: number): string {
  return Math.max(0, Math.floor(dueAtMs)).toString(16).padStart(12, '0')
}

/** Undefined for what another release wrote: the comparison at start finds out anew what is to be done. */
function readOperation(bytes: Uint8Array): Operation | undefined {
  try {
    return decodeOperation(bytes)
  } catch {
    return undefined
  }
}
