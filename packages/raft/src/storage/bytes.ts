/** Little-endian integers in the fixed headers of the storage's files. 48-bit fields take 8 bytes; the upper two are 0. */

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

export const writeU32 = (bytes: Uint8Array, at: number, value: number): void => viewOf(bytes).setUint32(at, value, true)

export const readU32 = (bytes: Uint8Array, at: number): number => viewOf(bytes).getUint32(at, true)

/** @param value - a safe integer, not negative */
export const writeU64 = (bytes: Uint8Array, at: number, value: number): void =>
  viewOf(bytes).setBigUint64(at, BigInt(value), true)

/** A value beyond what a number holds exactly reads as `NaN`, which equals nothing. */
export const readU64 = (bytes: Uint8Array, at: number): number => {
  const value = viewOf(bytes).getBigUint64(at, true)
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.NaN : Number(value)
}
