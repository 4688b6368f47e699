/**
 * Hands committed entries to the state machine, in slices, beside the writes to the log and never in their way. The core bounds
 * how many may wait here (`maxApplyEntries`), so that a slow state machine slows no commit and fills no memory. All other calls
 * to the state machine stand in the same queue, since they come one at a time. Used by `driver.ts` and `snapshotter.ts`.
 */

import { payloadOf } from '../core/record.ts'
import { type Entry, EntryKind, type Index } from '../core/types.ts'
import type { Clock, Command, StateMachine } from '../ports.ts'

/** Limits of one call of `apply`: enough to share its cost, little enough to be done in a few milliseconds. */
const MAX_SLICE_ENTRIES = 1024
const MAX_SLICE_BYTES = 1024 * 1024

/**
 * A slice ends at every multiple of this, so that all nodes know the digest of their state at the same indexes. Few enough to cost
 * nothing, often enough to notice within a second under load.
 */
export const DIGEST_EVERY_ENTRIES = 1024

/** After so much time without a pause, the event loop gets its turn even if the state machine answers at once. */
const MAX_RUN_MS = 10

export interface ApplierInit<Result> {
  readonly stateMachine: Pick<StateMachine<Result>, 'apply'>
  readonly clock: Clock
  /** Slices end at multiples of this index. */
  readonly digestEvery?: number | undefined
  /** The state stands at the last of `entries`; one result for each command among them. */
  readonly onApplied: (entries: readonly Entry[], results: readonly Result[]) => void
  /** The state machine threw, which it must not: it can no longer be told what the state is. */
  readonly onFailed: (error: unknown) => void
}

type Work =
  | { readonly type: 'apply'; readonly entries: readonly Entry[] }
  | { readonly type: 'task'; readonly run: () => Promise<void>; readonly drop: () => void }

export class Applier<Result> {
  readonly #init: ApplierInit<Result>
  #queue: Work[] = []
  #running: Promise<void> = Promise.resolve()
  #busy = false
  #stopped = false

  constructor(init: ApplierInit<Result>) {
    this.#init = init
  }

  apply(entries: readonly Entry[]): void {
    const { digestEvery } = this.#init
    for (let from = 0; from < entries.length; ) {
      let to = from
      for (let bytes = 0; to < entries.length && to - from < MAX_SLICE_ENTRIES && bytes < MAX_SLICE_BYTES; to++) {
        bytes += entries[to]!.record.length
        if (digestEvery !== undefined && entries[to]!.index % digestEvery === 0) {
          to++
          break
        }
      }
      this.#push({ type: 'apply', entries: from === 0 && to === entries.length ? entries : entries.slice(from, to) })
      from = to
    }
  }

  /**
   * Runs `task` alone, after all that is queued. Settles as it does.
   *
   * @param soon - before what is queued, after the slice that is under way
   */
  exclusive<T>(task: () => Promise<T>, { soon = false } = {}): Promise<T> {
    if (this.#stopped) return Promise.reject(new Error('the node is stopped'))
    return new Promise((resolve, reject) => {
      const run = () => task().then(resolve, reject)
      this.#push({ type: 'task', run, drop: () => reject(new Error('the node is stopped')) }, soon)
    })
  }

  /** Takes nothing more, and resolves when what is under way is done. */
  async stop(): Promise<void> {
    this.#drop()
    while (this.#busy) await this.#running
  }

  #drop(): void {
    this.#stopped = true
    const queue = this.#queue
    this.#queue = []
    for (const work of queue) if (work.type === 'task') work.drop()
  }

  #push(work: Work, first = false): void {
    if (this.#stopped) return
    if (first) this.#queue.unshift(work)
    else this.#queue.push(work)
    if (!this.#busy) this.#running = this.#run()
  }

  async #run(): Promise<void> {
    this.#busy = true
    const { clock, onFailed } = this.#init
    let sinceMs = clock.now()
    try {
      for (let work = this.#queue.shift(); work !== undefined; work = this.#queue.shift()) {
        if (work.type === 'task') await work.run()
        else await this.#applySlice(work.entries)
        if (clock.now() - sinceMs < MAX_RUN_MS) continue
        await new Promise<void>((resolve) => clock.soon(resolve))
        sinceMs = clock.now()
      }
    } catch (error) {
      this.#drop()
      onFailed(error)
    } finally {
      this.#busy = false
    }
  }

  async #applySlice(entries: readonly Entry[]): Promise<void> {
    const commands: Command[] = []
    for (const entry of entries) {
      if (entry.kind === EntryKind.command) commands.push({ index: entry.index, payload: payloadOf(entry) })
    }
    const through: Index = entries.at(-1)!.index
    const results = await this.#init.stateMachine.apply(commands, through)
    if (results.length !== commands.length) {
      throw new Error(`The state machine answered ${results.length} results to ${commands.length} commands`)
    }
    this.#init.onApplied(entries, results)
  }
}
