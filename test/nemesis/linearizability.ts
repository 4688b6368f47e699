/**
 * Whether a recorded history of one register can be explained by operations that each took effect at one moment between its request and
 * its answer. Called by `run.ts` for each pin of a run; knows nothing of faults, processes or HTTP.
 *
 * The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993) with Lowe's order of work ("Testing for
 * linearizability", 2017): events are taken in the order in which they happened, the set of all states that explain the past is carried
 * along, and an operation is given its moment only when an answer demands one. Equal states are kept once. What makes it fast with
 * operations that were never answered is in {@link settleUnanswered}.
 */

/** What an operation did, as its client saw it. `undefined` as a value: there is no pin. */
export type Action =
  | { readonly kind: 'write'; readonly value: string }
  | { readonly kind: 'read'; readonly value: string | undefined }
  /**
   * `removed` is what the answer says was there. An answer of "not found" has `undefined`, and says only that nothing was there afterwards: the peer
   * that was asked tries again after a loss, and may find that an earlier try of its own has done the work.
   */
  | { readonly kind: 'delete'; readonly removed: string | undefined }

export interface Operation {
  readonly id: number
  readonly action: Action
  /** Position of the request in the order of all requests and answers; unique. */
  readonly invokedAt: number
  /** Position of the answer; undefined when none came, or one that leaves open what happened. */
  readonly returnedAt: number | undefined
}

export type Verdict =
  | { readonly linearizable: true }
  /** `operation` is the first whose answer nothing explains; `possible` are the values that were possible right before it. */
  | { readonly linearizable: false; readonly operation: Operation; readonly possible: readonly (string | undefined)[] }

export interface CheckOptions {
  /** Lets a write or delete take effect several times between request and answer, as if a retry had doubled it. @default false */
  readonly repeats?: boolean
}

/** An operation as the search sees it: `returnedAt` may be bounded by the first answer that shows its effect. */
interface Step extends Operation {
  /** Bit of the operation among those that are open. */
  bit: number
}

interface State {
  readonly value: string | undefined
  /** Bits of the open operations that have had their moment. */
  readonly done: bigint
  /** How many of the unanswered deletes were needed so far; the oldest are taken first. */
  readonly deletes: number
}

/**
 * Judges the history of one register, which begins without a pin.
 *
 * @param operations - in any order; values that are written are unique, and reads without an answer are left out
 * @throws {RangeError} when two writes have one value, or a read has no answer
 */
export function checkRegister(operations: readonly Operation[], options: CheckOptions = {}): Verdict {
  const repeats = options.repeats ?? false
  const { steps, freeDeletes, freeWrites } = settleUnanswered(operations, repeats)
  const events = eventsOf(steps, freeDeletes, freeWrites)
  const open = new Map<number, Step>()
  const freeBits: number[] = []
  let nextBit = 0
  let deletesSoFar = 0
  const lateValues: string[] = []
  let states: State[] = [{ value: undefined, done: 0n, deletes: 0 }]
  for (const { type, step } of events) {
    if (type === 'free-delete') deletesSoFar++
    else if (type === 'free-write') lateValues.push(valueWritten(step))
    else if (type === 'invoke') {
      step.bit = freeBits.pop() ?? nextBit++
      open.set(step.id, step)
    } else {
      const reached = explore(states, { open: [...open.values()], deletesSoFar, lateValues, repeats })
      const bit = 1n << BigInt(step.bit)
      const kept = reached.filter((state) => (state.done & bit) !== 0n)
      if (kept.length === 0) {
        const possible = [...new Set(reached.map((state) => state.value))]
        return { linearizable: false, operation: step, possible }
      }
      open.delete(step.id)
      freeBits.push(step.bit)
      states = leastOf(kept.map((state) => ({ ...state, done: state.done & ~bit })))
    }
  }
  return { linearizable: true }
}

type Event = {
  readonly at: number
  readonly type: 'invoke' | 'return' | 'free-delete' | 'free-write'
  readonly step: Step
}

function eventsOf(steps: readonly Step[], freeDeletes: readonly Step[], freeWrites: readonly Step[]): Event[] {
  const events: Event[] = [
    ...freeDeletes.map((step): Event => ({ at: step.invokedAt, type: 'free-delete', step })),
    ...freeWrites.map((step): Event => ({ at: step.invokedAt, type: 'free-write', step }))
  ]
  for (const step of steps) {
    events.push({ at: step.invokedAt, type: 'invoke', step })
    events.push({ at: step.returnedAt!, type: 'return', step })
  }
  // At the same position an observed write returns after its observer; either order would do, since who observes it comes after it.
  return events.sort((a, b) => a.at - b.at || Number(a.type === 'return') - Number(b.type === 'return'))
}

/**
 * What is left to search of operations without an answer, each of which may have happened at any time since, or never:
 *
 * - A write whose value nobody ever saw is dropped. In any explanation that has it, all up to the next write or delete can only be deletes
 *   without an answer; without it the same explanation stands.
 * - A write whose value was seen must have happened before the first such answer, so that is when it ends. With `repeats` it has no end.
 * - Deletes are alike, and none has an end: an explanation that needs `n` of them can as well use the `n` oldest.
 */
function settleUnanswered(
  operations: readonly Operation[],
  repeats: boolean
): { steps: Step[]; freeDeletes: Step[]; freeWrites: Step[] } {
  const firstSeen = new Map<string, number>()
  const written = new Set<string>()
  for (const { action, returnedAt } of operations) {
    if (action.kind === 'write') {
      if (written.has(action.value)) throw new RangeError(`Two writes have the value ${action.value}`)
      written.add(action.value)
      continue
    }
    const value = action.kind === 'read' ? action.value : action.removed
    if (value === undefined || returnedAt === undefined) continue
    firstSeen.set(value, Math.min(returnedAt, firstSeen.get(value) ?? returnedAt))
  }
  const steps: Step[] = []
  const freeDeletes: Step[] = []
  const freeWrites: Step[] = []
  for (const operation of operations) {
    const { action, returnedAt } = operation
    const step: Step = { ...operation, bit: -1 }
    if (returnedAt !== undefined) steps.push(step)
    else if (action.kind === 'read') throw new RangeError(`Read ${operation.id} has no answer`)
    else if (action.kind === 'delete') freeDeletes.push(step)
    else {
      const seen = firstSeen.get(action.value)
      if (seen === undefined) continue
      if (repeats) freeWrites.push(step)
      // One that was seen before it was asked for is left to the reader's answer, which then has no explanation.
      else if (seen > step.invokedAt) steps.push({ ...step, returnedAt: seen })
    }
  }
  return { steps, freeDeletes, freeWrites }
}

interface Choices {
  readonly open: readonly Step[]
  readonly deletesSoFar: number
  readonly lateValues: readonly string[]
  readonly repeats: boolean
}

/** Every state that can be reached from `states` by giving open operations their moment, `states` included. */
function explore(states: readonly State[], choices: Choices): State[] {
  const fewest = new Map<string, State>()
  const pending: State[] = []
  const reach = (state: State): void => {
    const key = keyOf(state)
    const known = fewest.get(key)
    if (known !== undefined && known.deletes <= state.deletes) return
    fewest.set(key, state)
    pending.push(state)
  }
  for (const state of states) reach(state)
  for (let state = pending.pop(); state !== undefined; state = pending.pop()) {
    if (fewest.get(keyOf(state)) !== state) continue
    for (const next of successors(state, choices)) reach(next)
  }
  return [...fewest.values()]
}

function* successors(state: State, { open, deletesSoFar, lateValues, repeats }: Choices): Generator<State> {
  for (const { bit, action } of open) {
    const mask = 1n << BigInt(bit)
    const first = (state.done & mask) === 0n
    if (!first && (!repeats || action.kind === 'read')) continue
    const done = state.done | mask
    if (action.kind === 'write') yield { ...state, value: action.value, done }
    else if (action.kind === 'read') {
      if (state.value === action.value) yield { ...state, done }
    } else {
      // A try that went before the one that was answered may have removed anything.
      if (repeats) yield { ...state, value: undefined }
      if (first && (action.removed === undefined || action.removed === state.value)) {
        yield { ...state, value: undefined, done }
      }
    }
  }
  for (const value of lateValues) yield { ...state, value }
  if (state.value !== undefined && (repeats ? deletesSoFar > 0 : state.deletes < deletesSoFar)) {
    yield { ...state, value: undefined, deletes: repeats ? 0 : state.deletes + 1 }
  }
}

/** Of states that differ in the deletes they needed, the one that needed fewest: it can do whatever the others can. */
function leastOf(states: readonly State[]): State[] {
  const fewest = new Map<string, State>()
  for (const state of states) {
    const key = keyOf(state)
    const known = fewest.get(key)
    if (known === undefined || state.deletes < known.deletes) fewest.set(key, state)
  }
  return [...fewest.values()]
}

const keyOf = ({ value, done }: State): string => `${done.toString(36)} ${value === undefined ? '' : `=${value}`}`

const valueWritten = ({ action }: Step): string => (action.kind === 'write' ? action.value : '')
