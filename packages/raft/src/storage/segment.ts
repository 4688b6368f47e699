/**
 * The bytes of a segment file, and how they are read back. A segment is a header and frames back to back; a frame is what one
 * group commit wrote: a small header, then the entries in the format of `core/record.ts`, unchanged. Little endian.
 *
 * Segment header, 64 bytes: magic (8), CRC of bytes 12 to the end seeded with the node's context (4), version (4), number of
 * the segment (8), index, term and chain of the last entry before it (8, 8, 4), nonce (4), last frame number before it (8),
 * bytes of the segment before it (8).
 *
 * Frame header, 40 bytes: magic (4), CRC of bytes 8 to the end seeded with the CRC of the segment header (4), frame number (8),
 * the index after which the log was cut (8), number of entries (4), bytes of entries (4), chain of the last entry (4), zero (4).
 *
 * "Cut after" says in one write what to drop and what to append: a frame whose entries begin at or below the end of the log
 * replaces what stood there, so truncation and append cannot be torn apart (T17).
 *
 * The CRC of a frame covers its header only; the entries are covered by their own chain, and their lengths by having to end
 * where the header says. The nonce keeps frames of an older file, and anything that a client might put into a payload, from
 * passing as a frame of this one.
 */

import { isIntact, parseRecord, RECORD_HEADER_BYTES, recordLength } from '../core/record.ts'
import type { Entry, Index, Term } from '../core/types.ts'
import { readU32, readU64, writeU32, writeU64 } from './bytes.ts'
import { checksum } from './checksum.ts'

export const SEGMENT_HEADER_BYTES = 64
export const FRAME_HEADER_BYTES = 40
export const SEGMENT_VERSION = 1
const SEGMENT_MAGIC = Buffer.from('QRAFTSEG')
const FRAME_MAGIC = Buffer.from('QRF1')

export interface SegmentHeader {
  /** 1, 2, 3, … in the order of creation. */
  readonly number: number
  readonly previousIndex: Index
  readonly previousTerm: Term
  readonly previousChain: number
  readonly nonce: number
  readonly previousSeq: number
  /** Length of the segment before, complete: a shorter file has lost something. 0 if there is none. */
  readonly previousBytes: number
}

export interface FrameHeader {
  readonly seq: number
  /** Entries above this index were dropped, and this frame's entries follow it. */
  readonly cutAfter: Index
  readonly count: number
  readonly bodyBytes: number
  /** Chain of the frame's last entry; 0 without entries. */
  readonly lastChain: number
}

export const segmentName = (number: number, firstIndex: Index): string =>
  `log-${String(number).padStart(10, '0')}-${String(firstIndex).padStart(15, '0')}.seg`

/** @returns the segment's number, or undefined if the file is no segment */
export function segmentNumber(name: string): number | undefined {
  const match = /^log-(\d{10})-\d{15}\.seg$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

export function encodeSegmentHeader(header: SegmentHeader, seed: number): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES)
  bytes.set(SEGMENT_MAGIC)
  writeU32(bytes, 12, SEGMENT_VERSION)
  writeU64(bytes, 16, header.number)
  writeU64(bytes, 24, header.previousIndex)
  writeU64(bytes, 32, header.previousTerm)
  writeU32(bytes, 40, header.previousChain)
  writeU32(bytes, 44, header.nonce)
  writeU64(bytes, 48, header.previousSeq)
  writeU64(bytes, 56, header.previousBytes)
  writeU32(bytes, 8, checksum(bytes.subarray(12), seed))
  return bytes
}

/** @returns undefined if the header is damaged; `'newer'` if it is sound and of a version not known here */
export function decodeSegmentHeader(bytes: Uint8Array, seed: number): SegmentHeader | 'newer' | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES || !SEGMENT_MAGIC.equals(bytes.subarray(0, 8))) return undefined
  if (readU32(bytes, 8) !== checksum(bytes.subarray(12, SEGMENT_HEADER_BYTES), seed)) return undefined
  if (readU32(bytes, 12) !== SEGMENT_VERSION) return 'newer'
  return {
    number: readU64(bytes, 16),
    previousIndex: readU64(bytes, 24),
    previousTerm: readU64(bytes, 32),
    previousChain: readU32(bytes, 40),
    nonce: readU32(bytes, 44),
    previousSeq: readU64(bytes, 48),
    previousBytes: readU64(bytes, 56)
  }
}

/** The CRC that seeds those of the frames: the segment's own. */
export const frameSeedOf = (segment: Uint8Array): number => readU32(segment, 8)

export function encodeFrameHeader(frame: FrameHeader, frameSeed: number): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES)
  bytes.set(FRAME_MAGIC)
  writeU64(bytes, 8, frame.seq)
  writeU64(bytes, 16, frame.cutAfter)
  writeU32(bytes, 24, frame.count)
  writeU32(bytes, 28, frame.bodyBytes)
  writeU32(bytes, 32, frame.lastChain)
  writeU32(bytes, 4, checksum(bytes.subarray(8), frameSeed))
  return bytes
}

/** The CRC of an encoded frame header, which names the frame in a durable mark. */
export const frameCrcOf = (frame: Uint8Array): number => readU32(frame, 4)

/** The index after which the sound frame at `at` cuts the log. */
export const frameCutOf = (segment: Uint8Array, at: number): Index => readU64(segment, at + 16)

/** @returns undefined if no sound header begins at `at` */
export function decodeFrameHeader(segment: Uint8Array, at: number, frameSeed: number): FrameHeader | undefined {
  const bytes = segment.subarray(at, at + FRAME_HEADER_BYTES)
  if (bytes.length < FRAME_HEADER_BYTES || !FRAME_MAGIC.equals(bytes.subarray(0, 4))) return undefined
  if (readU32(bytes, 4) !== checksum(bytes.subarray(8), frameSeed)) return undefined
  return {
    seq: readU64(bytes, 8),
    cutAfter: readU64(bytes, 16),
    count: readU32(bytes, 24),
    bodyBytes: readU32(bytes, 28),
    lastChain: readU32(bytes, 32)
  }
}

/** The log as far as it has been read: what follows `startIndex`, up to the frame numbered `seq`. Changed by `replayFrame`. */
export interface Replay {
  readonly startIndex: Index
  readonly startTerm: Term
  readonly startChain: number
  readonly entries: Entry[]
  seq: number
  /** CRC of the frame numbered `seq`; 0 if it was not read. */
  frame: number
}

export const lastIndexOf = (replay: Replay): Index => replay.startIndex + replay.entries.length

export interface FrameDamage {
  readonly fromIndex: Index
  readonly detail: string
}

/**
 * Reads the frame at `at` and carries it out on `replay`, all or nothing.
 *
 * @returns the offset after it, or what is wrong with it
 */
export function replayFrame(segment: Uint8Array, at: number, frameSeed: number, replay: Replay): number | FrameDamage {
  const lastIndex = lastIndexOf(replay)
  const frame = decodeFrameHeader(segment, at, frameSeed)
  if (frame === undefined) return { fromIndex: lastIndex + 1, detail: 'the header of a commit is damaged' }
  const damage = (detail: string): FrameDamage => ({ fromIndex: Math.min(frame.cutAfter, lastIndex) + 1, detail })
  if (frame.seq !== replay.seq + 1)
    return damage(`commit ${replay.seq + 1} is missing; ${frame.seq} stands in its place`)
  // Not NaN either.
  if (!(frame.cutAfter >= replay.startIndex && frame.cutAfter <= lastIndex)) {
    return damage(`commit ${frame.seq} continues at index ${frame.cutAfter} a log that ends at ${lastIndex}`)
  }
  const end = at + FRAME_HEADER_BYTES + frame.bodyBytes
  if (end > segment.length) return damage(`commit ${frame.seq} is cut short by ${end - segment.length} bytes`)

  const kept = frame.cutAfter - replay.startIndex
  let chain = kept === 0 ? replay.startChain : replay.entries[kept - 1]!.chain
  let term = kept === 0 ? replay.startTerm : replay.entries[kept - 1]!.term
  const read: Entry[] = []
  let offset = at + FRAME_HEADER_BYTES
  for (let n = 0; n < frame.count; n++) {
    const index = frame.cutAfter + 1 + n
    const length = recordLength(segment, offset)
    const entry = length === undefined || offset + length > end ? undefined : parseRecord(segment, offset)
    if (entry === undefined || !isIntact(entry, chain, checksum))
      return damage(`the entry at index ${index} is damaged`)
    if (entry.index !== index || entry.term < term)
      return damage(`an entry of index ${entry.index} and term ${entry.term} stands at ${index}`)
    read.push(entry)
    chain = entry.chain
    term = entry.term
    offset += entry.record.length
  }
  if (offset !== end || (frame.count > 0 && chain !== frame.lastChain))
    return damage(`the entries of commit ${frame.seq} are not those it was made of`)

  replay.entries.length = kept
  for (const entry of read) replay.entries.push(entry)
  replay.seq = frame.seq
  replay.frame = readU32(segment, at + 4)
  return end
}

/** Where the next sound frame header begins, at or after `from`. */
export function findFrame(segment: Uint8Array, from: number, frameSeed: number): number | undefined {
  const bytes = Buffer.from(segment.buffer, segment.byteOffset, segment.length)
  for (let at = bytes.indexOf(FRAME_MAGIC, from); at >= 0; at = bytes.indexOf(FRAME_MAGIC, at + 1)) {
    if (decodeFrameHeader(segment, at, frameSeed) !== undefined) return at
  }
  return undefined
}

/**
 * Whether a sound frame numbered above `seq` begins anywhere at or after `from`. Commits follow one another only once the
 * earlier is durable, so such a frame proves that what comes before it once was whole.
 */
export function hasLaterFrame(segment: Uint8Array, from: number, frameSeed: number, seq: number): boolean {
  for (let at = findFrame(segment, from, frameSeed); at !== undefined; at = findFrame(segment, at + 1, frameSeed)) {
    if (decodeFrameHeader(segment, at, frameSeed)!.seq > seq) return true
  }
  return false
}

const SECTOR_BYTES = 512

/**
 * Whether a write of the bytes from `at` to `end`, at the end of a file that was never written there before, may have been cut short. Then
 * some of its sectors never came: they are beyond the end of the file, or zero. Bytes that are all there, and wrong, have rotted.
 */
export function mayBeTorn(segment: Uint8Array, at: number, end: number): boolean {
  if (end > segment.length || at >= segment.length) return true
  for (let from = at; from < end; ) {
    const to = Math.min(end, from - (from % SECTOR_BYTES) + SECTOR_BYTES)
    if (segment.subarray(from, to).every((byte) => byte === 0)) return true
    from = to
  }
  return false
}

/** Where the frame at `at` ends by its header; if that cannot be read, the end of the file, and past it if the file has not even room for a header. */
export function frameEndOf(segment: Uint8Array, at: number, frameSeed: number): number {
  const frame = decodeFrameHeader(segment, at, frameSeed)
  return frame === undefined
    ? Math.max(segment.length, at + FRAME_HEADER_BYTES)
    : at + FRAME_HEADER_BYTES + frame.bodyBytes
}

const COALESCE_BYTES = 64 * 1024

/**
 * The buffers of one write: small records are copied together, since a kernel call takes at most 1,024 buffers, and each
 * costs more than copying a few hundred bytes; large ones go as they are.
 */
export function gather(headers: readonly Uint8Array[], entries: readonly Entry[]): Uint8Array[] {
  const buffers: Uint8Array[] = []
  let run: Uint8Array[] = [...headers]
  const flush = (): void => {
    if (run.length > 0) buffers.push(run.length === 1 ? run[0]! : Buffer.concat(run))
    run = []
  }
  for (const { record } of entries) {
    if (record.length < COALESCE_BYTES) {
      run.push(record)
    } else {
      flush()
      buffers.push(record)
    }
  }
  flush()
  return buffers
}

/** Bytes that `entries` take on disk. */
export const bodyBytesOf = (entries: readonly Entry[]): number =>
  entries.reduce((sum, entry) => sum + entry.record.length, 0)

/** Smallest length of a frame with one entry; a segment must hold at least one. */
export const MIN_FRAME_BYTES = FRAME_HEADER_BYTES + RECORD_HEADER_BYTES

/** `entries` in commits that fit a segment each; at least one entry in each. */
export function* framesOf(entries: readonly Entry[], segmentBytes: number): Generator<readonly Entry[]> {
  for (let from = 0; from < entries.length; ) {
    let to = from
    let bytes = 0
    while (to < entries.length && (to === from || bytes + entries[to]!.record.length <= segmentBytes)) {
      bytes += entries[to]!.record.length
      to++
    }
    yield entries.slice(from, to)
    from = to
  }
}
