/**
 * Every interleaving of three real cores, to the end where the bounds allow it within seconds (`ladder.ts`), and as far as a while goes where they do not; `run.ts` goes
 * further. What is known to be wrong is found, by the shortest way to it; what is thought to be right stays so.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Mutation } from '../../src/core/mutations.ts'
import { LADDER } from './ladder.ts'
import { type Bounds, type SearchResult, search } from './search.ts'
import { startFigure8 } from './starts.ts'

const bounds: Bounds = { maxTerm: 2, campaigns: 2, proposals: 0, changes: 0, crashes: 0, heartbeats: 0 }

const STATES = 200_000

/** No way within the bounds is as long. */
const DEPTH = 1000

const describeResult = ({ violation }: SearchResult): string =>
  violation === undefined ? '' : `${violation.judge}: ${violation.message}\n${violation.events.join('\n')}`

const describeCount = ({ states, nodeStates, transitions, depth, exhausted }: SearchResult): string =>
  `${states} distinct states of the group, ${nodeStates} of a single node, ${transitions} transitions; ` +
  (exhausted ? `exhausted, after ${depth} events` : `all ways of ${depth} events, not exhausted`)

describe('all interleavings of three nodes', () => {
  for (const { name, voters, bounds, long } of LADDER) {
    if (long) continue
    it(`keep every rule to the end: ${name}`, (t) => {
      const result = search({ voters, bounds, depth: DEPTH })
      t.diagnostic(describeCount(result))
      assert(result.violation === undefined, describeResult(result))
      assert(result.exhausted)
    })
  }
  it('keep every rule to the end: figure 8 of the paper, from (c) on', (t) => {
    const result = search({ voters: 3, disks: startFigure8, bounds: { ...bounds, maxTerm: 5 }, depth: DEPTH })
    t.diagnostic(describeCount(result))
    assert(result.violation === undefined, describeResult(result))
    assert(result.exhausted)
  })
  it('keep every rule for a while: two terms, three proposals, a removal and a crash', (t) => {
    const most = { ...bounds, proposals: 3, changes: 1, crashes: 1 }
    const result = search({ voters: 3, bounds: most, depth: DEPTH, maxStates: STATES })
    t.diagnostic(describeCount(result))
    assert(result.violation === undefined, describeResult(result))
    assert.equal(result.states, STATES)
  })
})

interface Planted {
  readonly mutation: Mutation
  readonly judge: string
  readonly bounds: Partial<Bounds>
  readonly figure8?: true
  /** The rule that prevents harm is what is broken; the harm itself needs more nodes or events. */
  readonly byRule?: true
}

const planted: readonly Planted[] = [
  { mutation: 'vote-not-persisted', judge: 'single-vote', bounds: { crashes: 1 } },
  { mutation: 'commit-old-term-by-counting', judge: 'leader-completeness', bounds: { maxTerm: 5 }, figure8: true },
  // Two majorities that do not meet need five nodes.
  { mutation: 'no-own-term-barrier', judge: 'membership-barrier', bounds: { changes: 1 }, byRule: true },
  { mutation: 'vote-erased-on-step-down', judge: 'single-vote', bounds: {} },
  { mutation: 'refusal-counted-as-vote', judge: 'election-safety', bounds: {} },
  { mutation: 'own-match-at-append', judge: 'committed', bounds: {} },
  { mutation: 'ack-before-durable', judge: 'committed', bounds: {} },
  { mutation: 'truncate-on-overlap', judge: 'committed', bounds: { proposals: 1 } },
  { mutation: 'vote-without-recency', judge: 'leader-completeness', bounds: {} },
  { mutation: 'truncation-not-written', judge: 'committed', bounds: {} },
  { mutation: 'write-vouches-for-successors', judge: 'committed', bounds: { crashes: 1 } },
  { mutation: 'answers-of-old-terms-counted', judge: 'committed', bounds: { crashes: 1 } },
  { mutation: 'next-below-match', judge: 'halt', bounds: { proposals: 1 } },
  { mutation: 'commit-beyond-log', judge: 'halt', bounds: { crashes: 1 } }
]

describe('all interleavings, with a bug put back on purpose', () => {
  for (const { mutation, judge, bounds: more, figure8, byRule } of planted) {
    it(`hold ${mutation}, seen by ${judge}`, (t) => {
      const result = search({
        voters: 3,
        ...(figure8 ? { disks: startFigure8 } : {}),
        bounds: { ...bounds, ...more },
        depth: DEPTH,
        maxStates: STATES,
        mutations: new Set([mutation]),
        consequencesOnly: byRule !== true
      })
      assert(result.violation !== undefined, `${mutation} was not found in ${result.states} states`)
      t.diagnostic(`${result.violation.events.length} events, ${result.states} states: ${result.violation.message}`)
      assert.equal(result.violation.judge, judge, describeResult(result))
    })
  }
})
