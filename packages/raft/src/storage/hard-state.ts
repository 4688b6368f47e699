/**
 * Term and vote on disk: one file of two slots of 4 KiB, each with a sequence number and a CRC over all of it (T1, T53).
 *
 * Every change is written to one slot, synced, and then to the other, synced. So once a change is acknowledged it stands in
 * both, and what a reader finds is never in doubt:
 * - both sound: the one with the higher number counts; if they differ, the change was never acknowledged and either is right;
 * - one damaged: either the write of it was cut short, and then the other holds all that was acknowledged, or it rotted, and
 *   then the other is its copy. Writing a slot only every second time, as is often done, would need one sync less and would
 *   bring an older vote back when the newer slot rots;
 * - both damaged: a single crash cannot do that. The vote is lost, and the node must not vote.
 *
 * The slots also carry the mark: the last frame of the log that was durable when the slot was written (`segment-log.ts`).
 */

import type { HardState } from '../core/types.ts'
import { readU32, readU64, writeU32, writeU64 } from './bytes.ts'
import { checksum } from './checksum.ts'
import { HardStateLostError, LogUnusableError } from './errors.ts'
import { type FileSystem, type WritableFile, writeFileAtomically } from './file-system.ts'

export const HARD_STATE_FILE = 'hard-state'
const SLOT_BYTES = 4096
const MAGIC = Buffer.from('QRAFTHST')
const VERSION = 1
const CRC_AT = 8
const COVERED_FROM = 12
const VOTE_AT = 64
const NO_VOTE = 0xffff_ffff
const FLAG_CLOSED = 1
const FLAG_CHAIN_KNOWN = 2

/** Says of the log: the frame numbered `seq` was durable, and after it the log ended at `lastIndex`. `frame` is that frame's CRC. */
export interface DurableMark {
  readonly seq: number
  readonly lastIndex: number
  readonly frame: number
  /** Chain of the entry at `lastIndex`; undefined where the log did not know it, after a truncation alone. */
  readonly chain: number | undefined
  /** The log was closed after that frame: nothing followed it. */
  readonly closed: boolean
}

export const NO_MARK: DurableMark = { seq: 0, lastIndex: 0, frame: 0, chain: undefined, closed: false }

/** What one slot holds. */
export interface SlotContent {
  /** 1, 2, 3, … with each change. */
  readonly version: number
  readonly hardState: HardState
  readonly mark: DurableMark
}

export interface StoredHardState {
  readonly content: SlotContent
  /** Which slot `content` came from: 0 or 1. */
  readonly slot: number
}

/** Longest vote that fits a slot, in bytes. */
export const MAX_VOTE_BYTES = SLOT_BYTES - VOTE_AT

function encodeSlot(content: SlotContent, seed: number): Uint8Array {
  const slot = new Uint8Array(SLOT_BYTES)
  slot.set(MAGIC)
  writeU32(slot, 12, VERSION)
  writeU64(slot, 16, content.version)
  writeU64(slot, 24, content.hardState.term)
  writeU64(slot, 32, content.mark.seq)
  writeU64(slot, 40, content.mark.lastIndex)
  writeU32(slot, 48, content.mark.frame)
  writeU32(slot, 56, content.mark.chain ?? 0)
  writeU32(
    slot,
    60,
    (content.mark.closed ? FLAG_CLOSED : 0) | (content.mark.chain === undefined ? 0 : FLAG_CHAIN_KNOWN)
  )
  const { votedFor } = content.hardState
  if (votedFor === undefined) {
    writeU32(slot, 52, NO_VOTE)
  } else {
    const vote = Buffer.from(votedFor)
    if (vote.length > MAX_VOTE_BYTES)
      throw new RangeError(`A vote of ${vote.length} bytes does not fit; at most ${MAX_VOTE_BYTES}`)
    writeU32(slot, 52, vote.length)
    slot.set(vote, VOTE_AT)
  }
  writeU32(slot, CRC_AT, checksum(slot.subarray(COVERED_FROM), seed))
  return slot
}

/** @returns undefined if the slot is damaged */
function decodeSlot(slot: Uint8Array, seed: number, file: string): SlotContent | undefined {
  if (slot.length !== SLOT_BYTES || !MAGIC.equals(slot.subarray(0, MAGIC.length))) return undefined
  if (readU32(slot, CRC_AT) !== checksum(slot.subarray(COVERED_FROM), seed)) return undefined
  const version = readU32(slot, 12)
  if (version !== VERSION)
    throw new LogUnusableError(
      'unsupported-version',
      file,
      `it has version ${version}, and ${VERSION} is the newest known`
    )
  const voteBytes = readU32(slot, 52)
  if (voteBytes !== NO_VOTE && voteBytes > MAX_VOTE_BYTES) return undefined
  const votedFor =
    voteBytes === NO_VOTE ? undefined : Buffer.from(slot.subarray(VOTE_AT, VOTE_AT + voteBytes)).toString()
  const flags = readU32(slot, 60)
  return {
    version: readU64(slot, 16),
    hardState: { term: readU64(slot, 24), votedFor },
    mark: {
      seq: readU64(slot, 32),
      lastIndex: readU64(slot, 40),
      frame: readU32(slot, 48),
      chain: (flags & FLAG_CHAIN_KNOWN) === 0 ? undefined : readU32(slot, 56),
      closed: (flags & FLAG_CLOSED) !== 0
    }
  }
}

/**
 * @returns undefined if the file is not there
 * @throws {HardStateLostError} when neither slot can be read
 */
export async function readHardState(
  fileSystem: FileSystem,
  folder: string,
  seed: number
): Promise<StoredHardState | undefined> {
  const path = `${folder}/${HARD_STATE_FILE}`
  const bytes = await fileSystem.readFile(path)
  if (bytes === undefined) return undefined
  const [first, second] = [0, 1].map((n) =>
    decodeSlot(bytes.subarray(n * SLOT_BYTES, (n + 1) * SLOT_BYTES), seed, path)
  )
  if (first === undefined && second === undefined) throw new HardStateLostError(path, 'both copies are damaged')
  return second === undefined || (first !== undefined && first.version >= second.version)
    ? { content: first!, slot: 0 }
    : { content: second, slot: 1 }
}

/** The file, open for writing. */
export class HardStateFile {
  readonly #file: WritableFile
  readonly #seed: number
  #version: number
  /** The slot to overwrite first: never the only sound one. */
  #first: number

  private constructor(file: WritableFile, seed: number, version: number, first: number) {
    this.#file = file
    this.#seed = seed
    this.#version = version
    this.#first = first
  }

  /** Makes the file, holding `hardState` in both slots, durable. */
  static async create(
    fileSystem: FileSystem,
    folder: string,
    seed: number,
    hardState: HardState
  ): Promise<HardStateFile> {
    const slot = encodeSlot({ version: 1, hardState, mark: NO_MARK }, seed)
    await writeFileAtomically(fileSystem, folder, HARD_STATE_FILE, Buffer.concat([slot, slot]))
    const file = await fileSystem.open(`${folder}/${HARD_STATE_FILE}`, 'update', true)
    return new HardStateFile(file, seed, 1, 0)
  }

  /** Opens the file that `stored` was read from. Write to it before anything relies on `stored`: it may not be durable, nor stand in both slots. */
  static async open(
    fileSystem: FileSystem,
    folder: string,
    seed: number,
    stored: StoredHardState
  ): Promise<HardStateFile> {
    const file = await fileSystem.open(`${folder}/${HARD_STATE_FILE}`, 'update', true)
    return new HardStateFile(file, seed, stored.content.version, 1 - stored.slot)
  }

  /**
   * Writes a change to the first slot. When this resolves the change is durable, but not yet safe from rot: call `second`,
   * which writes the copy, before acknowledging it. One change at a time.
   */
  async write(hardState: HardState, mark: DurableMark): Promise<{ second: () => Promise<void> }> {
    this.#version += 1
    const slot = encodeSlot({ version: this.#version, hardState, mark }, this.#seed)
    const first = this.#first
    await this.#file.write([slot], first * SLOT_BYTES)
    return {
      second: async () => {
        await this.#file.write([slot], (1 - first) * SLOT_BYTES)
        this.#first = 0
      }
    }
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}
