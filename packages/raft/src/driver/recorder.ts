/**
 * The flight recorder: keeps what the core was told in the last while, so that what led to a halt can be run again, step by step, in a
 * debugger (`../sim/replay.ts`). The core is deterministic: its state at one moment, and all inputs with their times since, are the
 * whole story.
 *
 * The past is kept in two generations, each a checkpoint of the core's state and the inputs that followed. When the newer one is full,
 * or old, the older one is given up and a third begins, so that there is always a checkpoint some way back. Inputs and entries are
 * kept by reference: that costs no copies, and holds them in memory a little longer. Used by `driver.ts`.
 */

import { membersOf } from '../core/members.ts'
import { type CoreCheckpoint, captureCore } from '../core/raft.ts'
import type { Effect, Input, RaftCore } from '../core/types.ts'
import { digestEffects } from './effect-digest.ts'
import { InputTape } from './input-tape.ts'

/** A generation ends with whichever comes first. The numbers are about 50,000 inputs, and 4 MiB. */
const MAX_SPAN_MS = 30_000
const MAX_NUMBERS = 512 * 1024
const MAX_BYTES = 8 * 1024 * 1024
/** What an entry or a payload takes in memory besides its bytes, as measured: of small ones it is the most. A name takes less. */
const ITEM_BYTES = 512

/** A checkpoint, and what the core was told from there on. */
export interface FlightGeneration {
  readonly checkpoint: CoreCheckpoint
  /** The digest of all effects before. */
  readonly startDigest: number
  readonly inputs: readonly Input[]
  /** When each came; as long as `inputs`. Milliseconds of the node's clock. */
  readonly timesMs: readonly number[]
  /** The digest of all effects up to and with those of each; as long as `inputs`. */
  readonly digests: readonly number[]
}

/** What is known of a node's recent past. */
export interface FlightRecord {
  /** Why it was taken. */
  readonly reason: string
  /** Oldest first, each going on where the one before ends; at least one. */
  readonly generations: readonly FlightGeneration[]
}

interface Recording {
  readonly checkpoint: CoreCheckpoint
  readonly startDigest: number
  readonly tape: InputTape
}

export interface FlightLimits {
  readonly spanMs: number
  /** Of the tape (`input-tape.ts`): 3 to 12 for an input. */
  readonly numbers: number
  /** Of payloads, entries and names in memory, with what each takes besides its bytes. */
  readonly bytes: number
}

export class FlightRecorder {
  readonly #core: RaftCore
  readonly #limits: FlightLimits
  #older: Recording | undefined
  /** Undefined for a core that cannot be captured: then nothing is recorded. */
  #newer: Recording | undefined
  /** That the payloads, entries and names in the inputs of `#newer` take in memory. */
  #bytes = 0
  #sinceMs: number
  #digest = 0
  /** The core has halted: it takes no notice of what it is told. */
  #over = false

  /** @param limits - of one generation */
  constructor(
    core: RaftCore,
    nowMs: number,
    limits: FlightLimits = { spanMs: MAX_SPAN_MS, numbers: MAX_NUMBERS, bytes: MAX_BYTES }
  ) {
    this.#core = core
    this.#limits = limits
    this.#sinceMs = nowMs
    this.#begin()
  }

  /** Notes a step that the core has just made: its effects are those from `from` on. */
  note(input: Input, nowMs: number, effects: readonly Effect[], from: number): void {
    const current = this.#newer
    if (current === undefined || this.#over) return
    this.#over = effects.length > from && effects[effects.length - 1]!.type === 'halt'
    this.#digest = digestEffects(this.#digest, effects, from)
    current.tape.add(input, nowMs, this.#digest, effects, from)
    this.#bytes += bytesOf(input)
    const { spanMs, bytes } = this.#limits
    if (!current.tape.full && this.#bytes < bytes && nowMs - this.#sinceMs < spanMs) return
    this.#sinceMs = nowMs
    this.#begin()
  }

  /** What is known so far; undefined if nothing is recorded. Does not change with what is noted later. */
  record(reason: string): FlightRecord | undefined {
    const generations = [this.#older, this.#newer].filter((generation) => generation !== undefined)
    if (generations.length === 0) return undefined
    return {
      reason,
      generations: generations.map(({ tape, ...start }) => ({ ...start, ...tape.read() }))
    }
  }

  #begin(): void {
    const checkpoint = captureCore(this.#core)
    if (checkpoint === undefined) return
    // The tape that is given up is used again: its memory is all there.
    const tape = this.#older?.tape ?? new InputTape(this.#limits.numbers)
    tape.clear()
    this.#older = this.#newer
    this.#newer = { checkpoint, startDigest: this.#digest, tape }
    this.#bytes = 0
  }
}

/** Of what can be large in an input. */
function bytesOf(input: Input): number {
  let bytes = 0
  if (input.type === 'propose') for (const payload of input.payloads) bytes += ITEM_BYTES + payload.length
  if (input.type !== 'receive') return bytes
  const { message } = input
  if (message.type === 'append-entries-request') {
    for (const { record } of message.entries) bytes += ITEM_BYTES + record.length
  } else if (message.type === 'install-snapshot-request') {
    for (const name of membersOf(message.base.config)) bytes += ITEM_BYTES + name.length
  }
  return bytes
}
