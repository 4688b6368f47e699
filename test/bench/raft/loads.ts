/** What is measured, by whichever system, and the figures of it. */

/** Proposals of `batch` entries each, `concurrency` of them under way at a time. */
export interface Load {
  readonly name: string
  readonly concurrency: number
  readonly batch: number
  /** How many of the entries of a run it is given: one proposal at a time takes long. */
  readonly share: number
}

/** Figures of one system under one load. */
export interface Figure {
  readonly load: string
  readonly entriesPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Those that both systems are put under. */
export const COMMON_LOADS: readonly Load[] = [
  { name: '1', concurrency: 1, batch: 1, share: 0.1 },
  { name: '64', concurrency: 64, batch: 1, share: 1 },
  { name: '1024', concurrency: 1024, batch: 1, share: 2 }
]

/** `proposeMany`, which the other has no like of: compared with what it does at 1,024. */
export const BATCHES: Load = { name: '8 × 512', concurrency: 8, batch: 512, share: 10 }
