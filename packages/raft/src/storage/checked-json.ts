/**
 * Small files that people may read and that must not be trusted when damaged: one JSON object whose first member is a CRC-32
 * over the bytes of its second, `{"crc32":"89abcdef","content":…}`. Used for the base of the log and the manifest of a snapshot.
 */

import { checksum } from './checksum.ts'

const prefixOf = (crc: number): string => `{"crc32":"${crc.toString(16).padStart(8, '0')}","content":`
const PREFIX_BYTES = prefixOf(0).length

/** @param content - plain JSON data */
export function encodeCheckedJson(content: unknown): Uint8Array {
  const body = Buffer.from(JSON.stringify(content))
  return Buffer.concat([Buffer.from(prefixOf(checksum(body, 0))), body, Buffer.from('}\n')])
}

/** @returns undefined if any byte of the file is not as it was written */
export function decodeCheckedJson(bytes: Uint8Array): unknown {
  if (bytes.length < PREFIX_BYTES + 2) return undefined
  const body = bytes.subarray(PREFIX_BYTES, bytes.length - 2)
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (text.toString('latin1', 0, PREFIX_BYTES) !== prefixOf(checksum(body, 0))) return undefined
  if (text.toString('latin1', bytes.length - 2) !== '}\n') return undefined
  try {
    return JSON.parse(text.toString('utf8', PREFIX_BYTES, bytes.length - 2))
  } catch {
    return undefined
  }
}
