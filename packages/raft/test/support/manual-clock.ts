/** A clock that the test moves. What is to happen soon happens when the test says so, before time goes on. */

import type { Clock } from '../../src/ports.ts'

interface Timer {
  readonly atMs: number
  readonly callback: () => void
}

export class ManualClock implements Clock {
  #nowMs = 0
  readonly #timers = new Set<Timer>()
  #soon: (() => void)[] = []

  now(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, callback }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  soon(callback: () => void): void {
    this.#soon.push(callback)
  }

  /** One turn of the event loop: what was to happen soon. */
  turn(): void {
    const soon = this.#soon
    this.#soon = []
    for (const callback of soon) callback()
  }

  /** Time passes at once, as it does when the event loop was held up; then the timers that are due fire, in order. */
  jump(ms: number): void {
    this.#nowMs += ms
    const due = [...this.#timers].filter(({ atMs }) => atMs <= this.#nowMs).sort((a, b) => a.atMs - b.atMs)
    for (const timer of due) if (this.#timers.delete(timer)) timer.callback()
  }
}
