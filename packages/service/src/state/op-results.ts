/**
 * Results of commands as bytes: what a session keeps of a command, to be answered again (`pinset-state.ts`). A few bytes for most; that
 * of an unpin has the pin's record.
 */

import { ByteReader, ByteWriter } from './byte-codec.ts'
import type { OpErrorCode, OpResult } from './ops.ts'
import { decodePin } from './pin-codec.ts'

/** On disk in the state: append only. */
const CODE = { pin: 1, unpin: 2, peerRecord: 3, peerForget: 4, error: 5 } as const

const PLAIN = {
  pin: Uint8Array.of(CODE.pin),
  'peer-record': Uint8Array.of(CODE.peerRecord),
  'peer-forget': Uint8Array.of(CODE.peerForget)
} as const

/** Result of a command that can stand in a session. */
export type SessionResult = Exclude<OpResult, { readonly kind: 'session-open' }>

/** @param record - of an unpin that was done: the bytes of the pin as it was */
export function encodeResult(result: SessionResult, record: Uint8Array | undefined): Uint8Array {
  if (result.ok && result.kind !== 'unpin') return PLAIN[result.kind]
  const writer = new ByteWriter(1 + (record?.length ?? 64))
  if (result.ok) {
    writer.byte(CODE.unpin)
    writer.raw(record ?? new Uint8Array(0))
  } else {
    writer.byte(CODE.error)
    writer.string(result.code)
    writer.string(result.message)
  }
  return writer.finish()
}

/** @throws {MalformedError} when it is none */
export function decodeResult(bytes: Uint8Array): OpResult {
  const reader = new ByteReader(bytes)
  switch (reader.byte()) {
    case CODE.pin:
      return { ok: true, kind: 'pin' }
    case CODE.peerRecord:
      return { ok: true, kind: 'peer-record' }
    case CODE.peerForget:
      return { ok: true, kind: 'peer-forget' }
    case CODE.unpin:
      return { ok: true, kind: 'unpin', pin: decodePin(reader.raw(reader.remaining)).pin }
    default:
      return { ok: false, code: reader.string() as OpErrorCode, message: reader.string() }
  }
}
