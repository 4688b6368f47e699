/**
 * The calls by which a damaged node is repaired, as bytes. What comes from a peer is checked here for its form; that entries are those asked
 * for is checked by who asked (`driver/shared-entries.ts`). Used by `bulk-calls.ts`.
 */

import { parseRecord } from '../core/record.ts'
import type { Entry, Index, LogBase } from '../core/types.ts'
import { SnapshotTransferError } from '../errors.ts'
import type { EntriesAnswer, EntriesRequest, LogReport } from '../ports.ts'
import { ByteReader, ByteWriter } from './byte-cursor.ts'
import { decodeBase, encodeBase, MAX_TERM } from './codec.ts'

const LEADS = 1
const HAS_LAST = 2
const HAS_BASE = 4

/** A base without a configuration, of a log that a joiner began with, is left out: nobody else can begin with it. */
export function encodeReport({ term, leads, base: full, last }: LogReport): Uint8Array {
  const base = full === undefined || full.config.voters.length === 0 ? undefined : full
  const encodedBase = base === undefined ? new Uint8Array(0) : encodeBase(base)
  return new ByteWriter(17 + encodedBase.length)
    .u8((leads ? LEADS : 0) | (last === undefined ? 0 : HAS_LAST) | (base === undefined ? 0 : HAS_BASE))
    .u48(term)
    .u48(last?.index ?? 0)
    .u32(last?.chain ?? 0)
    .bytes(encodedBase)
    .done()
}

/** @throws {SnapshotTransferError} when the bytes are not exactly one report */
export function decodeReport(bytes: Uint8Array): LogReport {
  const reader = new ByteReader(bytes)
  const flags = reader.u8()
  const term = reader.u48()
  const last = { index: reader.u48(), chain: reader.u32() }
  const rest = reader.bytes(reader.rest)
  const base = (flags & HAS_BASE) === 0 ? undefined : decodeBase(rest)
  if (
    !reader.complete ||
    term >= MAX_TERM ||
    ((flags & HAS_BASE) !== 0) !== (base !== undefined) ||
    (base === undefined && rest.length > 0)
  ) {
    throw new SnapshotTransferError('The report on a log is malformed')
  }
  return { term, leads: (flags & LEADS) !== 0, base, last: (flags & HAS_LAST) === 0 ? undefined : last }
}

export const encodeEntriesRequest = ({ from, to, chain }: EntriesRequest): Uint8Array =>
  new ByteWriter(16).u48(from).u48(to).u32(chain).done()

/** @throws {SnapshotTransferError} when the bytes are not a request */
export function decodeEntriesRequest(bytes: Uint8Array): EntriesRequest {
  const reader = new ByteReader(bytes)
  const request = { from: reader.u48(), to: reader.u48(), chain: reader.u32() }
  if (!reader.complete || request.from > request.to) {
    throw new SnapshotTransferError('The request for entries is malformed')
  }
  return request
}

export function encodeEntriesAnswer({ previousChain, entries }: EntriesAnswer): Uint8Array {
  const bytes = entries.reduce((sum, { record }) => sum + record.length, 0)
  const writer = new ByteWriter(8 + bytes).u32(previousChain).u32(entries.length)
  for (const { record } of entries) writer.bytes(record)
  return writer.done()
}

/** @throws {SnapshotTransferError} when the bytes are not exactly one answer */
export function decodeEntriesAnswer(bytes: Uint8Array): EntriesAnswer {
  const reader = new ByteReader(bytes)
  const previousChain = reader.u32()
  const count = reader.u32()
  const entries: Entry[] = []
  let at = 8
  while (at < bytes.length) {
    const entry = parseRecord(bytes, at)
    if (entry === undefined) break
    entries.push(entry)
    at += entry.record.length
  }
  if (at !== bytes.length || entries.length !== count)
    throw new SnapshotTransferError('The answer with entries is malformed')
  return { previousChain, entries }
}

export const encodeOfferRequest = (atLeast: Index): Uint8Array => new ByteWriter(6).u48(atLeast).done()

/** @throws {SnapshotTransferError} when the bytes are not a request */
export function decodeOfferRequest(bytes: Uint8Array): Index {
  const reader = new ByteReader(bytes)
  const atLeast = reader.u48()
  if (!reader.complete) throw new SnapshotTransferError('The request for a snapshot is malformed')
  return atLeast
}

/** @throws {SnapshotTransferError} when the bytes are not exactly one base */
export function decodeOffer(bytes: Uint8Array): LogBase {
  const base = decodeBase(bytes)
  if (base === undefined) throw new SnapshotTransferError('The offer of a snapshot is malformed')
  return base
}
