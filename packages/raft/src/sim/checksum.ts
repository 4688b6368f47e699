/**
 * CRC-32 (ISO-HDLC, as in zlib) over the few dozen bytes of a simulated entry: for so little, a loop over a table is several times faster than a call
 * out of the engine. The same numbers as those of the real checksum. Called by the core and the judges of the core mode.
 */

import type { Checksum } from '../core/types.ts'

const POLYNOMIAL = 0xedb8_8320

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ POLYNOMIAL : remainder >>> 1
  return remainder
})

export const checksum: Checksum = (bytes, seed) => {
  let crc = ~seed
  for (let i = 0; i < bytes.length; i++) crc = (TABLE[(crc ^ (bytes[i] as number)) & 0xff] as number) ^ (crc >>> 8)
  return ~crc >>> 0
}
