/**
 * A session table as records for a database and for snapshots: one head for each session, and its results in pages of 64 numbers, so
 * that a batch of commands writes few records and a long window does not make them large. Used by `session-table.ts`.
 *
 * | record | key | value |
 * | --- | --- | --- |
 * | head | session, 12 hex digits | u48 index of its last use, u48 number it is answered through |
 * | page | session, `/`, page, 12 hex digits each | for each result, by number: u8 number within the page, u32 0 if it is gone or its length + 1, its bytes |
 */

import { ByteReader, ByteWriter } from '../transport/byte-cursor.ts'

/** Results in one page. */
export const PAGE_RESULTS = 64

const HEAD_BYTES = 12
const RESULT_HEAD_BYTES = 5
const KEY = /^([0-9a-f]{12})(?:\/([0-9a-f]{12}))?$/

const hex = (value: number): string => value.toString(16).padStart(12, '0')

/** The key of a page, or of the head. */
export function pageKey(session: number, page: number | undefined): string {
  return page === undefined ? hex(session) : `${hex(session)}/${hex(page)}`
}

/** @throws {RangeError} when it is no key of a record */
export function parseKey(key: string): { readonly session: number; readonly page: number | undefined } {
  const match = KEY.exec(key)
  if (match === null) throw new RangeError(`${JSON.stringify(key.slice(0, 64))} is no key of a session`)
  const [, session = '', page] = match
  return { session: Number.parseInt(session, 16), page: page === undefined ? undefined : Number.parseInt(page, 16) }
}

interface Head {
  readonly lastUsedIndex: number
  readonly answeredThrough: number
}

export function encodeHead({ lastUsedIndex, answeredThrough }: Head): Uint8Array {
  return new ByteWriter(HEAD_BYTES).u48(lastUsedIndex).u48(answeredThrough).done()
}

/** @throws {RangeError} when it is none */
export function decodeHead(value: Uint8Array): Head {
  const reader = new ByteReader(value)
  const head = { lastUsedIndex: reader.u48(), answeredThrough: reader.u48() }
  if (!reader.complete) throw new RangeError(`the record of a session has ${value.length} bytes, not ${HEAD_BYTES}`)
  return head
}

/**
 * @param resultOf - what is kept of a number; undefined if nothing is
 * @returns undefined for a page without results
 */
export function encodePage(
  page: number,
  resultOf: (sequence: number) => { readonly result: Uint8Array | undefined } | undefined
): Uint8Array | undefined {
  const kept: { readonly offset: number; readonly result: Uint8Array | undefined }[] = []
  let bytes = 0
  for (let offset = 0; offset < PAGE_RESULTS; offset++) {
    const found = resultOf(page * PAGE_RESULTS + offset)
    if (found === undefined) continue
    kept.push({ offset, result: found.result })
    bytes += RESULT_HEAD_BYTES + (found.result?.length ?? 0)
  }
  if (kept.length === 0) return undefined
  const writer = new ByteWriter(bytes)
  for (const { offset, result } of kept) {
    writer.u8(offset).u32(result === undefined ? 0 : result.length + 1)
    if (result !== undefined) writer.bytes(result)
  }
  return writer.done()
}

/** Results are copies. @throws {RangeError} when it is no page */
export function decodePage(
  page: number,
  value: Uint8Array
): { readonly sequence: number; readonly result: Uint8Array | undefined }[] {
  const reader = new ByteReader(value)
  const results: { sequence: number; result: Uint8Array | undefined }[] = []
  let previous = -1
  while (reader.rest > 0) {
    const offset = reader.u8()
    const length = reader.u32()
    const result = length === 0 ? undefined : Uint8Array.from(reader.bytes(length - 1))
    if (offset <= previous || offset >= PAGE_RESULTS || (result !== undefined && result.length !== length - 1)) break
    previous = offset
    results.push({ sequence: page * PAGE_RESULTS + offset, result })
  }
  if (!reader.complete || results.length === 0) throw new RangeError(`page ${page} of a session cannot be read`)
  return results
}
