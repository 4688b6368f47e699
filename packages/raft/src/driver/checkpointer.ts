/**
 * Makes the state durable from time to time, which is what lets the log shrink: after so many entries, so many bytes, or so long,
 * whichever comes first, and only if something was applied. Used by `driver.ts`.
 */

import type { Entry, Index } from '../core/types.ts'
import type { Clock } from '../ports.ts'

const EVERY_ENTRIES = 8192
const EVERY_BYTES = 16 * 1024 * 1024
const EVERY_MS = 60_000

export interface CheckpointerInit {
  /** @returns the index at which the state is durable */
  readonly flush: () => Promise<Index>
  readonly onDurable: (index: Index) => void
  readonly onFailed: (error: unknown) => void
}

export class Checkpointer {
  readonly #clock: Clock
  readonly #init: CheckpointerInit
  #entries = 0
  #bytes = 0
  #running: Promise<void> | undefined
  #cancelTimer: (() => void) | undefined
  #stopped = false

  constructor(clock: Clock, init: CheckpointerInit) {
    this.#clock = clock
    this.#init = init
  }

  start(): void {
    if (this.#stopped) return
    this.#cancelTimer = this.#clock.after(EVERY_MS, () => {
      if (this.#entries > 0) void this.run()
      this.start()
    })
  }

  onApplied(entries: readonly Entry[]): void {
    this.#entries += entries.length
    for (const entry of entries) this.#bytes += entry.record.length
    if (this.#entries >= EVERY_ENTRIES || this.#bytes >= EVERY_BYTES) void this.run()
  }

  /** Runs one now, or waits for the one under way. Never rejects: a failure ends the node. */
  run(): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    this.#running ??= this.#flush().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  stop(): void {
    this.#stopped = true
    this.#cancelTimer?.()
  }

  async #flush(): Promise<void> {
    this.#entries = 0
    this.#bytes = 0
    try {
      const index = await this.#init.flush()
      if (!this.#stopped) this.#init.onDurable(index)
    } catch (error) {
      if (!this.#stopped) this.#init.onFailed(error)
    }
  }
}
