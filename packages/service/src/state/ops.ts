/**
 * The commands of the log: what `consensus/` proposes and `pinset-state.ts` applies, and the results that come back.
 *
 * A command is one version byte, one kind byte and the kind's own bytes; or one version byte, the kind "in a session", the stamp, and
 * kind byte and bytes of what is asked for in that session (T44). A command that this release cannot read has a result
 * like any other (`MALFORMED`, `UNSUPPORTED`) and changes nothing: throwing would stop every peer at the same entry, for ever.
 * Peers of different releases would answer a new kind differently, so a new kind may be proposed only once every member knows it.
 */

import type { CidString, MultiaddrString, PeerIdString, Pin } from '@quorate/client/api'
import type { SessionStamp } from '@quorate/raft'
import { ByteReader, ByteWriter, MalformedError } from './byte-codec.ts'
import { cidFromBytes, cidToBytes, decodePin, encodePin } from './pin-codec.ts'

/** What peers need of each other to connect, replicated so that a joiner learns everybody's addresses. */
export interface PeerRecord {
  readonly peerId: PeerIdString
  readonly peername: string
  readonly addresses: readonly MultiaddrString[]
}

export type Operation =
  /** Adds or replaces. */
  | { readonly kind: 'pin'; readonly pin: Pin }
  | { readonly kind: 'unpin'; readonly cid: CidString }
  /** Adds or replaces. */
  | { readonly kind: 'peer-record'; readonly record: PeerRecord }
  /** Forgets a peer that was removed; no-op for a stranger. */
  | { readonly kind: 'peer-forget'; readonly peerId: PeerIdString }
  /** Opens a session, named by the index of this command. Never in a session itself. */
  | { readonly kind: 'session-open' }

/** What applying one command came to. The same on every peer. */
export type OpResult =
  | { readonly ok: true; readonly kind: 'pin' | 'peer-record' | 'peer-forget' }
  /** The session is named by the command's index. */
  | { readonly ok: true; readonly kind: 'session-open' }
  /** `pin` as it was before. */
  | { readonly ok: true; readonly kind: 'unpin'; readonly pin: Pin }
  | { readonly ok: false; readonly code: OpErrorCode; readonly message: string }

export type OpErrorCode =
  /** An unpin of what is not pinned. */
  | 'PIN_NOT_FOUND'
  /** More peer records than `MAX_PEER_RECORDS`. */
  | 'TOO_MANY_PEERS'
  /** The bytes are not what their kind says. */
  | 'MALFORMED'
  /** A kind or version that this release does not know. */
  | 'UNSUPPORTED'
  /** The command's session is not known any more. Nothing was applied now; an earlier try may have been. */
  | 'SESSION_EXPIRED'
  /** The client said that it needs no answer to this number any more. Nothing was applied now. */
  | 'SESSION_ANSWERED'
  /** The session has too many commands under way. Nothing was applied now, or before. */
  | 'SESSION_FULL'
  /** The command was applied before, and its result is no longer kept. */
  | 'RESULT_GONE'

/** Far above any cluster's size; bounds what a faulty member can make everybody hold in memory. */
export const MAX_PEER_RECORDS = 4096

const OP_VERSION = 1
/** On disk in the log: append only. */
const KIND = { pin: 1, unpin: 2, peerRecord: 3, peerForget: 4, sessionOpen: 5, inSession: 6 } as const

/** Numbers of a stamp end here: keys of the session table have so many digits. */
const STAMP_LIMIT = 2 ** 48

/** A command as read from the log. `record` is the pin's own bytes inside the command, which the state stores as they are. */
export type DecodedOperation = DecodedKind & {
  /** Undefined outside of a session. */
  readonly stamp?: SessionStamp
}

type DecodedKind =
  | { readonly kind: 'pin'; readonly pin: Pin; readonly cidBytes: Uint8Array; readonly record: Uint8Array }
  | { readonly kind: 'unpin'; readonly cid: CidString; readonly cidBytes: Uint8Array }
  | { readonly kind: 'peer-record'; readonly record: PeerRecord }
  | { readonly kind: 'peer-forget'; readonly peerId: PeerIdString }
  | { readonly kind: 'session-open' }
  | { readonly kind: 'error'; readonly code: 'MALFORMED' | 'UNSUPPORTED'; readonly message: string }

/**
 * The bytes of a command.
 *
 * @param stamp - its place in a session
 * @throws {TypeError | RangeError} when the operation holds something that has no encoding; nothing was proposed then
 */
export function encodeOperation(operation: Operation, stamp?: SessionStamp): Uint8Array {
  const writer = new ByteWriter()
  writer.byte(OP_VERSION)
  if (stamp !== undefined) {
    writer.byte(KIND.inSession)
    writer.varint(stamp.session)
    writer.varint(stamp.sequence)
    writer.varint(stamp.answeredThrough)
  }
  switch (operation.kind) {
    case 'pin':
      writer.byte(KIND.pin)
      writer.raw(encodePin(operation.pin))
      break
    case 'unpin':
      writer.byte(KIND.unpin)
      writer.raw(cidToBytes(operation.cid))
      break
    case 'peer-record':
      writer.byte(KIND.peerRecord)
      writer.raw(encodePeerRecord(operation.record))
      break
    case 'peer-forget':
      writer.byte(KIND.peerForget)
      writer.string(operation.peerId)
      break
    case 'session-open':
      writer.byte(KIND.sessionOpen)
      break
  }
  return writer.finish()
}

/** Reads a command; whatever is wrong with it comes back as `error`. Never throws. */
export function decodeOperation(payload: Uint8Array): DecodedOperation {
  const reader = new ByteReader(payload)
  return orError(() => {
    const version = reader.byte()
    if (version !== OP_VERSION) {
      return unsupported(`cannot apply a command of version ${version}: this release knows ${OP_VERSION}`)
    }
    const kind = reader.byte()
    if (kind !== KIND.inSession) return decodeKind(kind, reader)
    const stamp = { session: reader.varint(), sequence: reader.varint(), answeredThrough: reader.varint() }
    if (Math.max(stamp.session, stamp.sequence, stamp.answeredThrough) >= STAMP_LIMIT)
      throw new MalformedError('a number of its session is 2^48 or more')
    // Whatever is wrong from here on is the result of this number, as any other.
    return { ...orError(() => decodeInSession(reader)), stamp }
  })
}

function orError(decode: () => DecodedOperation): DecodedOperation {
  try {
    return decode()
  } catch (error) {
    if (error instanceof MalformedError)
      return { kind: 'error', code: 'MALFORMED', message: `cannot read the command: ${error.message}` }
    throw error
  }
}

const unsupported = (message: string): DecodedKind => ({ kind: 'error', code: 'UNSUPPORTED', message })

function decodeInSession(reader: ByteReader): DecodedKind {
  const kind = reader.byte()
  if (kind === KIND.sessionOpen) throw new MalformedError('it opens a session in a session')
  return decodeKind(kind, reader)
}

function decodeKind(kind: number, reader: ByteReader): DecodedKind {
  switch (kind) {
    case KIND.pin: {
      const record = reader.raw(reader.remaining)
      const { pin, cidBytes } = decodePin(record)
      return { kind: 'pin', pin, cidBytes, record }
    }
    case KIND.unpin: {
      const cidBytes = reader.raw(reader.remaining)
      return { kind: 'unpin', cid: cidFromBytes(cidBytes), cidBytes }
    }
    case KIND.peerRecord:
      return { kind: 'peer-record', record: decodePeerRecord(reader.raw(reader.remaining)) }
    case KIND.peerForget: {
      const peerId = reader.string()
      reader.end()
      return { kind: 'peer-forget', peerId }
    }
    case KIND.sessionOpen:
      reader.end()
      return { kind: 'session-open' }
    default:
      return unsupported(`cannot apply a command of kind ${kind}: this release does not know it`)
  }
}

export function encodePeerRecord(record: PeerRecord): Uint8Array {
  const writer = new ByteWriter()
  writer.string(record.peerId)
  writer.string(record.peername)
  writer.varint(record.addresses.length)
  for (const address of record.addresses) writer.string(address)
  return writer.finish()
}

/** @throws {MalformedError} when the bytes are not exactly one record */
export function decodePeerRecord(bytes: Uint8Array): PeerRecord {
  const reader = new ByteReader(bytes)
  const peerId = reader.string()
  // Peer IDs are keys in the state: only what a base58 or base32 text can hold.
  if (!/^[A-Za-z0-9]{1,128}$/.test(peerId))
    throw new MalformedError(`${JSON.stringify(peerId.slice(0, 160))} is not a peer ID`)
  const peername = reader.string()
  const count = reader.count(1)
  const addresses: MultiaddrString[] = []
  for (let index = 0; index < count; index++) addresses.push(reader.string())
  reader.end()
  return { peerId, peername, addresses }
}
