/**
 * The bytes of one log entry, the same on disk and on the wire. Little endian:
 *
 * | at | bytes | what |
 * | --- | --- | --- |
 * | 0 | 4 | payload length |
 * | 4 | 4 | chain: CRC-32 of bytes 8 to the end, seeded with the chain of the entry before |
 * | 8 | 6 | index |
 * | 14 | 1 | kind |
 * | 15 | 1 | 0, reserved |
 * | 16 | 6 | term |
 * | 22 | 2 | 0, reserved |
 * | 24 | n | payload |
 *
 * Seeding with the chain of the entry before makes one number do two jobs: it finds damage in a record, and two logs whose
 * chains agree at an index agree at all indexes below it. It lies outside the bytes that it covers, so the payload length is
 * covered by whoever frames records: a wrong length shows as a wrong CRC.
 */

import type { Checksum, Entry, EntryKind, Index, Term } from './types.ts'

/** Bytes before the payload. */
export const RECORD_HEADER_BYTES = 24

const TWO_32 = 0x1_0000_0000

const writeU32 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

const readU32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0

const writeU48 = (bytes: Uint8Array, at: number, value: number): void => {
  writeU32(bytes, at, value)
  const high = Math.floor(value / TWO_32)
  bytes[at + 4] = high
  bytes[at + 5] = high >>> 8
}

const readU48 = (bytes: Uint8Array, at: number): number =>
  readU32(bytes, at) + (bytes[at + 4]! | (bytes[at + 5]! << 8)) * TWO_32

/**
 * Makes an entry: encodes it and computes its chain. Copies `payload`.
 *
 * @param previousChain - the chain of the entry at `index - 1`, or of the log's base
 */
export function makeEntry(
  index: Index,
  term: Term,
  kind: EntryKind,
  payload: Uint8Array,
  previousChain: number,
  checksum: Checksum
): Entry {
  const record = new Uint8Array(RECORD_HEADER_BYTES + payload.length)
  writeU32(record, 0, payload.length)
  writeU48(record, 8, index)
  record[14] = kind
  writeU48(record, 16, term)
  record.set(payload, RECORD_HEADER_BYTES)
  const chain = checksum(record.subarray(8), previousChain)
  writeU32(record, 4, chain)
  return { index, term, kind, chain, record }
}

/** Bytes of the record that begins at `at`, judging by its length field; undefined if fewer than a header's bytes are there. */
export function recordLength(bytes: Uint8Array, at: number): number | undefined {
  return bytes.length - at < RECORD_HEADER_BYTES ? undefined : RECORD_HEADER_BYTES + readU32(bytes, at)
}

/**
 * Reads the record that begins at `at`. The result shares memory with `bytes`. The chain is taken as it stands: check it with
 * {@link isIntact}. A kind that this version does not know is no damage: the log stops the node at such an entry, and says so (T59).
 *
 * @returns undefined if the bytes cannot be a record: too few, reserved bytes that are not zero
 */
export function parseRecord(bytes: Uint8Array, at: number): Entry | undefined {
  const length = recordLength(bytes, at)
  if (length === undefined || bytes.length - at < length) return undefined
  const kind = bytes[at + 14]!
  if (bytes[at + 15] !== 0 || bytes[at + 22] !== 0 || bytes[at + 23] !== 0) return undefined
  return {
    index: readU48(bytes, at + 8),
    term: readU48(bytes, at + 16),
    kind: kind as EntryKind,
    chain: readU32(bytes, at + 4),
    record: bytes.subarray(at, at + length)
  }
}

/** Whether the entry's bytes are those its chain was computed from, after an entry with `previousChain`. */
export function isIntact(entry: Entry, previousChain: number, checksum: Checksum): boolean {
  return checksum(entry.record.subarray(8), previousChain) === entry.chain
}

/** The payload, sharing memory with the record. */
export function payloadOf(entry: Entry): Uint8Array {
  return entry.record.subarray(RECORD_HEADER_BYTES)
}
