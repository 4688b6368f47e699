/** What is measured at each concurrency, by whichever system. */

/** Figures of one system at one concurrency. */
export interface Figure {
  readonly concurrency: number
  readonly entriesPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Proposals under way at a time. */
export const CONCURRENCIES: readonly number[] = [1, 64, 1024]
