/**
 * The first frame on a stream of the raft protocol: which group the sender belongs to, who it is, what it speaks, and how much its disk
 * held when it started. Two groups that got into one network must not exchange a single message (T36), a node must be who its
 * connection says, and one whose disk was put back to an older copy must be known by that (T35; `peers-seen.ts`).
 *
 * Bytes: version, feature level; three fields, each a length byte and UTF-8; then the life, of fixed length: boot (6 bytes, big endian),
 * boot id (8), term (6), last index (6).
 */

import type { Index, Term } from '../core/types.ts'
import { CODEC_VERSION } from './codec.ts'

/** One start of a node, and what was on its disk then. */
export interface Life {
  /** Counts the starts of this folder, from 1; on disk before any peer hears of it. Below 2^48. */
  readonly boot: number
  /** Random, made at this start: 16 hex digits. Tells two starts apart that count the same. */
  readonly bootId: string
  /** The term on disk at the start. */
  readonly term: Term
  /** The last entry on disk at the start; undefined: the log is damaged, and what of it is sound is for its repair to tell. */
  readonly lastIndex: Index | undefined
}

export interface Hello {
  /** The group; equal on all of its members, different in any other. */
  readonly clusterId: string
  /** The sender's name in the configuration (`node-name.ts`). */
  readonly memberId: string
  /** Made with the data folder of the member: a wiped disk has another. */
  readonly incarnation: string
  /** What the sender's version can do at most. */
  readonly featureLevel: number
  /** Undefined: the sender keeps no count of its starts. */
  readonly life: Life | undefined
}

const MAX_FIELD_BYTES = 255
const BOOT_ID_BYTES = 8
const LIFE_BYTES = 6 + BOOT_ID_BYTES + 6 + 6
/** In the place of a last index that cannot be told. No log gets there. */
const NO_INDEX = 2 ** 48 - 1

/** @throws {RangeError} when a field is longer than 255 bytes, or a number is not below 2^48 */
export function encodeHello(hello: Hello): Uint8Array {
  const fields = [hello.clusterId, hello.memberId, hello.incarnation].map((field) => Buffer.from(field))
  for (const field of fields) {
    if (field.length > MAX_FIELD_BYTES)
      throw new RangeError(`A field of the hello has ${field.length} bytes, at most ${MAX_FIELD_BYTES} are allowed`)
  }
  return Buffer.concat([
    Uint8Array.of(CODEC_VERSION, hello.featureLevel),
    ...fields.flatMap((field) => [Uint8Array.of(field.length), field]),
    ...(hello.life === undefined ? [] : [encodeLife(hello.life)])
  ])
}

function encodeLife({ boot, bootId, term, lastIndex }: Life): Uint8Array {
  const bytes = Buffer.alloc(LIFE_BYTES)
  bytes.writeUIntBE(boot, 0, 6)
  if (bytes.write(bootId, 6, 'hex') !== BOOT_ID_BYTES || bootId.length !== 2 * BOOT_ID_BYTES) {
    throw new RangeError(`${JSON.stringify(bootId)} is not a boot id of ${2 * BOOT_ID_BYTES} hex digits`)
  }
  bytes.writeUIntBE(term, 6 + BOOT_ID_BYTES, 6)
  bytes.writeUIntBE(lastIndex ?? NO_INDEX, 12 + BOOT_ID_BYTES, 6)
  return bytes
}

/** @returns why the bytes are not a hello that this version understands, in words for the sender's operator */
export function decodeHello(bytes: Uint8Array): Hello | string {
  if (bytes.length < 2) return 'the hello is cut short'
  if (bytes[0] !== CODEC_VERSION)
    return `it speaks version ${bytes[0]} of the raft protocol, and this peer speaks version ${CODEC_VERSION}`
  const fields: string[] = []
  let at = 2
  for (let i = 0; i < 3; i++) {
    const end = at + 1 + (bytes[at] ?? 0)
    if (at >= bytes.length || end > bytes.length) return 'the hello is cut short'
    fields.push(Buffer.from(bytes.subarray(at + 1, end)).toString())
    at = end
  }
  const rest = bytes.subarray(at)
  // What a later version adds behind it is passed over.
  if (rest.length > 0 && rest.length < LIFE_BYTES) return 'the hello is cut short'
  return {
    clusterId: fields[0]!,
    memberId: fields[1]!,
    incarnation: fields[2]!,
    featureLevel: bytes[1]!,
    life: rest.length === 0 ? undefined : decodeLife(rest)
  }
}

function decodeLife(bytes: Uint8Array): Life {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, LIFE_BYTES)
  const lastIndex = view.readUIntBE(12 + BOOT_ID_BYTES, 6)
  return {
    boot: view.readUIntBE(0, 6),
    bootId: view.toString('hex', 6, 6 + BOOT_ID_BYTES),
    term: view.readUIntBE(6 + BOOT_ID_BYTES, 6),
    lastIndex: lastIndex === NO_INDEX ? undefined : lastIndex
  }
}
