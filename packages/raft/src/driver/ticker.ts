/**
 * Tells the core that time has passed. Used by `driver.ts`.
 *
 * After a stall of the event loop (a long pause of the collector, SIGSTOP) the timer fires before the network is read, and a
 * follower would campaign although its leader's heartbeats lie unread in the kernel. So a late tick first lets the network's
 * events be taken (T26).
 */

import type { Clock } from '../ports.ts'

/** Turns of the event loop from bytes in the kernel to a message in the inbox: reading, decrypting, dispatching. */
const TURNS_TO_DRAIN = 3

export class Ticker {
  readonly #clock: Clock
  readonly #intervalMs: number
  readonly #stallMs: number
  readonly #tick: () => void
  #cancel: (() => void) | undefined
  #lastMs = 0
  #stopped = false

  /** @param stallMs - a tick that comes later than this after the one before has been held up */
  constructor(clock: Clock, intervalMs: number, stallMs: number, tick: () => void) {
    this.#clock = clock
    this.#intervalMs = intervalMs
    this.#stallMs = stallMs
    this.#tick = tick
  }

  start(): void {
    this.#lastMs = this.#clock.now()
    this.#tick()
    this.#schedule()
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
  }

  #schedule(): void {
    if (this.#stopped) return
    this.#cancel = this.#clock.after(this.#intervalMs, () => {
      const nowMs = this.#clock.now()
      const stalled = nowMs - this.#lastMs > this.#stallMs
      this.#lastMs = nowMs
      this.#afterTurns(stalled ? TURNS_TO_DRAIN : 0)
    })
  }

  #afterTurns(turns: number): void {
    if (this.#stopped) return
    if (turns > 0) {
      this.#clock.soon(() => this.#afterTurns(turns - 1))
      return
    }
    this.#tick()
    this.#schedule()
  }
}
