/** Seeded randomness for tests: the same seed draws the same numbers (mulberry32). */

export interface Random {
  /** A whole number in [0, limit). */
  below(limit: number): number
  bytes(count: number): Uint8Array
}

export function randomFrom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
  return {
    below: (limit) => Math.floor((next() / 0x1_0000_0000) * limit),
    bytes: (count) => Uint8Array.from({ length: count }, () => next() & 0xff)
  }
}
