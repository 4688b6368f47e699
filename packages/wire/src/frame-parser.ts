/**
 * Cuts a stream of bytes into frames: a length of 4 bytes, little endian, then that many bytes. Chunk boundaries of the stream
 * below mean nothing: a frame may arrive in pieces, or many frames in one piece. Used by `framed-stream.ts`; pure.
 *
 * A frame that lies within one chunk shares memory with it; one that spans chunks is put together once, when it is complete,
 * so that a peer who announces much and sends little costs nothing. Pieces that are small are copied together as they come, since a
 * view of one byte costs a hundred, and holds the network's buffer besides.
 */

/** Bytes before each frame. */
export const FRAME_HEADER_BYTES = 4

/** Pieces from this size on are kept as views of the network's buffer. */
const SMALL_PIECE_BYTES = 4096
const TAIL_BYTES = 4 * SMALL_PIECE_BYTES

export class FrameParser {
  /** Largest frame taken, without its header; holds from the next header on. */
  maxFrameBytes: number
  readonly #onFrame: (frame: Uint8Array) => void
  /** The header as far as it is there; meaningful while `#missing` is undefined. */
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES)
  #headerBytes = 0
  /** Bytes of the current frame that have not come yet; undefined while its header is incomplete. */
  #missing: number | undefined
  /** The pieces of the current frame that have come. */
  #pieces: Uint8Array[] = []
  /** Where small pieces are copied to; full up to `#tailAt`. */
  #tail = new Uint8Array(0)
  #tailAt = 0
  #failure: string | undefined

  /**
   * @param maxFrameBytes - largest frame taken, without its header
   * @param onFrame - gets each frame, in order; must not throw
   */
  constructor(maxFrameBytes: number, onFrame: (frame: Uint8Array) => void) {
    this.maxFrameBytes = maxFrameBytes
    this.#onFrame = onFrame
  }

  /**
   * Takes the next bytes, of any number.
   *
   * @returns why the bytes are not frames, once they are not; from then on nothing is taken
   */
  push(chunk: Uint8Array): string | undefined {
    let at = 0
    while (this.#failure === undefined && (at < chunk.length || this.#missing === 0)) {
      if (this.#missing === undefined) {
        at = this.#takeHeader(chunk, at)
        continue
      }
      const take = Math.min(this.#missing, chunk.length - at)
      const piece = chunk.subarray(at, at + take)
      at += take
      this.#missing -= take
      if (this.#missing > 0) {
        this.#keep(piece)
        break
      }
      this.#missing = undefined
      if (this.#pieces.length === 0) {
        this.#onFrame(piece)
      } else {
        this.#pieces.push(piece)
        const pieces = this.#pieces
        this.#pieces = []
        this.#tail = new Uint8Array(0)
        this.#tailAt = 0
        this.#onFrame(Buffer.concat(pieces))
      }
    }
    return this.#failure
  }

  /** Remembers a piece of a frame at no more than a few times its size, however small it is. */
  #keep(piece: Uint8Array): void {
    if (piece.length >= SMALL_PIECE_BYTES) {
      this.#pieces.push(piece)
      return
    }
    for (let from = 0; from < piece.length; ) {
      if (this.#tailAt === this.#tail.length) {
        this.#tail = new Uint8Array(TAIL_BYTES)
        this.#tailAt = 0
      }
      const take = Math.min(piece.length - from, this.#tail.length - this.#tailAt)
      this.#tail.set(piece.subarray(from, from + take), this.#tailAt)
      const last = this.#pieces.at(-1)
      const continues = last?.buffer === this.#tail.buffer && last.byteOffset + last.length === this.#tailAt
      const start = continues ? last.byteOffset : this.#tailAt
      this.#tailAt += take
      const view = this.#tail.subarray(start, this.#tailAt)
      if (continues) this.#pieces[this.#pieces.length - 1] = view
      else this.#pieces.push(view)
      from += take
    }
  }

  /** @returns where the frame's own bytes begin, or the end of the chunk */
  #takeHeader(chunk: Uint8Array, start: number): number {
    let at = start
    while (this.#headerBytes < FRAME_HEADER_BYTES && at < chunk.length) this.#header[this.#headerBytes++] = chunk[at++]!
    if (this.#headerBytes < FRAME_HEADER_BYTES) return at
    this.#headerBytes = 0
    const header = this.#header
    const length = (header[0]! | (header[1]! << 8) | (header[2]! << 16) | (header[3]! << 24)) >>> 0
    if (length > this.maxFrameBytes) {
      this.#failure = `a frame of ${length} bytes was announced, the largest allowed is ${this.maxFrameBytes}`
    } else {
      this.#missing = length
    }
    return at
  }
}
