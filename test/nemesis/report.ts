/** What a run writes to `report.json`, for whoever reads it: a person, or `nemesis.e2e.ts`. */

import type { FaultName } from './faults.ts'

export interface FaultReport {
  /** Two when they came together. */
  readonly names: readonly FaultName[]
  /** What was done, in words. */
  readonly details: readonly string[]
  readonly heldMs: number
  /** From the end of the fault until every peer served again; undefined when nobody waited for that. */
  readonly recoveredAfterMs: number | undefined
  /** Longest time without an acknowledged write, at whichever peer, from the beginning of the fault on. */
  readonly longestWriteGapMs: number
}

export interface Report {
  readonly seed: number
  readonly peers: number
  /** Faults that could not be had, and why. */
  readonly skipped: Readonly<Record<string, string>>
  readonly operations: number
  readonly acknowledgedWrites: number
  /** As `write ok`: 123. */
  readonly outcomes: Readonly<Record<string, number>>
  /** As `write: no-leader`: 3. */
  readonly reasons: Readonly<Record<string, number>>
  readonly registers: number
  /** Pins at the end, the same on every peer. */
  readonly pinCount: number
  readonly faults: readonly FaultReport[]
  /** Of the orderly end. */
  readonly exitCodes: readonly { readonly peer: string; readonly code: number | null }[]
  /** In words; empty when all is well. */
  readonly failures: readonly string[]
}
