/**
 * The frames of the call protocol, as bytes. Little endian; every frame begins with its type (1 byte) and the call's id (4 bytes,
 * of the caller's choice, unique on its stream). Used by both ends (`rpc-client.ts`, `rpc-server.ts`); pure.
 *
 * | type | from | then |
 * | --- | --- | --- |
 * | REQUEST | caller | credit (4), length of the method's name (1), the name, the request |
 * | CREDIT | caller | bytes (4) that the answer may be longer |
 * | CANCEL | caller | |
 * | RESPONSE | server | the whole answer; the call is over |
 * | ITEM | server | one item of an answer that comes in pieces; costs credit (`itemCost`) |
 * | END | server | the call is over |
 * | FAILURE | server | refused or failed (1), then name, code and message, each with its length (2); the call is over |
 */

export const RpcFrame = { request: 1, credit: 2, cancel: 3, response: 4, item: 5, end: 6, failure: 7 } as const

/** Longest name, code or message of an error that is sent. */
const MAX_TEXT_BYTES = 4096

/** The largest frame there can be: a request with the longest method name, or a failure with the longest texts. */
export const maxRpcFrameBytes = (maxMessageBytes: number): number =>
  Math.max(1 + 4 + 4 + 1 + 255 + maxMessageBytes, 1 + 4 + 1 + 3 * (2 + MAX_TEXT_BYTES))

export interface RpcFailure {
  /** The call was not carried out, as opposed to: it was, and failed. */
  readonly refused: boolean
  readonly name: string
  readonly code: string
  readonly message: string
}

export interface RpcRequest {
  readonly credit: number
  readonly method: string
  readonly payload: Uint8Array
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** The start of a frame: what goes before a payload. */
export function frameHead(type: number, id: number): Uint8Array {
  const head = Buffer.allocUnsafe(5)
  head[0] = type
  head.writeUInt32LE(id, 1)
  return head
}

export function creditFrame(id: number, bytes: number): Uint8Array {
  const frame = Buffer.allocUnsafe(9)
  frame[0] = RpcFrame.credit
  frame.writeUInt32LE(id, 1)
  frame.writeUInt32LE(bytes, 5)
  return frame
}

/** What goes before the payload of a request. @throws {RangeError} when the method's name is longer than 255 bytes */
export function requestHead(id: number, credit: number, method: string): Uint8Array {
  const name = encoder.encode(method)
  if (name.length > 255) throw new RangeError(`The name of a method has at most 255 bytes, this has ${name.length}`)
  const head = Buffer.allocUnsafe(10 + name.length)
  head[0] = RpcFrame.request
  head.writeUInt32LE(id, 1)
  head.writeUInt32LE(credit, 5)
  head[9] = name.length
  head.set(name, 10)
  return head
}

export function failureFrame(id: number, failure: RpcFailure): Uint8Array {
  const texts = [failure.name, failure.code, failure.message].map((text) =>
    encoder.encode(text).subarray(0, MAX_TEXT_BYTES)
  )
  const frame = Buffer.allocUnsafe(texts.reduce((bytes, text) => bytes + 2 + text.length, 6))
  frame[0] = RpcFrame.failure
  frame.writeUInt32LE(id, 1)
  frame[5] = failure.refused ? 1 : 0
  let at = 6
  for (const text of texts) {
    at = frame.writeUInt16LE(text.length, at)
    frame.set(text, at)
    at += text.length
  }
  return frame
}

/** Type and id of a frame; undefined if it is too short. */
export function readHead(frame: Uint8Array): { type: number; id: number } | undefined {
  if (frame.length < 5) return undefined
  return { type: frame[0]!, id: readU32(frame, 1) }
}

/** What an item costs besides its bytes, so that items without any cannot fill the memory of either end. */
const ITEM_OVERHEAD_BYTES = 64

/** What an item takes of the credit; both ends count alike. */
export const itemCost = (payload: Uint8Array): number => payload.length + ITEM_OVERHEAD_BYTES

/** The bytes after type and id. */
export const payloadOfFrame = (frame: Uint8Array): Uint8Array => frame.subarray(5)

export function readCredit(frame: Uint8Array): number | undefined {
  return frame.length === 9 ? readU32(frame, 5) : undefined
}

export function readRequest(frame: Uint8Array): RpcRequest | undefined {
  if (frame.length < 10) return undefined
  const end = 10 + frame[9]!
  if (frame.length < end) return undefined
  return { credit: readU32(frame, 5), method: decoder.decode(frame.subarray(10, end)), payload: frame.subarray(end) }
}

export function readFailure(frame: Uint8Array): RpcFailure | undefined {
  if (frame.length < 6) return undefined
  const texts: string[] = []
  let at = 6
  for (let i = 0; i < 3; i++) {
    if (frame.length < at + 2) return undefined
    const end = at + 2 + (frame[at]! | (frame[at + 1]! << 8))
    if (frame.length < end) return undefined
    texts.push(decoder.decode(frame.subarray(at + 2, end)))
    at = end
  }
  return { refused: frame[5] === 1, name: texts[0]!, code: texts[1]!, message: texts[2]! }
}

const readU32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
