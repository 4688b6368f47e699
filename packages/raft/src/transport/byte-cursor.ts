/**
 * Writing and reading the fixed-width little-endian fields of `codec.ts` and `manifest-codec.ts`. A reader never goes past the
 * end: it answers zeros and remembers that it ran out, so that a decoder checks once, at the end, instead of at each field.
 */

const TWO_32 = 0x1_0000_0000

export class ByteWriter {
  readonly #bytes: Buffer
  #at = 0

  /** @param bytes - exactly as many as will be written */
  constructor(bytes: number) {
    this.#bytes = Buffer.allocUnsafe(bytes)
  }

  u8(value: number): this {
    this.#bytes[this.#at++] = value
    return this
  }

  u32(value: number): this {
    this.#at = this.#bytes.writeUInt32LE(value, this.#at)
    return this
  }

  /** A safe integer below 2^48. */
  u48(value: number): this {
    this.#at = this.#bytes.writeUInt32LE(value % TWO_32, this.#at)
    this.#at = this.#bytes.writeUInt16LE(Math.floor(value / TWO_32), this.#at)
    return this
  }

  bytes(value: Uint8Array): this {
    this.#bytes.set(value, this.#at)
    this.#at += value.length
    return this
  }

  done(): Uint8Array {
    if (this.#at !== this.#bytes.length) throw new Error(`${this.#at} of ${this.#bytes.length} bytes were written`)
    return this.#bytes
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array
  #at = 0
  #short = false

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Bytes that were not read yet. */
  get rest(): number {
    return this.#bytes.length - this.#at
  }

  /** All bytes were read, and no more than all. */
  get complete(): boolean {
    return !this.#short && this.rest === 0
  }

  u8(): number {
    return this.#has(1) ? this.#bytes[this.#at++]! : 0
  }

  u32(): number {
    if (!this.#has(4)) return 0
    const bytes = this.#bytes
    const at = this.#at
    this.#at += 4
    return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  }

  u48(): number {
    if (!this.#has(6)) return 0
    const low = this.u32()
    const high = this.#bytes[this.#at]! | (this.#bytes[this.#at + 1]! << 8)
    this.#at += 2
    return low + high * TWO_32
  }

  /** Shares memory with what is read. Empty if there are not so many. */
  bytes(count: number): Uint8Array {
    if (!this.#has(count)) return new Uint8Array(0)
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }

  #has(count: number): boolean {
    if (this.rest >= count) return true
    this.#short = true
    return false
  }
}
