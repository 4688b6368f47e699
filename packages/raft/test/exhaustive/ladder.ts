/**
 * Bounds that the search comes to the end of, from a single election up: each is all that can happen within it. `exhaustive.sim.ts` climbs those that take
 * seconds, `run.ts --ladder` as many as one has time for.
 */

import type { Bounds } from './search.ts'

export interface Rung {
  readonly name: string
  readonly voters: number
  readonly bounds: Bounds
  /** It takes longer than a test may. */
  readonly long?: true
}

const none: Bounds = { maxTerm: 2, campaigns: 2, proposals: 0, changes: 0, crashes: 0, heartbeats: 0 }

const rung = (name: string, more: Partial<Bounds>, long?: true): Rung => ({
  name,
  voters: 3,
  bounds: { ...none, ...more },
  ...(long === undefined ? {} : { long })
})

export const LADDER: readonly Rung[] = [
  rung('one term, three campaigns', { maxTerm: 1, campaigns: 3 }),
  rung('one term, two proposals', { maxTerm: 1, proposals: 2 }),
  rung('one term, a proposal, a removal and a crash', { maxTerm: 1, proposals: 1, changes: 1, crashes: 1 }, true),
  rung('two terms', {}),
  // Each node once a term: without a crash there are no more.
  rung('two terms, six campaigns', { campaigns: 6 }),
  rung('two terms and a heartbeat', { heartbeats: 1 }),
  rung('two terms and a crash', { crashes: 1 }),
  rung('two terms and a removal', { changes: 1 }),
  rung('two terms and a proposal', { proposals: 1 }),
  rung('two terms, a removal and a crash', { changes: 1, crashes: 1 }),
  rung('two terms, a proposal and a crash', { proposals: 1, crashes: 1 }, true),
  rung('two terms, a proposal and a removal', { proposals: 1, changes: 1 }, true),
  rung('two terms, two proposals', { proposals: 2 }, true),
  rung('three terms, three campaigns', { maxTerm: 3, campaigns: 3 })
]
