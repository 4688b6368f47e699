/** The obvious storage, against which the real one is compared: a hard state, a base and an array of entries, and steps that change them. */

import { makeEntry } from '../../src/core/record.ts'
import { type Entry, EntryKind, type HardState, type LogBase } from '../../src/core/types.ts'
import type { LoadedLog, LogStorage } from '../../src/ports.ts'
import { checksum } from '../../src/storage/checksum.ts'
import type { Random } from './random.ts'

export interface LogState {
  readonly hardState: HardState
  readonly base: LogBase
  readonly entries: readonly Entry[]
}

export const emptyState: LogState = {
  hardState: { term: 0, votedFor: undefined },
  base: { index: 0, term: 0, chain: 0, config: { voters: [], outgoing: [], learners: [] } },
  entries: []
}

export type Step =
  | { type: 'persist'; hardState: HardState | undefined; truncateFrom: number | undefined; entries: readonly Entry[] }
  | { type: 'compact'; base: LogBase }
  | { type: 'reset'; base: LogBase }

export const lastIndexOf = ({ base, entries }: LogState): number => base.index + entries.length

/** Entries that follow the one at `cutAfter`. */
export function entriesAfter(
  state: LogState,
  cutAfter: number,
  term: number,
  payloads: readonly Uint8Array[]
): Entry[] {
  const before = cutAfter === state.base.index ? state.base : state.entries[cutAfter - state.base.index - 1]!
  let chain = before.chain
  return payloads.map((payload, n) => {
    const entry = makeEntry(cutAfter + 1 + n, term, EntryKind.command, payload, chain, checksum)
    chain = entry.chain
    return entry
  })
}

/** The base of a log that is compacted up to `index`. */
export function baseAt(state: LogState, index: number): LogBase {
  const at = index === state.base.index ? state.base : state.entries[index - state.base.index - 1]!
  return {
    index,
    term: at.term,
    chain: at.chain,
    config: { voters: ['a', 'b', 'c'], outgoing: [], learners: [`l${index}`] }
  }
}

/** The state after a step that was acknowledged. */
export function after(state: LogState, step: Step): LogState {
  if (step.type === 'reset') return { hardState: state.hardState, base: step.base, entries: [] }
  if (step.type === 'compact') {
    if (step.base.index <= state.base.index) return state
    return { ...state, base: step.base, entries: state.entries.slice(step.base.index - state.base.index) }
  }
  const kept =
    step.truncateFrom === undefined ? state.entries : state.entries.slice(0, step.truncateFrom - 1 - state.base.index)
  return { ...state, hardState: step.hardState ?? state.hardState, entries: [...kept, ...step.entries] }
}

/** The states that a crash during a step may leave: the log never changes before the vote that came with it. */
export function during(state: LogState, step: Step): LogState[] {
  const done = after(state, step)
  return [state, { ...state, hardState: done.hardState }, done]
}

export function carryOut(log: LogStorage, step: Step): Promise<void> {
  return step.type === 'persist'
    ? log.persist(step)
    : step.type === 'compact'
      ? log.compact(step.base)
      : log.reset(step.base)
}

/** A step that a node could take in `state`. */
export function drawStep(state: LogState, random: Random): Step {
  const last = lastIndexOf(state)
  const kind = random.below(20)
  if (kind === 0) {
    const index = last + random.below(10)
    return {
      type: 'reset',
      base: {
        index,
        term: state.hardState.term,
        chain: random.below(2 ** 32),
        config: baseAt(state, state.base.index).config
      }
    }
  }
  if (kind <= 2)
    return { type: 'compact', base: baseAt(state, state.base.index + random.below(state.entries.length + 1)) }
  const raise = random.below(4) === 0
  const term = state.hardState.term + (raise ? 1 : 0)
  const hardState = raise
    ? { term, votedFor: random.below(3) === 0 ? undefined : `node-${random.below(5)}` }
    : undefined
  const truncates = random.below(4) === 0
  const cutAfter = truncates ? state.base.index + random.below(state.entries.length + 1) : last
  const count = random.below(5)
  const payloads = Array.from({ length: count }, () => random.bytes(random.below(random.below(10) === 0 ? 2000 : 40)))
  return {
    type: 'persist',
    hardState,
    truncateFrom: truncates ? cutAfter + 1 : undefined,
    entries: entriesAfter(state, cutAfter, term, payloads)
  }
}

/** A state as text, by which two can be compared. */
export const pictureOf = ({ hardState, base, entries }: LogState | LoadedLog): string =>
  JSON.stringify({
    hardState: { term: hardState.term, votedFor: hardState.votedFor },
    base,
    entries: entries.map(({ index, term, kind, chain, record }) => [
      index,
      term,
      kind,
      chain,
      Buffer.from(record).toString('base64')
    ])
  })
