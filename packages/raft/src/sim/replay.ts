/**
 * Runs a flight record through the real core: the same state, the same inputs at the same times. The effects have to be those that the
 * node had, step by step; then what the node did is what happens here, and can be looked at with a debugger.
 *
 * Called by whoever looks into a halt, with the file that the node left behind (`../driver/recorder.ts`).
 */

import { readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { serialize } from 'node:v8'
import { captureCore, restoreCore } from '../core/raft.ts'
import type { Effect, Input, NodeId, RaftCore } from '../core/types.ts'
import { digestEffects } from '../driver/effect-digest.ts'
import { decodeFlightRecord } from '../driver/flight-record.ts'
import type { FlightGeneration } from '../driver/recorder.ts'
import { checksum } from '../storage/checksum.ts'
import { describeEffect, describeInput } from './describe.ts'

export interface ReplayOptions {
  /** How many of the last steps are told in words. @default 40 */
  readonly lastSteps?: number
  /** Called before each step with the core that is about to make it: the place for a breakpoint. */
  readonly onStep?: (step: number, input: Input, core: RaftCore) => void
}

export interface ReplayReport {
  readonly node: NodeId
  /** Why the record was taken. */
  readonly reason: string
  /** Inputs that were run; up to the first difference, if there is one. */
  readonly steps: number
  /** Milliseconds between the first and the last of them. */
  readonly spanMs: number
  /** The first step, from 1, after which this core differs from the one that was recorded; undefined if none does. */
  readonly differsAt: number | undefined
  /** Why the core halted, if it did. */
  readonly halted: string | undefined
  /** The last steps, oldest first: a line for the input, then one for each effect. */
  readonly transcript: readonly string[]
}

/**
 * @param file - the path of a record, or its bytes
 * @throws {FlightRecordError} when it is damaged, none, or of a newer version
 * @throws {Error} that of the file system, when the file cannot be read
 *
 * @example
 * const { differsAt, halted, transcript } = await replayFlightRecord('flight-2026-11-21T14-00-00-000Z.record')
 * console.log(transcript.join('\n'), halted ?? 'it did not halt', differsAt ?? 'as recorded')
 */
export async function replayFlightRecord(
  file: string | Uint8Array,
  { lastSteps = 40, onStep }: ReplayOptions = {}
): Promise<ReplayReport> {
  const { reason, generations } = decodeFlightRecord(typeof file === 'string' ? await readFile(file) : file)
  const [first] = generations
  const last: { readonly step: number; readonly nowMs: number; readonly input: Input; readonly effects: Effect[] }[] =
    []
  let steps = 0
  let differs = false
  let halted: string | undefined
  let core: RaftCore | undefined
  for (const generation of generations) {
    // A generation begins with the state that the one before led to; it goes on from there if that is so.
    differs ||= core !== undefined && !isSameState(core, generation)
    if (differs) break
    core ??= restoreCore(generation.checkpoint, checksum)
    let digest = generation.startDigest
    for (const [at, input] of generation.inputs.entries()) {
      steps++
      onStep?.(steps, input, core)
      const nowMs = generation.timesMs[at]!
      const effects: Effect[] = []
      core.step(input, nowMs, effects)
      last.push({ step: steps, nowMs, input, effects })
      if (last.length > lastSteps) last.shift()
      for (const effect of effects) if (effect.type === 'halt') halted = effect.reason
      digest = digestEffects(digest, effects, 0)
      differs = digest !== generation.digests[at]
      if (differs) break
    }
  }
  const times = generations.flatMap(({ timesMs }) => timesMs)
  return {
    node: first?.checkpoint.id ?? '',
    reason,
    steps,
    spanMs: (times[steps - 1] ?? 0) - (times[0] ?? 0),
    differsAt: differs ? steps : undefined,
    halted,
    transcript: last.flatMap(({ step, nowMs, input, effects }) => [
      `${step} at ${nowMs.toFixed(3)}: ${describeInput(input)}`,
      ...effects.map((effect) => `    ${describeEffect(effect)}`)
    ])
  }
}

/** By value, through bytes, since what is equal may be several objects in one and one in the other. */
function isSameState(core: RaftCore, { checkpoint }: FlightGeneration): boolean {
  const plain = (value: unknown): unknown => structuredClone(value)
  const own = plain(captureCore(core))
  const recorded = plain(checkpoint)
  return serialize(own).equals(serialize(recorded)) || isDeepStrictEqual(own, recorded)
}
