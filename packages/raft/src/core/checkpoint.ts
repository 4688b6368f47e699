/**
 * The whole state of a core as plain data, and a core made of it again: the same inputs at the same times then give the same effects,
 * to the last bit. The flight recorder (`../driver/recorder.ts`) begins with one, and a replay (`../sim/replay.ts`) starts from it.
 *
 * What is public in `CoreState` is taken as it is found, so that a new field needs nothing here; what a class keeps private it captures
 * itself. Values that never change once they are made (entries, configurations, the base of a log) are taken by reference, the rest is
 * copied. Called by `raft.ts` alone, which knows the core's own part.
 */

import { invariant } from './invariants.ts'
import { Log, type LogCheckpoint } from './log.ts'
import type { Mutation } from './mutations.ts'
import { Progress } from './progress.ts'
import { CoreState, type WritesCheckpoint } from './state.ts'
import type { Checksum, CoreOptions, NodeId } from './types.ts'

/** A core between two steps. Plain data: a structured clone of it is as good as itself. */
export interface StateCheckpoint {
  readonly id: NodeId
  readonly options: CoreOptions
  /** Test-only bugs, so that what they did is done again. */
  readonly mutations: readonly Mutation[]
  readonly chance: number
  readonly log: LogCheckpoint
  readonly writes: WritesCheckpoint
  /** The other fields of the state, by name. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** What is captured by name above, is the same all the time, or means something only within a step. */
const apart: ReadonlySet<string> = new Set(['id', 'options', 'checksum', 'mutations', 'prng', 'log', 'out'])

/** Marks what was a `Progress`, the one class among the values of the fields. */
interface CapturedProgress {
  readonly isProgress: true
  readonly fields: Readonly<Record<string, unknown>>
  readonly inflight: ReturnType<Progress['inflight']['capture']>
}

export function captureState(state: CoreState): StateCheckpoint {
  const fields: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(state)) if (!apart.has(name)) fields[name] = capture(value)
  const { id, options, mutations, prng, log } = state
  return {
    id,
    options: { ...options },
    mutations: [...mutations],
    chance: prng.state,
    log: log.capture(),
    writes: state.captureWrites(),
    fields
  }
}

/** @param checksum - the one that the captured core was given */
export function restoreState(checkpoint: StateCheckpoint, checksum: Checksum): CoreState {
  const { id, options, chance: seed, writes } = checkpoint
  const mutations = new Set(checkpoint.mutations)
  const log = Log.restore(checkpoint.log, mutations)
  const hardState = { term: 0, votedFor: undefined }
  const init = { id, options, checksum, seed, hardState, base: log.base, entries: [], appliedIndex: log.appliedIndex }
  const state = new CoreState(init, log, mutations)
  for (const [name, value] of Object.entries(checkpoint.fields)) {
    ;(state as unknown as Record<string, unknown>)[name] = restore(value)
  }
  state.restoreWrites(writes)
  return state
}

function capture(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(capture)
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, capture(item)]))
  if (value instanceof Progress) return captureProgress(value)
  invariant(
    Object.getPrototypeOf(value) === Object.prototype,
    () => `a value of the class ${value.constructor.name} cannot be captured`
  )
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, capture(item)]))
}

function captureProgress(progress: Progress): CapturedProgress {
  const fields = Object.fromEntries(Object.entries(progress).filter(([name]) => name !== 'inflight'))
  return { isProgress: true, fields: capture(fields) as Record<string, unknown>, inflight: progress.inflight.capture() }
}

/** What `capture` took, as new objects: a checkpoint can be restored more than once. */
function restore(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(restore)
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, restore(item)]))
  if ('isProgress' in value) return restoreProgress(value as CapturedProgress)
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, restore(item)]))
}

function restoreProgress({ fields, inflight }: CapturedProgress): Progress {
  const progress = new Progress('', 0, 0, inflight.maxMessages, inflight.maxBytes)
  Object.assign(progress, restore(fields))
  progress.inflight.restore(inflight)
  return progress
}
