/**
 * The only source of chance in the simulator: xoshiro128** (Blackman and Vigna, "Scrambled Linear Pseudorandom Number
 * Generators", 2018), in 32 bit integers, so that a seed means the same on every machine.
 *
 * Every concern (a link, a disk, the workload, …) draws from a generator of its own, forked by label from the seed. A draw
 * added in one concern therefore leaves the draws of all others as they were, and an old seed stays close to its old story.
 */

const rotateLeft = (value: number, by: number): number => (value << by) | (value >>> (32 - by))

/** Spreads close numbers far apart; the finaliser of MurmurHash3. */
export function mix32(value: number): number {
  let mixed = value | 0
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

const hashLabel = (seed: number, label: string): number => {
  let hash = seed ^ 0x811c_9dc5
  for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x0100_0193)
  return mix32(hash)
}

/** A stream of pseudo-random numbers. */
export class Prng {
  readonly #seed: number
  #a: number
  #b: number
  #c: number
  #d: number

  /** @param seed - any integer; only its low 32 bits count */
  constructor(seed: number) {
    this.#seed = seed >>> 0
    // The state must not be all zero; four different offsets through a bijection cannot give four zeros.
    // Kept signed: an engine stores such an integer without a box.
    this.#a = mix32(seed + 0x9e37_79b9) | 0
    this.#b = mix32(seed + 0x3c6e_f372) | 0
    this.#c = mix32(seed + 0xdaa6_6d2b) | 0
    this.#d = mix32(seed + 0x78dd_e6e4) | 0
  }

  /** A generator of its own for one concern. Depends on this one's seed and the label only, not on what was drawn before. */
  fork(label: string): Prng {
    return new Prng(hashLabel(this.#seed, label))
  }

  /** Uniform in [0, 2^32). */
  u32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0
    const shifted = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= shifted
    this.#d = rotateLeft(this.#d, 11)
    return result
  }

  /** Uniform in [0, bound), for 0 < bound ≤ 2^32. The bias of the multiplication is below 2^-32 × bound. */
  below(bound: number): number {
    return Math.floor((this.u32() * bound) / 0x1_0000_0000)
  }

  /** Uniform integer in [low, high]. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  /** Whether an event of this probability, in millionths, happens. Draws nothing for 0, so that a fault switched off costs nothing. */
  chance(millionths: number): boolean {
    return millionths > 0 && this.below(1_000_000) < millionths
  }

  /**
   * Exponentially distributed integer with about this mean; at most 32 times ln 2 means. Takes −log2 of a uniform number as its count of
   * leading zeros and a straight line in between: within 9 % of the true logarithm, and without a library function whose last
   * digit may differ between engines.
   */
  exponential(mean: number): number {
    if (mean <= 0) return 0
    const drawn = this.u32()
    const zeros = Math.clz32(drawn)
    const rest = zeros >= 31 ? 0 : ((drawn << (zeros + 1)) >>> 0) / 0x1_0000_0000
    return Math.floor((zeros + 1 - rest) * Math.LN2 * mean)
  }

  /** Integer in [low, high], low ≥ 1, such that every doubling is as likely as every other. */
  logUniform(low: number, high: number): number {
    const octaves = 31 - Math.clz32(Math.max(1, high / low))
    const octave = this.below(octaves + 1)
    const from = low * 2 ** octave
    return this.between(from, Math.min(high, Math.max(from, from * 2 - 1)))
  }

  /** One element; the list must not be empty. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }

  /** Shuffles in place and answers the same array. */
  shuffle<T>(list: T[]): T[] {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const held = list[i] as T
      list[i] = list[j] as T
      list[j] = held
    }
    return list
  }
}
