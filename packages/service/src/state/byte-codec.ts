/**
 * Reading and writing of the small binary records of the state: unsigned varints (LEB128, up to 2^53 - 1), length-prefixed bytes
 * and UTF-8 strings.
 *
 * Written by hand, since one decoder runs for every command of the log on every peer. Used by `pin-codec.ts`, `ops.ts`,
 * `snapshot-format.ts` and the tracker's store.
 */

/** Bytes that are not a record of the kind that was looked for. Never leaves the codecs. */
export class MalformedError extends Error {
  static override readonly name = 'MalformedError'
  override readonly name = 'MalformedError'
}

/** Appends to a buffer that doubles when full. Not reusable after `finish`. */
export class ByteWriter {
  #buffer: Buffer
  #length = 0

  constructor(capacityBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(capacityBytes)
  }

  get length(): number {
    return this.#length
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#buffer[this.#length++] = value
  }

  /** @throws {RangeError} when `value` is not an integer in [0, 2^53 - 1] */
  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`cannot write ${value}: not an integer in [0, 2^53 - 1]`)
    this.#reserve(8)
    let rest = value
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#buffer[this.#length++] = rest
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
  }

  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length)
    this.raw(bytes)
  }

  string(text: string): void {
    const count = Buffer.byteLength(text)
    this.varint(count)
    this.#reserve(count)
    this.#length += this.#buffer.write(text, this.#length, 'utf8')
  }

  /** What was written; shares memory with the writer. */
  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }
}

/** Reads from the front of `bytes`. Every length is checked against what is left before anything is allocated. */
export class ByteReader {
  readonly #buffer: Buffer
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get remaining(): number {
    return this.#buffer.length - this.#offset
  }

  byte(): number {
    const value = this.#buffer[this.#offset]
    if (value === undefined) throw new MalformedError(`the record ends at byte ${this.#offset}`)
    this.#offset++
    return value
  }

  varint(): number {
    let value = 0
    let factor = 1
    // Eight bytes carry 56 bits; the check below keeps the sum exact.
    for (let count = 0; count < 8; count++) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (value > Number.MAX_SAFE_INTEGER) break
      if (byte < 0x80) return value
      factor *= 0x80
    }
    throw new MalformedError(`the number before byte ${this.#offset} is larger than 2^53 - 1`)
  }

  /** A view of the record's own memory, not a copy. */
  raw(count: number): Uint8Array {
    if (count > this.remaining) {
      throw new MalformedError(`${count} bytes are announced at byte ${this.#offset}, ${this.remaining} are left`)
    }
    const start = this.#offset
    this.#offset += count
    return this.#buffer.subarray(start, this.#offset)
  }

  bytes(): Uint8Array {
    return this.raw(this.varint())
  }

  string(): string {
    const count = this.varint()
    const start = this.#offset
    this.raw(count)
    return this.#buffer.toString('utf8', start, this.#offset)
  }

  /** A count of items of at least `minItemBytes` each, so that a forged count cannot make a caller loop beyond the record. */
  count(minItemBytes: number): number {
    const count = this.varint()
    if (count * minItemBytes > this.remaining) {
      throw new MalformedError(`${count} items are announced at byte ${this.#offset}, ${this.remaining} bytes are left`)
    }
    return count
  }

  end(): void {
    if (this.remaining > 0) throw new MalformedError(`${this.remaining} bytes follow the record`)
  }
}
