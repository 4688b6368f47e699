/**
 * Cuts where the content says so: a fingerprint rolls over the last 16 bytes, and a piece ends where its low bits are all zero, so that
 * an insertion moves the cuts near it only. The fingerprint is Rabin's: the bytes as a polynomial over GF(2), modulo an irreducible one.
 * Polynomial, window and start must be those of Kubo, or the CIDs differ. Called by `chunker.ts`.
 *
 * Why not the chunker of `ipfs-unixfs-importer`: it cuts elsewhere. Of the same 3 MB, with 87381-262144-393216, Kubo's first pieces have 393216,
 * 300497 and 393216 bytes, its have 102214, 136850 and 370542; with 512-1024-2048 Kubo makes 2317 pieces, it makes 2315.
 * @see https://github.com/whyrusleeping/chunker, which Kubo uses
 */

/** Of degree 53. */
const POLYNOMIAL = 17_437_180_132_763_653n
const DEGREE = 53n
const WINDOW_BYTES = 16

/**
 * Fingerprints have 53 bits, one more than bitwise operators take, so they are kept as a high and a low half.
 * `OUT[b]`: the fingerprint of byte `b` followed by `WINDOW_BYTES - 1` zeros, to take a byte out of the window.
 * `REDUCE[b]`: what to add to a fingerprint that was shifted by a byte and has `b` above its degree.
 */
const tables = {
  outHigh: new Uint32Array(256),
  outLow: new Uint32Array(256),
  reduceHigh: new Uint32Array(256),
  reduceLow: new Uint32Array(256)
}

for (let byte = 0; byte < 256; byte++) {
  const out = modulo(BigInt(byte) << BigInt(8 * (WINDOW_BYTES - 1)))
  tables.outHigh[byte] = Number(out >> 32n)
  tables.outLow[byte] = Number(out & 0xffff_ffffn)
  const above = BigInt(byte) << DEGREE
  const reduce = modulo(above) | above
  tables.reduceHigh[byte] = Number(reduce >> 32n)
  tables.reduceLow[byte] = Number(reduce & 0xffff_ffffn)
}

function modulo(value: bigint): bigint {
  let rest = value
  for (let bits = rest.toString(2).length; rest !== 0n && BigInt(bits) > DEGREE; bits = rest.toString(2).length) {
    rest ^= POLYNOMIAL << (BigInt(bits) - 1n - DEGREE)
  }
  return rest
}

/** Yields pieces of `minBytes` to `maxBytes`, `averageBytes` on average, and a last one that may be shorter. `16 <= min <= average <= max`. */
export async function* cutByContent(
  content: AsyncIterable<Uint8Array>,
  minBytes: number,
  averageBytes: number,
  maxBytes: number
): AsyncGenerator<Uint8Array> {
  const mask = 2 ** Math.floor(Math.log2(averageBytes)) - 1
  const window = new Uint8Array(WINDOW_BYTES)
  const { outHigh, outLow, reduceHigh, reduceLow } = tables
  const chunk = new Uint8Array(maxBytes)
  let filled = 0
  // A piece begins as if a byte 1 had gone before.
  let high = 0
  let low = 1
  let at = 1
  window[0] = 1
  for await (const piece of content) {
    for (let i = 0; i < piece.length; ) {
      // What lies before the window of the first place where a piece may end does not matter.
      const skipped = Math.min(minBytes - WINDOW_BYTES - filled, piece.length - i)
      if (skipped > 0) {
        chunk.set(piece.subarray(i, i + skipped), filled)
        filled += skipped
        i += skipped
        continue
      }
      const byte = piece[i++] as number
      chunk[filled++] = byte
      const leaving = window[at] as number
      window[at] = byte
      at = (at + 1) % WINDOW_BYTES
      high ^= outHigh[leaving] as number
      low ^= outLow[leaving] as number
      const above = (high >>> 13) & 0xff
      high = ((high << 8) | (low >>> 24)) ^ (reduceHigh[above] as number)
      low = ((low << 8) | byte) ^ (reduceLow[above] as number)
      if (filled < minBytes || ((low & mask) !== 0 && filled < maxBytes)) continue
      yield chunk.slice(0, filled)
      filled = 0
      high = 0
      low = 1
      at = 1
      window.fill(0)
      window[0] = 1
    }
  }
  if (filled > 0) yield chunk.slice(0, filled)
}
