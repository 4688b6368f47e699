/**
 * Messages of bitswap 1.2 (https://specs.ipfs.tech/bitswap-protocol/#bitswap-1-2-0), protobuf written by hand: the format is five
 * fields, and blocks are copied once instead of once a layer. `decodeMessage` is fed by strangers: it reads nothing beyond the bytes
 * it is given and makes nothing larger than they are.
 */

export const WANT_BLOCK = 0
export const WANT_HAVE = 1
export const HAVE = 0
export const DONT_HAVE = 1

export interface WantEntry {
  /** CID bytes. */
  readonly cid: Uint8Array
  readonly cancel: boolean
  readonly wantType: typeof WANT_BLOCK | typeof WANT_HAVE
  readonly sendDontHave: boolean
}

export interface MessageBlock {
  /** Varints: CID version, codec, hash function, length of the digest. */
  readonly prefix: Uint8Array
  readonly data: Uint8Array
}

export interface BlockPresence {
  readonly cid: Uint8Array
  readonly type: typeof HAVE | typeof DONT_HAVE
}

export interface BitswapMessage {
  readonly wants: readonly WantEntry[]
  /** True: these wants replace all earlier ones. */
  readonly full: boolean
  readonly blocks: readonly MessageBlock[]
  readonly presences: readonly BlockPresence[]
}

const VARINT = 0
const BYTES = 2
const tag = (field: number, wireType: number) => (field << 3) | wireType

function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) length++
  return length
}

class Writer {
  readonly #bytes: Uint8Array
  #at = 0
  #taken = 0

  constructor(length: number) {
    this.#bytes = new Uint8Array(length)
  }

  /** What has been written since the last call. */
  take(): Uint8Array {
    const part = this.#bytes.subarray(this.#taken, this.#at)
    this.#taken = this.#at
    return part
  }

  varint(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.#at++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#at++] = rest
  }

  field(field: number, bytes: Uint8Array): void {
    this.header(field, bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  header(field: number, length: number): void {
    this.varint(tag(field, BYTES))
    this.varint(length)
  }

  number(field: number, value: number): void {
    this.varint(tag(field, VARINT))
    this.varint(value)
  }
}

/** Of a field with a one-byte tag. */
const fieldLength = (length: number) => 1 + varintLength(length) + length
const entryLength = (entry: WantEntry) => fieldLength(entry.cid.length) + 8
const presenceLength = (presence: BlockPresence) => fieldLength(presence.cid.length) + 2
const blockLength = (block: MessageBlock) => fieldLength(block.prefix.length) + fieldLength(block.data.length)

/** The message with its length before it, as it goes on a stream: in parts, of which those that are blocks are the given bytes. */
export function encodeFrame(message: BitswapMessage): Uint8Array[] {
  let wantlistLength = 2
  for (const entry of message.wants) wantlistLength += fieldLength(entryLength(entry))
  let length = fieldLength(wantlistLength)
  for (const block of message.blocks) length += fieldLength(blockLength(block))
  for (const presence of message.presences) length += fieldLength(presenceLength(presence))
  const dataLength = message.blocks.reduce((sum, block) => sum + block.data.length, 0)

  const parts: Uint8Array[] = []
  const writer = new Writer(varintLength(length) + length - dataLength)
  writer.varint(length)
  writer.header(1, wantlistLength)
  for (const entry of message.wants) {
    writer.header(1, entryLength(entry))
    writer.field(1, entry.cid)
    writer.number(2, 1)
    writer.number(3, entry.cancel ? 1 : 0)
    writer.number(4, entry.wantType)
    writer.number(5, entry.sendDontHave ? 1 : 0)
  }
  writer.number(2, message.full ? 1 : 0)
  for (const presence of message.presences) {
    writer.header(4, presenceLength(presence))
    writer.field(1, presence.cid)
    writer.number(2, presence.type)
  }
  for (const block of message.blocks) {
    writer.header(3, blockLength(block))
    writer.field(1, block.prefix)
    writer.header(2, block.data.length)
    parts.push(writer.take(), block.data)
  }
  const rest = writer.take()
  if (rest.length > 0) parts.push(rest)
  return parts
}

/** Reads fields one after another. @throws {RangeError} when the bytes end too early */
class Reader {
  readonly #bytes: Uint8Array
  #at = 0
  field = 0
  wireType = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  next(): boolean {
    if (this.#at >= this.#bytes.length) return false
    const key = this.varint()
    this.field = Math.floor(key / 8)
    this.wireType = key % 8
    return true
  }

  varint(): number {
    let value = 0
    let factor = 1
    for (let i = 0; i < 10; i++) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw new RangeError('a number is cut off')
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      factor *= 128
    }
    throw new RangeError('a number is too long')
  }

  bytes(): Uint8Array {
    if (this.wireType !== BYTES) throw new RangeError(`field ${this.field} has wire type ${this.wireType}`)
    const length = this.varint()
    const end = this.#at + length
    if (end > this.#bytes.length) throw new RangeError('a field is cut off')
    const bytes = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return bytes
  }

  number(): number {
    if (this.wireType !== VARINT) throw new RangeError(`field ${this.field} has wire type ${this.wireType}`)
    return this.varint()
  }

  skip(): void {
    if (this.wireType === VARINT) this.varint()
    else if (this.wireType === BYTES) this.bytes()
    else if (this.wireType === 1) this.#at += 8
    else if (this.wireType === 5) this.#at += 4
    else throw new RangeError(`unknown wire type ${this.wireType}`)
  }
}

/** The parts are views into the given bytes. @throws {RangeError} when it is no bitswap message */
export function decodeMessage(bytes: Uint8Array): BitswapMessage {
  const wants: WantEntry[] = []
  const blocks: MessageBlock[] = []
  const presences: BlockPresence[] = []
  let full = false
  const reader = new Reader(bytes)
  while (reader.next()) {
    if (reader.field === 1) {
      const list = new Reader(reader.bytes())
      while (list.next()) {
        if (list.field === 1) wants.push(decodeWant(list.bytes()))
        else if (list.field === 2) full = list.number() !== 0
        else list.skip()
      }
    } else if (reader.field === 3) blocks.push(decodeBlock(reader.bytes()))
    else if (reader.field === 4) presences.push(decodePresence(reader.bytes()))
    else reader.skip()
  }
  return { wants, full, blocks, presences }
}

const NONE = new Uint8Array()

function decodeWant(bytes: Uint8Array): WantEntry {
  let cid: Uint8Array = NONE
  let cancel = false
  let wantType: WantEntry['wantType'] = WANT_BLOCK
  let sendDontHave = false
  const reader = new Reader(bytes)
  while (reader.next()) {
    if (reader.field === 1) cid = reader.bytes()
    else if (reader.field === 3) cancel = reader.number() !== 0
    else if (reader.field === 4) wantType = reader.number() === WANT_HAVE ? WANT_HAVE : WANT_BLOCK
    else if (reader.field === 5) sendDontHave = reader.number() !== 0
    else reader.skip()
  }
  return { cid, cancel, wantType, sendDontHave }
}

function decodeBlock(bytes: Uint8Array): MessageBlock {
  let prefix: Uint8Array = NONE
  let data: Uint8Array = NONE
  const reader = new Reader(bytes)
  while (reader.next()) {
    if (reader.field === 1) prefix = reader.bytes()
    else if (reader.field === 2) data = reader.bytes()
    else reader.skip()
  }
  return { prefix, data }
}

function decodePresence(bytes: Uint8Array): BlockPresence {
  let cid: Uint8Array = NONE
  let type: BlockPresence['type'] = HAVE
  const reader = new Reader(bytes)
  while (reader.next()) {
    if (reader.field === 1) cid = reader.bytes()
    else if (reader.field === 2) type = reader.number() === DONT_HAVE ? DONT_HAVE : HAVE
    else reader.skip()
  }
  return { cid, type }
}

/** Puts the chunks of a stream together to frames. Holds at most one frame that is not whole. */
export class FrameReader {
  readonly #maxBytes: number
  #chunks: Uint8Array[] = []
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The frames that this chunk completes. @throws {RangeError} when a frame would be too large */
  push(chunk: Uint8Array): Uint8Array[] {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    const frames: Uint8Array[] = []
    for (;;) {
      const header = this.#header()
      if (header === undefined || this.#bytes < header.headerBytes + header.length) return frames
      const all = this.#chunks.length === 1 ? (this.#chunks[0] as Uint8Array) : Buffer.concat(this.#chunks, this.#bytes)
      const end = header.headerBytes + header.length
      frames.push(all.subarray(header.headerBytes, end))
      this.#chunks = end < all.length ? [all.subarray(end)] : []
      this.#bytes = all.length - end
    }
  }

  #header(): { headerBytes: number; length: number } | undefined {
    let length = 0
    let factor = 1
    let headerBytes = 0
    for (const chunk of this.#chunks) {
      for (const byte of chunk) {
        headerBytes++
        length += (byte & 0x7f) * factor
        if (length > this.#maxBytes || headerBytes > 5)
          throw new RangeError(`a message of more than ${this.#maxBytes} bytes`)
        if (byte < 0x80) return { headerBytes, length }
        factor *= 128
      }
    }
    return undefined
  }
}
