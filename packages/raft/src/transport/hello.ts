/**
 * The first frame on a stream of the raft protocol: which group the sender belongs to, who it is, and what it speaks. Two groups
 * that got into one network must not exchange a single message (T36), and a node must be who its connection says.
 */

import { CODEC_VERSION } from './codec.ts'

export interface Hello {
  /** The group; equal on all of its members, different in any other. */
  readonly clusterId: string
  readonly memberId: string
  /** Made with the data folder of the member: a wiped disk has another. */
  readonly incarnation: string
  /** What the sender's version can do at most. */
  readonly featureLevel: number
}

const MAX_FIELD_BYTES = 255

/** @throws {RangeError} when a field is longer than 255 bytes */
export function encodeHello(hello: Hello): Uint8Array {
  const fields = [hello.clusterId, hello.memberId, hello.incarnation].map((field) => Buffer.from(field))
  for (const field of fields) {
    if (field.length > MAX_FIELD_BYTES)
      throw new RangeError(`A field of the hello has ${field.length} bytes, at most ${MAX_FIELD_BYTES} are allowed`)
  }
  return Buffer.concat([
    Uint8Array.of(CODEC_VERSION, hello.featureLevel),
    ...fields.flatMap((field) => [Uint8Array.of(field.length), field])
  ])
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
  return { clusterId: fields[0]!, memberId: fields[1]!, incarnation: fields[2]!, featureLevel: bytes[1]! }
}
