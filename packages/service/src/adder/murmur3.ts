/**
 * The first 64 bits of MurmurHash3 x64-128 with seed 0, by which UnixFS spreads the names of a large directory over its shards.
 * Not a defence against anybody; the format asks for it.
 * @see https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp
 */

const MASK = 0xffff_ffff_ffff_ffffn
const C1 = 0x87c3_7b91_1142_53d5n
const C2 = 0x4cf5_ad43_2745_937fn

const rotateLeft = (value: bigint, bits: bigint) => ((value << bits) | (value >> (64n - bits))) & MASK
const multiply = (a: bigint, b: bigint) => (a * b) & MASK

function mix(value: bigint): bigint {
  let k = value
  k = multiply(k ^ (k >> 33n), 0xff51_afd7_ed55_8ccdn)
  k = multiply(k ^ (k >> 33n), 0xc4ce_b9fe_1a85_ec53n)
  return k ^ (k >> 33n)
}

/** Eight bytes, most significant first. */
export function murmur3x64(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let h1 = 0n
  let h2 = 0n
  const wholeBytes = bytes.length - (bytes.length % 16)
  for (let at = 0; at < wholeBytes; at += 16) {
    h1 ^= multiply(rotateLeft(multiply(view.getBigUint64(at, true), C1), 31n), C2)
    h1 = (rotateLeft(h1, 27n) + h2) & MASK
    h1 = (multiply(h1, 5n) + 0x52dc_e729n) & MASK
    h2 ^= multiply(rotateLeft(multiply(view.getBigUint64(at + 8, true), C2), 33n), C1)
    h2 = (rotateLeft(h2, 31n) + h1) & MASK
    h2 = (multiply(h2, 5n) + 0x3849_5ab5n) & MASK
  }
  // The rest, padded with zeros: a zero word leaves its half as it is.
  const rest = new DataView(new ArrayBuffer(16))
  for (let i = wholeBytes; i < bytes.length; i++) rest.setUint8(i - wholeBytes, bytes[i] as number)
  h2 ^= multiply(rotateLeft(multiply(rest.getBigUint64(8, true), C2), 33n), C1)
  h1 ^= multiply(rotateLeft(multiply(rest.getBigUint64(0, true), C1), 31n), C2)

  h1 ^= BigInt(bytes.length)
  h2 ^= BigInt(bytes.length)
  h1 = (h1 + h2) & MASK
  h2 = (h2 + h1) & MASK
  h1 = mix(h1)
  h2 = mix(h2)
  h1 = (h1 + h2) & MASK
  const digest = new DataView(new ArrayBuffer(8))
  digest.setBigUint64(0, h1)
  return new Uint8Array(digest.buffer)
}
