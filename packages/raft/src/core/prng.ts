/**
 * The core's only source of chance: a small seeded generator, so that the same inputs give the same effects.
 *
 * Used for election jitter alone (paper §5.2, "randomized election timeouts"); nothing about safety rests on its quality.
 * The mixing function is the 32-bit finalizer of MurmurHash3 over a Weyl sequence.
 */

/** The golden ratio's fraction in 32 bits: the step of a Weyl sequence that visits every 32-bit number once. */
const WEYL_STEP = 0x9e3779b9

/** A deterministic stream of numbers from one unsigned 32-bit seed. */
export class Prng {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A seed that continues this very stream. */
  get state(): number {
    return this.#state
  }

  /** The next unsigned 32-bit number. */
  next(): number {
    this.#state = (this.#state + WEYL_STEP) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    return (mixed ^ (mixed >>> 16)) >>> 0
  }

  /** A number in [low, high), with a fraction. */
  between(low: number, high: number): number {
    return low + (this.next() / 0x1_0000_0000) * (high - low)
  }
}
