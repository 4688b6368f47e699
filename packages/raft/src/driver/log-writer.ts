/**
 * Group commit: one write to the log is under way at a time (T14), and all that is asked for meanwhile becomes the next. No timer
 * decides how large a batch gets: a slow disk makes large ones, an idle one makes none wait. Used by `driver.ts`.
 *
 * Compaction and reset stand in the same queue, so that they see the log as it was when they were asked for. The first error is
 * final: what it failed to write may or may not be on disk, and a second try could "succeed" without the data (T51).
 */

import type { Effect, Entry, Envelope, HardState, Index } from '../core/types.ts'
import type { LogStorage, PersistBatch } from '../ports.ts'

type PersistEffect = Extract<Effect, { type: 'persist' }>

interface Task {
  readonly type: 'task'
  readonly run: () => Promise<void>
  readonly drop: (error: unknown) => void
}

/** Limits of one write, so that a backlog does not make one enormous write that nothing can overtake. */
const MAX_BATCH_ENTRIES = 16_384
const MAX_BATCH_BYTES = 4 * 1024 * 1024

export interface LogWriterInit {
  readonly storage: Pick<LogStorage, 'persist'>
  /** All up to `seq` is durable; `release` may leave now. */
  readonly onPersisted: (seq: number, release: readonly Envelope[]) => void
  /** The storage failed, for good. */
  readonly onFailed: (error: unknown) => void
}

export class LogWriter {
  readonly #init: LogWriterInit
  #queue: (PersistEffect | Task)[] = []
  #running: Promise<void> = Promise.resolve()
  /** `#run` has work. Apart from the promise, since a run that has nothing to write ends before it is assigned. */
  #busy = false
  #failed = false

  constructor(init: LogWriterInit) {
    this.#init = init
  }

  persist(effect: PersistEffect): void {
    this.#push(effect)
  }

  /** Runs `task` after all that was asked for before, and before all that comes after. Rejects as it does, which also ends the writer. */
  exclusive(task: () => Promise<void>): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const run = async (): Promise<void> => {
      try {
        await task()
        resolve()
      } catch (error) {
        reject(error)
        throw error
      }
    }
    this.#push({ type: 'task', run, drop: reject })
    return promise
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#busy) await this.#running
  }

  /** Forgets what has not begun. */
  drop(error: unknown): void {
    const queue = this.#queue
    this.#queue = []
    for (const item of queue) if (item.type === 'task') item.drop(error)
  }

  #push(item: PersistEffect | Task): void {
    if (this.#failed) {
      if (item.type === 'task') item.drop(new Error('the log has failed'))
      return
    }
    this.#queue.push(item)
    if (this.#busy) return
    this.#busy = true
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    try {
      // The messages of this turn leave in microtasks that stand before this one. What they set going at other nodes takes longer than
      // the own write, and to begin a write costs as much as to send a message.
      await undefined
      while (this.#queue.length > 0) {
        const first = this.#queue[0]!
        if (first.type === 'task') {
          this.#queue.shift()
          await first.run()
          continue
        }
        const batch = this.#take()
        if (!isEmpty(batch)) await this.#init.storage.persist(batch)
        this.#init.onPersisted(batch.seq, batch.release)
        // As above: what was released leaves before the next write begins.
        await undefined
      }
    } catch (error) {
      this.#failed = true
      this.drop(error)
      this.#init.onFailed(error)
    } finally {
      this.#busy = false
    }
  }

  /** Takes as many of the oldest effects as make one write. */
  #take(): MergedBatch {
    const batch = new MergedBatch()
    let count = 0
    for (const item of this.#queue) {
      if (item.type === 'task' || (count > 0 && batch.full)) break
      batch.add(item)
      count++
    }
    if (count === this.#queue.length) this.#queue = []
    else this.#queue.splice(0, count)
    return batch
  }
}

const isEmpty = (batch: PersistBatch): boolean =>
  batch.hardState === undefined && batch.truncateFrom === undefined && batch.entries.length === 0

/** Several persist effects as one write that leaves the same on disk. */
class MergedBatch implements PersistBatch {
  hardState: HardState | undefined
  truncateFrom: Index | undefined
  entries: readonly Entry[] = []
  release: readonly Envelope[] = []
  seq = 0
  #bytes = 0

  get full(): boolean {
    return this.entries.length >= MAX_BATCH_ENTRIES || this.#bytes >= MAX_BATCH_BYTES
  }

  add(effect: PersistEffect): void {
    this.seq = effect.seq
    this.hardState = effect.hardState ?? this.hardState
    if (effect.truncateFrom !== undefined) this.#truncate(effect.truncateFrom)
    if (effect.entries.length > 0) {
      this.entries = this.entries.length === 0 ? effect.entries : [...this.entries, ...effect.entries]
      for (const entry of effect.entries) this.#bytes += entry.record.length
    }
    if (effect.release.length > 0) {
      this.release = this.release.length === 0 ? effect.release : [...this.release, ...effect.release]
    }
  }

  /** What was to be written at and above `from` never gets to the disk; what is there already is cut. */
  #truncate(from: Index): void {
    const first = this.entries[0]?.index
    if (first !== undefined && first < from) {
      this.entries = this.entries.slice(0, from - first)
      return
    }
    this.entries = []
    this.truncateFrom = Math.min(from, this.truncateFrom ?? from)
  }
}
