/** The few sums that all benchmarks need. */

/** @param values - at least one, in any order. @param q - 0.5 for the median, 0.99 for the 99th percentile. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const value = sorted[Math.min(Math.floor(sorted.length * q), sorted.length - 1)]
  if (value === undefined) throw new RangeError('There is no quantile of nothing')
  return value
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** `median (smallest to largest)`; a single value alone. */
export function withSpread(values: readonly number[], digits = 0): string {
  const text = (value: number): string => value.toLocaleString('en', { maximumFractionDigits: digits })
  const middle = text(median(values))
  return values.length < 2 ? middle : `${middle} (${text(Math.min(...values))} to ${text(Math.max(...values))})`
}

const BAR_WIDTH = 50

/**
 * Prints one line for each range of `bounds`, with how many values lie in it, from the first that holds any to the last.
 *
 * @param bounds - upper ends in ms, ascending; what lies beyond the last has a line of its own
 */
export function printHistogram(valuesMs: readonly number[], bounds: readonly number[]): void {
  const ranges = [...bounds, Number.POSITIVE_INFINITY].map((upper, n) => {
    const lower = bounds[n - 1] ?? 0
    return { lower, upper, count: valuesMs.filter((value) => value >= lower && value < upper).length }
  })
  const first = ranges.findIndex(({ count }) => count > 0)
  const last = ranges.findLastIndex(({ count }) => count > 0)
  for (const { lower, upper, count } of ranges.slice(first, last + 1)) {
    const range = upper === Number.POSITIVE_INFINITY ? `from ${lower}` : `${lower} to ${upper}`
    const bar = '#'.repeat(Math.ceil((count / valuesMs.length) * BAR_WIDTH))
    console.log(`  ${range.padStart(14)} ms ${String(count).padStart(4)} ${bar}`)
  }
}
