/**
 * Messages between nodes as bytes: one type byte, fixed little-endian fields, and for AppendEntries the records of the entries
 * exactly as they stand in the log, so that an entry is encoded once in its life. Written by hand, since it is on the hot path:
 * about a tenth of the cost of a general codec.
 *
 * `decodeMessage` is given bytes of a peer that may be broken or hostile: it never throws, checks every bound, and takes entries
 * only if they follow each other without a hole and each is what its checksum says. Used by `libp2p-transport.ts`.
 */

import { FIRST_LEVEL } from '../core/announcements.ts'
import { decodeConfig, encodeConfig, MAX_CONFIG_BYTES } from '../core/members.ts'
import type { AppendEntriesResponse, Message } from '../core/messages.ts'
import { MAX_PRIORITY } from '../core/options.ts'
import { isIntact, parseRecord, RECORD_HEADER_BYTES } from '../core/record.ts'
import type { Checksum, Entry, Health, LogBase } from '../core/types.ts'
import type { MessageLimits } from '../ports.ts'
import { ByteReader, ByteWriter } from './byte-cursor.ts'

/** Said in the hello. Raised when these bytes change their meaning. */
export const CODEC_VERSION = 1

/** The first byte of a message. */
const Kind = {
  preVoteRequest: 1,
  preVoteResponse: 2,
  voteRequest: 3,
  voteResponse: 4,
  appendEntriesRequest: 5,
  appendEntriesResponse: 6,
  installSnapshotRequest: 7,
  installSnapshotResponse: 8,
  timeoutNow: 9,
  readIndexRequest: 10,
  readIndexResponse: 11,
  digestReport: 12,
  digestVerdict: 13
} as const

const outcomes = ['fetching', 'installed', 'failed'] as const

/** By their numbers on the wire. */
const healths: readonly Health[] = ['good', 'degraded', 'unfit']

/** Bytes of an AppendEntries besides its records. */
const APPEND_OVERHEAD_BYTES = 1 + 6 + 6 + 6 + 4 + 6 + 6

/**
 * Terms from here on are taken from nobody: no group lives to see so many elections, and a node that followed would soon campaign in
 * a term that has no bytes. Half of what 48 bits hold.
 */
export const MAX_TERM = 2 ** 47

/** The largest message that a node with these limits sends; a transport that carries no such message holds the group up for ever (T19). */
export function largestMessageBytes(limits: MessageLimits): number {
  const largestEntry = RECORD_HEADER_BYTES + Math.max(limits.maxEntryBytes, MAX_CONFIG_BYTES)
  return APPEND_OVERHEAD_BYTES + Math.max(limits.maxAppendBytes, largestEntry)
}

/**
 * Encodes a message.
 *
 * @returns the parts that make it up; the records among them share memory with the entries
 */
export function encodeMessage(message: Message): readonly Uint8Array[] {
  switch (message.type) {
    case 'pre-vote-request':
      return [
        new ByteWriter(19).u8(Kind.preVoteRequest).u48(message.term).u48(message.lastIndex).u48(message.lastTerm).done()
      ]
    case 'pre-vote-response':
      return [new ByteWriter(8).u8(Kind.preVoteResponse).u48(message.term).u8(flag(message.granted)).done()]
    case 'vote-request':
      return [
        new ByteWriter(20)
          .u8(Kind.voteRequest)
          .u48(message.term)
          .u48(message.lastIndex)
          .u48(message.lastTerm)
          .u8(flag(message.transfer))
          .done()
      ]
    case 'vote-response':
      return [new ByteWriter(8).u8(Kind.voteResponse).u48(message.term).u8(flag(message.granted)).done()]
    case 'append-entries-request': {
      const head = new ByteWriter(APPEND_OVERHEAD_BYTES)
        .u8(Kind.appendEntriesRequest)
        .u48(message.term)
        .u48(message.prevIndex)
        .u48(message.prevTerm)
        .u32(message.prevChain)
        .u48(message.commitIndex)
        .u48(message.readPosition)
        .done()
      return message.entries.length === 0 ? [head] : [head, ...message.entries.map((entry) => entry.record)]
    }
    case 'append-entries-response':
      return [
        new ByteWriter(32)
          .u8(Kind.appendEntriesResponse)
          .u48(message.term)
          .u8(encodeStanding(message))
          .u48(message.index)
          .u48(message.hintIndex)
          .u48(message.hintTerm)
          .u48(message.readPosition)
          .done()
      ]
    case 'install-snapshot-request': {
      const base = encodeBase(message.base)
      return [
        new ByteWriter(13 + base.length)
          .u8(Kind.installSnapshotRequest)
          .u48(message.term)
          .u48(message.readPosition)
          .bytes(base)
          .done()
      ]
    }
    case 'install-snapshot-response':
      return [
        new ByteWriter(20)
          .u8(Kind.installSnapshotResponse)
          .u48(message.term)
          .u48(message.index)
          .u8(outcomes.indexOf(message.outcome))
          .u48(message.readPosition)
          .done()
      ]
    case 'timeout-now':
      return [new ByteWriter(8).u8(Kind.timeoutNow).u48(message.term).u8(flag(message.leaseOver)).done()]
    case 'read-index-request':
      return [new ByteWriter(13).u8(Kind.readIndexRequest).u48(message.term).u48(message.id).done()]
    case 'read-index-response': {
      const known = message.index !== undefined
      return [
        new ByteWriter(20)
          .u8(Kind.readIndexResponse)
          .u48(message.term)
          .u48(message.id)
          .u8(flag(known))
          .u48(message.index ?? 0)
          .done()
      ]
    }
    case 'digest-report':
      return [new ByteWriter(17).u8(Kind.digestReport).u48(message.term).u48(message.index).u32(message.digest).done()]
    case 'digest-verdict':
      return [
        new ByteWriter(18)
          .u8(Kind.digestVerdict)
          .u48(message.term)
          .u48(message.index)
          .u32(message.digest)
          .u8(flag(message.proven))
          .done()
      ]
  }
}

/**
 * Decodes a message. The result shares memory with `bytes`.
 *
 * @returns why the bytes are not a message, in words, if they are not
 */
export function decodeMessage(bytes: Uint8Array, checksum: Checksum): Message | string {
  const reader = new ByteReader(bytes)
  const kind = reader.u8()
  const message = readMessage(kind, reader, checksum)
  if (typeof message === 'string') return message
  return reader.complete ? message : `a message of kind ${kind} has ${bytes.length} bytes`
}

/** Whether a message is of a kind that this version knows; a later one may have more. */
export function isOfKnownKind(bytes: Uint8Array): boolean {
  return Object.values(Kind).some((kind) => kind === bytes[0])
}

function readMessage(kind: number, reader: ByteReader, checksum: Checksum): Message | string {
  const term = reader.u48()
  if (term >= MAX_TERM) return `the term ${term} is beyond any that a group can reach`
  switch (kind) {
    case Kind.preVoteRequest:
      return { type: 'pre-vote-request', term, lastIndex: reader.u48(), lastTerm: reader.u48() }
    case Kind.preVoteResponse:
      return { type: 'pre-vote-response', term, granted: reader.u8() === 1 }
    case Kind.voteRequest:
      return {
        type: 'vote-request',
        term,
        lastIndex: reader.u48(),
        lastTerm: reader.u48(),
        transfer: reader.u8() === 1
      }
    case Kind.voteResponse:
      return { type: 'vote-response', term, granted: reader.u8() === 1 }
    case Kind.appendEntriesRequest: {
      const prevIndex = reader.u48()
      const prevTerm = reader.u48()
      const prevChain = reader.u32()
      const commitIndex = reader.u48()
      const readPosition = reader.u48()
      const entries = readEntries(reader.bytes(reader.rest), { term, prevIndex, prevTerm, prevChain }, checksum)
      if (typeof entries === 'string') return entries
      return {
        type: 'append-entries-request',
        term,
        prevIndex,
        prevTerm,
        prevChain,
        entries,
        commitIndex,
        readPosition
      }
    }
    case Kind.appendEntriesResponse: {
      const standing = reader.u8()
      const health = healths[(standing >> 1) & 3]
      // Four bits with a sign.
      const priority = (standing << 25) >> 28
      if (health === undefined || Math.abs(priority) > MAX_PRIORITY) return `no node stands as ${standing} says`
      return {
        type: 'append-entries-response',
        term,
        success: (standing & 1) === 1,
        index: reader.u48(),
        hintIndex: reader.u48(),
        hintTerm: reader.u48(),
        readPosition: reader.u48(),
        health,
        priority
      }
    }
    case Kind.installSnapshotRequest: {
      const readPosition = reader.u48()
      const base = decodeBase(reader.bytes(reader.rest))
      return base === undefined
        ? 'the base of a snapshot is malformed'
        : { type: 'install-snapshot-request', term, base, readPosition }
    }
    case Kind.installSnapshotResponse: {
      const index = reader.u48()
      const outcome = outcomes[reader.u8()]
      const readPosition = reader.u48()
      return outcome === undefined
        ? 'the outcome of a snapshot is unknown'
        : { type: 'install-snapshot-response', term, index, outcome, readPosition }
    }
    case Kind.timeoutNow:
      return { type: 'timeout-now', term, leaseOver: reader.u8() === 1 }
    case Kind.readIndexRequest:
      return { type: 'read-index-request', term, id: reader.u48() }
    case Kind.readIndexResponse: {
      const id = reader.u48()
      const known = reader.u8() === 1
      const index = reader.u48()
      return { type: 'read-index-response', term, id, index: known ? index : undefined }
    }
    case Kind.digestReport:
      return { type: 'digest-report', term, index: reader.u48(), digest: reader.u32() }
    case Kind.digestVerdict:
      return { type: 'digest-verdict', term, index: reader.u48(), digest: reader.u32(), proven: reader.u8() === 1 }
    default:
      return `there is no message of kind ${kind}`
  }
}

interface AppendHead {
  readonly term: number
  readonly prevIndex: number
  readonly prevTerm: number
  readonly prevChain: number
}

/** Records that fill `bytes`: each follows the one before in index and chain, terms never fall, and none is beyond the message's. */
function readEntries(bytes: Uint8Array, head: AppendHead, checksum: Checksum): Entry[] | string {
  const entries: Entry[] = []
  let index = head.prevIndex
  let term = head.prevTerm
  let chain = head.prevChain
  for (let at = 0; at < bytes.length; ) {
    const entry = parseRecord(bytes, at)
    if (entry === undefined) return `the record after entry ${index} is malformed`
    if (entry.index !== index + 1) return `entry ${entry.index} comes after entry ${index}`
    if (entry.term < term || entry.term > head.term) {
      return `entry ${entry.index} has term ${entry.term}, after one of term ${term}, from a leader of term ${head.term}`
    }
    if (!isIntact(entry, chain, checksum)) return `entry ${entry.index} is not what its checksum says`
    entries.push(entry)
    at += entry.record.length
    index = entry.index
    term = entry.term
    chain = entry.chain
  }
  return entries
}

/**
 * What an answer says besides numbers, in one byte: bit 0 whether it agrees, bits 1 and 2 the sender's health, bits 3 to 6 its
 * priority.
 */
function encodeStanding({ success, health, priority }: AppendEntriesResponse): number {
  return flag(success) | (healths.indexOf(health) << 1) | ((priority & 15) << 3)
}

/** In place of the version of a configuration: level and lease come first. The version of those is 1. */
const EXTENDED_BASE = 0x80

/** A base as bytes; also part of a manifest. */
export function encodeBase(base: LogBase): Uint8Array {
  const config = encodeConfig(base.config)
  const { index, term, chain, level, leaseMs } = base
  const extended = level !== undefined || leaseMs !== undefined
  const writer = new ByteWriter(16 + (extended ? 6 : 0) + config.length).u48(index).u48(term).u32(chain)
  if (extended)
    writer
      .u8(EXTENDED_BASE)
      .u8(level ?? FIRST_LEVEL)
      .u32(leaseMs ?? 0)
  return writer.bytes(config).done()
}

/** @returns undefined if the bytes are not exactly one base */
export function decodeBase(bytes: Uint8Array): LogBase | undefined {
  const reader = new ByteReader(bytes)
  const index = reader.u48()
  const term = reader.u48()
  const chain = reader.u32()
  const rest = new ByteReader(reader.bytes(reader.rest))
  const extended = bytes[16] === EXTENDED_BASE
  if (extended) rest.u8()
  const level = extended ? rest.u8() : FIRST_LEVEL
  const leaseMs = extended ? rest.u32() : 0
  const config = decodeConfig(rest.bytes(rest.rest))
  if (!reader.complete || !rest.complete || config === undefined) return undefined
  if (term >= MAX_TERM || level < FIRST_LEVEL) return undefined
  return {
    index,
    term,
    chain,
    config,
    ...(level === FIRST_LEVEL ? {} : { level }),
    ...(leaseMs === 0 ? {} : { leaseMs })
  }
}

const flag = (value: boolean): number => (value ? 1 : 0)
