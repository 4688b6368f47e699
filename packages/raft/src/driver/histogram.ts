/**
 * Counts values in buckets whose bounds double, so that noting one costs a shift and two additions, and allocates nothing. Used by
 * `metrics.ts` for times and sizes; a bucket holds the values at or below its bound and above the one before, as Prometheus has it.
 */

/** What was noted so far, as plain data. */
export interface HistogramSnapshot {
  /** Upper bounds of the buckets, ascending; the last bucket, which `counts` has one more for, has none. In the unit of the values. */
  readonly bounds: readonly number[]
  /** Values in each bucket, not added up. `counts.length === bounds.length + 1` */
  readonly counts: readonly number[]
  readonly sum: number
  readonly count: number
}

export class Histogram {
  readonly #unit: number
  readonly #bounds: readonly number[]
  readonly #counts: Float64Array
  #sum = 0
  #count = 0

  /**
   * @param unit - the bound of the first bucket; above 0
   * @param buckets - how many have a bound; at most 31
   */
  constructor(unit: number, buckets: number) {
    this.#unit = unit
    this.#bounds = Array.from({ length: buckets }, (_, at) => unit * 2 ** at)
    this.#counts = new Float64Array(buckets + 1)
  }

  /** Notes a value; below 0 counts as 0. */
  add(value: number): void {
    const steps = Math.ceil(value / this.#unit)
    // 1 step is bucket 0, 2 are bucket 1, 3 and 4 are bucket 2; beyond 31 bits there is only the last.
    const at = steps <= 1 ? 0 : steps > 0x4000_0000 ? 31 : 32 - Math.clz32(steps - 1)
    this.#counts[Math.min(at, this.#counts.length - 1)]! += 1
    this.#sum += Math.max(value, 0)
    this.#count++
  }

  snapshot(): HistogramSnapshot {
    return { bounds: this.#bounds, counts: [...this.#counts], sum: this.#sum, count: this.#count }
  }
}
