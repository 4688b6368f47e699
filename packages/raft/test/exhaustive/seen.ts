/**
 * What a search over hundreds of millions of states remembers, in flat memory: a set of 64-bit hashes (8 bytes each, in a table that is at most three
 * quarters full), the way to each state (6 bytes), and the states that are still to be looked at. Used by `search.ts`.
 */

const FIRST_SLOTS = 1 << 16

/** A set of pairs of 32-bit numbers, by open addressing. The pair of zeros cannot be told from an empty slot, and is taken for (1, 0). */
export class HashSet {
  #slots = new Uint32Array(2 * FIRST_SLOTS)
  size = 0

  /** @returns whether it was not there */
  add(high: number, low: number): boolean {
    const kept = high === 0 && low === 0 ? 1 : high
    if (!place(this.#slots, kept >>> 0, low >>> 0)) return false
    this.size++
    if (this.size * 8 > this.#slots.length * 3) this.#grow()
    return true
  }

  #grow(): void {
    const old = this.#slots
    const slots = new Uint32Array(old.length * 2)
    for (let at = 0; at < old.length; at += 2) {
      if (old[at] !== 0 || old[at + 1] !== 0) place(slots, old[at]!, old[at + 1]!)
    }
    this.#slots = slots
  }
}

/** @returns false if it is there already */
function place(slots: Uint32Array, high: number, low: number): boolean {
  const mask = slots.length / 2 - 1
  let slot = (low ^ (high >>> 7)) & mask
  for (;;) {
    const at = 2 * slot
    const there = slots[at]!
    const thereLow = slots[at + 1]!
    if (there === high && thereLow === low) return false
    if (there === 0 && thereLow === 0) {
      slots[at] = high
      slots[at + 1] = low
      return true
    }
    slot = (slot + 1) & mask
  }
}

/** For each state, in the order in which they were found: the number of the state before it, and which of its steps led there. */
export class Ways {
  #before = new Uint32Array(FIRST_SLOTS)
  #steps = new Uint16Array(FIRST_SLOTS)
  #count = 0

  add(before: number, step: number): void {
    if (this.#count === this.#before.length) {
      this.#before = grown(this.#before, new Uint32Array(this.#count * 2))
      this.#steps = grown(this.#steps, new Uint16Array(this.#count * 2))
    }
    this.#before[this.#count] = before
    this.#steps[this.#count] = step
    this.#count++
  }

  /** The steps from the first state to this one. */
  to(state: number): number[] {
    const steps: number[] = []
    for (let at = state; at !== 0; at = this.#before[at]!) steps.push(this.#steps[at]!)
    return steps.reverse()
  }
}

function grown<T extends Uint16Array | Uint32Array>(from: T, to: T): T {
  to.set(from)
  return to
}

const CHUNK = 1 << 20

/** Lists of whole numbers below 2^32, first in, first out. */
export class Queue {
  readonly #chunks: Uint32Array[] = [new Uint32Array(CHUNK)]
  #readAt = 0
  #writeAt = 0
  length = 0

  push(list: readonly number[]): void {
    let chunk = this.#chunks[this.#chunks.length - 1]!
    // A list lies in one chunk; 0 in place of its length says that it is in the next.
    if (this.#writeAt + list.length + 2 > CHUNK) {
      chunk[this.#writeAt] = 0
      chunk = new Uint32Array(CHUNK)
      this.#chunks.push(chunk)
      this.#writeAt = 0
    }
    chunk[this.#writeAt++] = list.length
    for (let i = 0; i < list.length; i++) chunk[this.#writeAt++] = list[i]!
    this.length++
  }

  /** @returns a view that holds until the next call */
  shift(): Uint32Array {
    let chunk = this.#chunks[0]!
    if (chunk[this.#readAt] === 0) {
      this.#chunks.shift()
      chunk = this.#chunks[0]!
      this.#readAt = 0
    }
    const length = chunk[this.#readAt]!
    const list = chunk.subarray(this.#readAt + 1, this.#readAt + 1 + length)
    this.#readAt += length + 1
    this.length--
    return list
  }
}
