/** Seeded choices, so that a run can be asked for again with the same faults in the same order. What the machine makes of them differs each time. */

export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A number in `[0, 1)`, by mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  below(count: number): number {
    return Math.floor(this.next() * count)
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }

  shuffled<T>(items: readonly T[]): T[] {
    const left = [...items]
    const drawn: T[] = []
    while (left.length > 0) drawn.push(...left.splice(this.below(left.length), 1))
    return drawn
  }

  /** Between `min` and `max`, short ones as likely as long ones. */
  logUniform(min: number, max: number): number {
    return min * (max / min) ** this.next()
  }

  /** A pause of a client that comes at random, in the same unit as `mean`. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next())
  }
}
