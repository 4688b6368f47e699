/**
 * One thing to be done for one CID: pin it, or unpin it. What an operation is, how it passes from state to state, and when it is
 * tried again. Pure; `operation-store.ts` keeps it on disk, `runner.ts` does it, `status.ts` shows it.
 *
 *   queued ──► running ──► done (the record is removed; from then on the IPFS node is asked how things stand)
 *     ▲           │
 *     └── error ◄─┘   waits until `dueAtMs`, with a delay that grows with each attempt
 *
 * `running` is not kept: after a restart what ran is queued. IPFS Cluster keeps none of this over a restart, waits the same
 * interval whatever the number of attempts, and never tries a failed unpin again (pintracker/optracker).
 */

import type { Pin } from '@quorate/client/api'
import { ByteReader, ByteWriter } from '../state/byte-codec.ts'
import { decodePin, encodePin } from '../state/pin-codec.ts'

export interface TrackerConfig {
  /** Pins under way at a time. @default 10 */
  readonly concurrentPins: number
  /** Pins submitted within this time are tried before older ones. @default 24 h */
  readonly priorityPinMaxAgeMs: number
  /** Attempts after which a pin has no priority any more. @default 5 */
  readonly priorityPinMaxRetries: number
  /** A pin that fetches nothing for so long has failed; 0: never. @default 2 min */
  readonly pinTimeoutMs: number
  /** An unpin that takes longer has failed; 0: never. @default 3 h */
  readonly unpinTimeoutMs: number
  /** How often the pinset is compared with the IPFS node; also the longest delay between attempts. @default 12 min */
  readonly recoverIntervalMs: number
  /** A pin that has fetched nothing for so long loses its place when others wait for one. @default 5 s */
  readonly stallGraceMs?: number
  /** Delay after the first failure; doubles with each. @default 5 s */
  readonly retryDelayMs?: number
}

export type OperationKind = 'pin' | 'unpin'

/** Immutable; a transition makes a new one. */
export interface Operation {
  readonly kind: OperationKind
  /** The pin as last heard of. */
  readonly pin: Pin
  readonly phase: 'queued' | 'error'
  /** Attempts that failed. 0 unless one did. */
  readonly attempts: number
  /** When it came to this phase. */
  readonly changedAtMs: number
  /** Not tried before. Equals `changedAtMs` when queued. */
  readonly dueAtMs: number
  /** The last attempt fetched nothing: it goes behind those that may fetch something. */
  readonly stalled: boolean
  /** Why the last attempt failed; empty when none did. */
  readonly error: string
}

/**
 * Order of attempts. Those that failed before come after all that did not, save that some places are theirs (`runner.ts`): new
 * content is never held up by content that nobody has.
 */
export type Lane = 'unpin' | 'fresh-priority' | 'fresh' | 'retry-priority' | 'retry'

export function queuedOperation(kind: OperationKind, pin: Pin, nowMs: number, previous?: Operation): Operation {
  const carried = previous?.kind === kind ? previous : undefined
  return {
    kind,
    pin,
    phase: 'queued',
    attempts: carried?.attempts ?? 0,
    changedAtMs: nowMs,
    dueAtMs: nowMs,
    // A new request is a reason to hope.
    stalled: false,
    error: carried?.error ?? ''
  }
}

/**
 * The operation after an attempt that failed: waits `retryDelayMs × 2^(attempts - 1)`, at most `recoverIntervalMs`, times a
 * random part in [0.75, 1.25), so that what failed together is not tried together. With 5 s: about 5, 10, 20, 40 s, … 12 min.
 *
 * @param random in [0, 1)
 */
export function failedOperation(
  operation: Operation,
  failure: { error: string; stalled: boolean },
  config: TrackerConfig,
  nowMs: number,
  random: number
): Operation {
  const attempts = operation.attempts + 1
  const first = config.retryDelayMs ?? 5000
  const delay = Math.min(first * 2 ** Math.min(attempts - 1, 30), config.recoverIntervalMs)
  return {
    ...operation,
    phase: 'error',
    attempts,
    changedAtMs: nowMs,
    dueAtMs: nowMs + Math.round(delay * (0.75 + random / 2)),
    stalled: failure.stalled,
    error: failure.error
  }
}

export function hasPriority(operation: Operation, config: TrackerConfig, nowMs: number): boolean {
  return (
    operation.kind === 'pin' &&
    operation.attempts <= config.priorityPinMaxRetries &&
    nowMs - operation.pin.timestampMs < config.priorityPinMaxAgeMs
  )
}

export function laneOf(operation: Operation, config: TrackerConfig): Lane {
  if (operation.kind === 'unpin') return 'unpin'
  // Judged as of the last change, so that an operation stays where it was filed.
  const priority = hasPriority(operation, config, operation.changedAtMs)
  if (operation.phase === 'error') return priority ? 'retry-priority' : 'retry'
  return priority ? 'fresh-priority' : 'fresh'
}

/** True if an attempt at `a` that is under way does what `b` asks for. */
export function sameWork(a: Operation, b: Operation): boolean {
  return (
    a.kind === b.kind &&
    (a.kind === 'unpin' ||
      (a.pin.mode === b.pin.mode &&
        a.pin.pinUpdate === b.pin.pinUpdate &&
        a.pin.origins.length === b.pin.origins.length &&
        a.pin.origins.every((origin, position) => origin === b.pin.origins[position])))
  )
}

/** What a person is told of an operation: why it failed, how often, and what happens next. */
export function describeOperation(operation: Operation, running: boolean, nowMs: number): string {
  if (operation.error === '') return ''
  const attempt = `attempt ${operation.attempts}`
  if (running) return `${operation.error}; ${attempt}, trying again now`
  if (operation.phase === 'queued') return `${operation.error}; ${attempt}, queued to be tried again`
  const waitMs = operation.dueAtMs - nowMs
  return `${operation.error}; ${attempt}, ${waitMs <= 0 ? 'next try as soon as there is a place' : `next try in ${formatSeconds(waitMs)}`}`
}

export function formatSeconds(durationMs: number): string {
  const seconds = Math.max(1, Math.round(durationMs / 1000))
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.round(seconds / 60)
  return minutes < 120 ? `${minutes}m` : `${Math.round(minutes / 60)}h`
}

const OPERATION_VERSION = 1

export function encodeOperation(operation: Operation): Uint8Array {
  const writer = new ByteWriter()
  writer.byte(OPERATION_VERSION)
  writer.byte(
    (operation.kind === 'unpin' ? 1 : 0) | (operation.phase === 'error' ? 2 : 0) | (operation.stalled ? 4 : 0)
  )
  writer.varint(operation.attempts)
  writer.varint(Math.max(0, Math.floor(operation.changedAtMs)))
  writer.varint(Math.max(0, Math.floor(operation.dueAtMs)))
  writer.string(operation.error)
  writer.bytes(encodePin(operation.pin))
  return writer.finish()
}

/** @throws {MalformedError} when it was written by another release; the comparison at start makes it anew */
export function decodeOperation(bytes: Uint8Array): Operation {
  const reader = new ByteReader(bytes)
  if (reader.byte() !== OPERATION_VERSION) throw new TypeError('an operation of another version')
  const flags = reader.byte()
  return {
    kind: (flags & 1) === 0 ? 'pin' : 'unpin',
    phase: (flags & 2) === 0 ? 'queued' : 'error',
    stalled: (flags & 4) !== 0,
    attempts: reader.varint(),
    changedAtMs: reader.varint(),
    dueAtMs: reader.varint(),
    error: reader.string(),
    pin: decodePin(reader.bytes()).pin
  }
}
