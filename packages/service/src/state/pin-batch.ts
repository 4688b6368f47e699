/**
 * What the commands of one batch do to the state, before it is written: the records that change, the changes to tell of, the sessions,
 * and the digest. Called by `pinset-state.ts`.
 *
 * The digest is a chain of CRC-32 over what each command did, with its index: what it wrote or took away, and how it was answered.
 * Two peers that stand at one index and did the same have the same digest, however their commands were batched; one that applied a
 * command twice, or otherwise than the others, keeps another one for good (T43, T45). It begins at the first session that is opened,
 * so that states which were begun without one, by an older release, begin it at the same command.
 */

import { crc32 } from 'node:zlib'
import type { PeerIdString } from '@quorate/client/api'
import type { SessionTable } from '@quorate/raft'
import type { PinsetChange } from '../ports.ts'
import { decodeResult, encodeResult, type SessionResult } from './op-results.ts'
import {
  type DecodedOperation,
  encodePeerRecord,
  MAX_PEER_RECORDS,
  type OpErrorCode,
  type OpResult,
  type PeerRecord
} from './ops.ts'
import { decodePin } from './pin-codec.ts'
import { type Books, PEER_PREFIX, PIN_PREFIX, SESSION_PREFIX, type StateStore, type StoreWrite } from './state-store.ts'

export function pinKey(cidBytes: Uint8Array): string {
  return PIN_PREFIX + Buffer.from(cidBytes.buffer, cidBytes.byteOffset, cidBytes.byteLength).toString('hex')
}

/** How a command ended, in the digest. Never changed: peers of different releases compare. */
const OUTCOME = {
  error: 0,
  pin: 1,
  unpin: 2,
  'peer-record': 3,
  'peer-forget': 4,
  'session-open': 5,
  /** Answered from the session, whatever the answer was. */
  repeated: 6
} as const

const refusal = (code: OpErrorCode, message: string): SessionResult => ({ ok: false, code, message })

const REFUSALS = {
  'session-expired': refusal('SESSION_EXPIRED', 'the session that the command belongs to has ended'),
  'already-answered': refusal('SESSION_ANSWERED', 'whoever sent the command needs no answer any more'),
  'window-exceeded': refusal('SESSION_FULL', 'too many commands of the session are under way')
} as const
const RESULT_GONE = refusal('RESULT_GONE', 'it was done, and what came of it is no longer kept')

/** The effect of some commands, one after the other, before it is written. */
export class PinBatch {
  pinCount: number
  digest: number | undefined
  peers: Map<PeerIdString, PeerRecord>
  readonly changes: PinsetChange[] = []
  /** What the pins touched are by now; undefined if absent. Filled by `load` for every key that a command names. */
  readonly #pins = new Map<string, Uint8Array | undefined>()
  readonly #touched = new Set<string>()
  readonly #touchedPeers = new Set<PeerIdString>()

  readonly #sessions: SessionTable
  readonly #digestHead = Buffer.alloc(7)

  /** Changes `sessions` in place. */
  constructor({ pinCount, digest }: Books, peers: Map<PeerIdString, PeerRecord>, sessions: SessionTable) {
    this.pinCount = pinCount
    this.digest = digest
    this.peers = peers
    this.#sessions = sessions
  }

  async load(store: StateStore, operations: readonly DecodedOperation[]): Promise<void> {
    const keys = new Set<string>()
    for (const operation of operations) {
      if (operation.kind === 'pin' || operation.kind === 'unpin') keys.add(pinKey(operation.cidBytes))
    }
    const list = [...keys]
    const values = await store.getMany(list)
    for (const [position, key] of list.entries()) this.#pins.set(key, values[position])
  }

  /** Applies the command at `index`, unless its session says that it was, or may not be (T44). */
  apply(index: number, operation: DecodedOperation): OpResult {
    const { stamp } = operation
    if (operation.kind === 'session-open') {
      this.#sessions.open(index)
      this.digest ??= 0
      this.#chain(index, OUTCOME['session-open'])
      return { ok: true, kind: 'session-open' }
    }
    if (stamp === undefined) return this.#perform(index, operation).result
    const admission = this.#sessions.admit(index, stamp)
    switch (admission.type) {
      case 'new': {
        const { result, record } = this.#perform(index, operation)
        this.#sessions.record(stamp, encodeResult(result, record))
        return result
      }
      case 'repeated':
        this.#chain(index, OUTCOME.repeated)
        return admission.result === undefined ? RESULT_GONE : decodeResult(admission.result)
      case 'refused':
        return this.#failed(index, REFUSALS[admission.reason])
    }
  }

  #failed(index: number, result: SessionResult): SessionResult {
    this.#chain(index, OUTCOME.error, result.ok ? undefined : Buffer.from(result.code))
    return result
  }

  #done(
    index: number,
    result: Extract<SessionResult, { ok: true }>,
    record: Uint8Array
  ): { result: SessionResult; record: Uint8Array } {
    this.#chain(index, OUTCOME[result.kind], record)
    return { result, record }
  }

  /** @param effect - the bytes that were written, or taken away */
  #chain(index: number, outcome: number, effect?: Uint8Array): void {
    if (this.digest === undefined) return
    const head = this.#digestHead
    head.writeUIntLE(index, 0, 6)
    head[6] = outcome
    this.digest = crc32(head, this.digest)
    if (effect !== undefined) this.digest = crc32(effect, this.digest)
  }

  #perform(
    index: number,
    operation: Exclude<DecodedOperation, { kind: 'session-open' }>
  ): { result: SessionResult; record: Uint8Array | undefined } {
    const failed = (code: OpErrorCode, message: string) => ({
      result: this.#failed(index, refusal(code, message)),
      record: undefined
    })
    switch (operation.kind) {
      case 'pin': {
        const key = pinKey(operation.cidBytes)
        if (this.#pins.get(key) === undefined) this.pinCount++
        this.#pins.set(key, operation.record)
        this.#touched.add(key)
        this.changes.push({ type: 'pin', pin: operation.pin })
        return this.#done(index, { ok: true, kind: 'pin' }, operation.record)
      }
      case 'unpin': {
        const { cid } = operation
        const key = pinKey(operation.cidBytes)
        const record = this.#pins.get(key)
        if (record === undefined) return failed('PIN_NOT_FOUND', `cannot unpin ${cid}: it is not part of the pinset`)
        const { pin } = decodePin(record)
        this.pinCount--
        this.#pins.set(key, undefined)
        this.#touched.add(key)
        this.changes.push({ type: 'unpin', cid, pin })
        return this.#done(index, { ok: true, kind: 'unpin', pin }, record)
      }
      case 'peer-record': {
        const { record } = operation
        if (!this.peers.has(record.peerId) && this.peers.size >= MAX_PEER_RECORDS) {
          return failed(
            'TOO_MANY_PEERS',
            `cannot take the addresses of ${record.peerId}: those of ${this.peers.size} peers are held`
          )
        }
        this.#ownPeers().set(record.peerId, record)
        this.#touchedPeers.add(record.peerId)
        return this.#done(index, { ok: true, kind: 'peer-record' }, encodePeerRecord(record))
      }
      case 'peer-forget':
        if (this.peers.has(operation.peerId)) {
          this.#ownPeers().delete(operation.peerId)
          this.#touchedPeers.add(operation.peerId)
        }
        return this.#done(index, { ok: true, kind: 'peer-forget' }, Buffer.from(operation.peerId))
      case 'error':
        return failed(operation.code, operation.message)
    }
  }

  *writes(): Generator<StoreWrite> {
    for (const key of this.#touched) yield { key, value: this.#pins.get(key) }
    for (const peerId of this.#touchedPeers) {
      const record = this.peers.get(peerId)
      yield { key: PEER_PREFIX + peerId, value: record === undefined ? undefined : encodePeerRecord(record) }
    }
    for (const { key, value } of this.#sessions.takeChanges()) yield { key: SESSION_PREFIX + key, value }
  }

  /** A copy at the first change: readers keep the old map until the batch is written. */
  #ownPeers(): Map<PeerIdString, PeerRecord> {
    if (this.#touchedPeers.size === 0) this.peers = new Map(this.peers)
    return this.peers
  }
}
