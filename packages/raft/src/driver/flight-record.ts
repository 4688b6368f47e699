/**
 * A flight record as bytes: a line that says what it is, then frames, each of a length, a CRC-32 and a value in Node's serialization
 * (which later versions of Node read). Long lists go in several frames, so that making one never holds up the event loop for long.
 *
 * Written by the driver through a `FlightRecordStore`, read by `../sim/replay.ts`.
 */

import { deserialize, serialize } from 'node:v8'
import type { CoreCheckpoint } from '../core/raft.ts'
import type { Entry, Input } from '../core/types.ts'
import { checksum } from '../storage/checksum.ts'
import type { FlightGeneration, FlightRecord } from './recorder.ts'

const VERSION = 1
const FIRST_LINE = Buffer.from(`quorate flight record ${VERSION}\n`)
/** Of a record of whichever version. */
const ANY_FIRST_LINE = /^quorate flight record (\d{1,9})\n/
/** Items of one frame, at most. */
const FRAME_ITEMS = 512
const FRAME_HEADER_BYTES = 8

/** Bytes that are no flight record, or only a part of one, or one that a newer version wrote. The message says which. */
export class FlightRecordError extends Error {
  static override readonly name = 'FlightRecordError'
  override readonly name = FlightRecordError.name
}

interface Head {
  readonly reason: string
  readonly generations: number
}

interface GenerationHead {
  /** Without the entries of the log, which follow. */
  readonly checkpoint: CoreCheckpoint
  readonly startDigest: number
  readonly entryFrames: number
  readonly inputFrames: number
}

interface InputsFrame {
  readonly inputs: readonly Input[]
  readonly timesMs: readonly number[]
  readonly digests: readonly number[]
}

/** Made as they are asked for. */
export function* encodeFlightRecord({ reason, generations }: FlightRecord): Generator<Uint8Array> {
  yield FIRST_LINE
  yield frame({ reason, generations: generations.length } satisfies Head)
  for (const { checkpoint, startDigest, inputs, timesMs, digests } of generations) {
    const { entries } = checkpoint.log
    yield frame({
      checkpoint: { ...checkpoint, log: { ...checkpoint.log, entries: [] } },
      startDigest,
      entryFrames: Math.ceil(entries.length / FRAME_ITEMS),
      inputFrames: Math.ceil(inputs.length / FRAME_ITEMS)
    } satisfies GenerationHead)
    for (let at = 0; at < entries.length; at += FRAME_ITEMS) yield frame(entries.slice(at, at + FRAME_ITEMS))
    for (let at = 0; at < inputs.length; at += FRAME_ITEMS) {
      const to = at + FRAME_ITEMS
      yield frame({
        inputs: inputs.slice(at, to),
        timesMs: timesMs.slice(at, to),
        digests: digests.slice(at, to)
      } satisfies InputsFrame)
    }
  }
}

/** @throws {FlightRecordError} when the bytes are damaged, cut off, of a newer version, or something else */
export function decodeFlightRecord(bytes: Uint8Array): FlightRecord {
  const reader = new FrameReader(bytes)
  const head = reader.next<Head>()
  const generations = Array.from({ length: head.generations }, () => readGeneration(reader))
  reader.end()
  return { reason: head.reason, generations }
}

function readGeneration(reader: FrameReader): FlightGeneration {
  const { checkpoint, startDigest, entryFrames, inputFrames } = reader.next<GenerationHead>()
  const entries = Array.from({ length: entryFrames }, () => reader.next<readonly Entry[]>()).flat()
  const frames = Array.from({ length: inputFrames }, () => reader.next<InputsFrame>())
  return {
    checkpoint: { ...checkpoint, log: { ...checkpoint.log, entries } },
    startDigest,
    inputs: frames.flatMap(({ inputs }) => inputs),
    timesMs: frames.flatMap(({ timesMs }) => timesMs),
    digests: frames.flatMap(({ digests }) => digests)
  }
}

function frame(value: unknown): Uint8Array {
  const body = serialize(value)
  const header = Buffer.alloc(FRAME_HEADER_BYTES)
  header.writeUInt32LE(body.length, 0)
  header.writeUInt32LE(checksum(body, 0), 4)
  return Buffer.concat([header, body])
}

class FrameReader {
  readonly #bytes: Buffer
  #at = FIRST_LINE.length

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    if (this.#bytes.subarray(0, FIRST_LINE.length).equals(FIRST_LINE)) return
    const version = ANY_FIRST_LINE.exec(this.#bytes.toString('latin1', 0, 2 * FIRST_LINE.length))?.[1]
    throw new FlightRecordError(
      version === undefined
        ? 'This is no flight record'
        : `This is a flight record of version ${version}, and versions up to ${VERSION} are known here: use a newer Quorate`
    )
  }

  next<T>(): T {
    const body = this.#at + FRAME_HEADER_BYTES
    const length = body <= this.#bytes.length ? this.#bytes.readUInt32LE(this.#at) : 0
    const end = body + length
    if (end > this.#bytes.length) throw new FlightRecordError(`The flight record is cut off at byte ${this.#at}`)
    const content = this.#bytes.subarray(body, end)
    if (checksum(content, 0) !== this.#bytes.readUInt32LE(this.#at + 4)) {
      throw new FlightRecordError(`The flight record is damaged at byte ${this.#at}`)
    }
    try {
      const value = deserialize(content) as T
      this.#at = end
      return value
    } catch (cause) {
      // Node reads what its earlier versions wrote, and not what later ones do.
      const why = `Node ${process.version} cannot read what stands at byte ${this.#at}: a newer Node may have written it`
      throw new FlightRecordError(why, { cause })
    }
  }

  end(): void {
    if (this.#at < this.#bytes.length)
      throw new FlightRecordError(`The flight record goes on after its end, byte ${this.#at}`)
  }
}
