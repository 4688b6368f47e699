/**
 * A number that entries of the log change, each from its own index on: the feature level (T59), the lease that the leader of the
 * day announced (T49). Kept as its changes, so that a number which stays the same costs nothing. It follows the log: what is cut
 * takes its changes with it. Used by `log.ts`.
 */

import type { Index } from './types.ts'

interface Change {
  readonly index: Index
  readonly value: number
}

export class Timeline {
  /** Ascending by index, never empty; neighbours differ. The first is what holds at the log's base. */
  #changes: Change[]

  constructor(index: Index, value: number) {
    this.#changes = [{ index, value }]
  }

  /** As plain data, for `restore`. */
  capture(): readonly Change[] {
    return this.#changes.slice()
  }

  static restore(changes: readonly Change[]): Timeline {
    const timeline = new Timeline(0, 0)
    timeline.#changes = changes.slice()
    return timeline
  }

  /** What holds at the end of the log, and the entry that brought it. */
  get last(): Change {
    return this.#changes[this.#changes.length - 1]!
  }

  /** What holds at `index`, which is at or past the base. */
  at(index: Index): number {
    return this.#changes[this.#position(index)]!.value
  }

  /** The highest of what holds anywhere from `index` to the end. */
  highestSince(index: Index): number {
    let highest = 0
    for (let at = this.#position(index); at < this.#changes.length; at++) {
      highest = Math.max(highest, this.#changes[at]!.value)
    }
    return highest
  }

  append(index: Index, value: number): void {
    if (this.last.value !== value) this.#changes.push({ index, value })
  }

  /** The entries at and above `from` are gone; `from` is above the base. */
  truncate(from: Index): void {
    while (this.last.index >= from) this.#changes.pop()
  }

  /** The log begins after `index` now. */
  compact(index: Index): void {
    const kept = this.#position(index)
    if (kept > 0) this.#changes = this.#changes.slice(kept)
  }

  #position(index: Index): number {
    let at = this.#changes.length - 1
    while (at > 0 && this.#changes[at]!.index > index) at--
    return at
  }
}
