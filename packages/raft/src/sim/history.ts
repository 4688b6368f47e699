/**
 * What happened: a rolling hash over every event of a run, and the last few hundred events in words for the report of a failure.
 *
 * Two runs of the same seed must end with the same hash; that is the proof that nothing but the seed decides. Events are kept
 * as numbers and references and become words only when somebody asks.
 */

import type { Message } from '../core/messages.ts'

/** What an event of the trace is. */
export const TraceCode = {
  deliver: 1,
  lost: 2,
  send: 3,
  persist: 4,
  durable: 5,
  apply: 6,
  applied: 7,
  role: 8,
  config: 9,
  crash: 10,
  start: 11,
  pause: 12,
  resume: 13,
  cut: 14,
  heal: 15,
  proposed: 16,
  acknowledged: 17,
  refused: 18,
  read: 19,
  readReady: 20,
  change: 21,
  transfer: 22,
  snapshot: 23,
  install: 24,
  compact: 25,
  alarm: 26,
  phase: 27
} as const
export type TraceCode = (typeof TraceCode)[keyof typeof TraceCode]

const names: readonly string[] = ['', ...Object.keys(TraceCode)]

/** Of the code of a message's type, in its digest. */
const TYPE_FACTOR = 0x0100_0193

/** A number that tells most messages apart, for the trace hash. */
export function messageDigest(message: Message): number {
  switch (message.type) {
    case 'append-entries-request':
      return (
        (5 * TYPE_FACTOR + message.term) ^
        (message.prevIndex << 4) ^
        (message.entries.length << 20) ^
        (message.commitIndex << 9) ^
        message.prevChain
      )
    case 'append-entries-response':
      return (
        (6 * TYPE_FACTOR + message.term) ^ (message.index << 4) ^ (message.success ? 1 << 30 : message.hintIndex << 12)
      )
    case 'pre-vote-request':
      return (TYPE_FACTOR + message.term) ^ (message.lastIndex << 4) ^ (message.lastTerm << 18)
    case 'pre-vote-response':
      return (2 * TYPE_FACTOR + message.term) ^ (message.granted ? 1 << 30 : 0)
    case 'vote-request':
      return (3 * TYPE_FACTOR + message.term) ^ (message.lastIndex << 4) ^ (message.lastTerm << 18)
    case 'vote-response':
      return (4 * TYPE_FACTOR + message.term) ^ (message.granted ? 1 << 30 : 0)
    case 'install-snapshot-request':
      return 7 * TYPE_FACTOR + message.term
    case 'install-snapshot-response':
      return 8 * TYPE_FACTOR + message.term
    case 'timeout-now':
      return 9 * TYPE_FACTOR + message.term
    case 'read-index-request':
      return 10 * TYPE_FACTOR + message.term
    case 'read-index-response':
      return 11 * TYPE_FACTOR + message.term
    case 'digest-report':
      return 12 * TYPE_FACTOR + message.term
    case 'digest-verdict':
      return 13 * TYPE_FACTOR + message.term
  }
}

/** A message in words, its entries counted and not shown. */
export function describeMessage(message: Message): string {
  const parts: string[] = [message.type]
  for (const [key, value] of Object.entries(message)) {
    if (key === 'type' || value === undefined) continue
    if (key === 'entries') {
      const entries = value as readonly { index: number; term: number }[]
      if (entries.length > 0) parts.push(`entries=${entries.map((entry) => `${entry.index}/${entry.term}`).join(',')}`)
    } else if (key === 'base') {
      const base = value as { index: number; term: number }
      parts.push(`base=${base.index}/${base.term}`)
    } else {
      parts.push(`${key}=${String(value)}`)
    }
  }
  return parts.join(' ')
}

/** A power of two. */
const KEPT = 1024

export class History {
  #high = 0x9e37_79b9
  #low = 0x85eb_ca6b
  #count = 0
  readonly #times = new Float64Array(KEPT)
  readonly #codes = new Uint8Array(KEPT)
  readonly #slots = new Int8Array(KEPT)
  readonly #firsts = new Float64Array(KEPT)
  readonly #seconds = new Float64Array(KEPT)
  readonly #notes: unknown[] = new Array<unknown>(KEPT)

  /**
   * Records one event.
   *
   * @param slot - the node concerned, -1 for none
   * @param a - hashed and shown, as is `b`
   * @param note - a message or a text, shown and not hashed
   */
  note(timeUs: number, code: TraceCode, slot: number, a: number, b: number, note: unknown): void {
    let low = Math.imul(this.#low ^ (timeUs | 0), 0x0100_0193)
    low = Math.imul(low ^ (code | (slot << 8)), 0x0100_0193)
    low = Math.imul(low ^ (a | 0), 0x0100_0193)
    low = Math.imul(low ^ (b | 0), 0x0100_0193)
    this.#low = low
    this.#high = Math.imul(this.#high ^ low ^ (low >>> 15), 0x85eb_ca6b)
    const at = this.#count++ & (KEPT - 1)
    this.#times[at] = timeUs
    this.#codes[at] = code
    this.#slots[at] = slot
    this.#firsts[at] = a
    this.#seconds[at] = b
    this.#notes[at] = note
  }

  /** The hash of all events so far, 16 hexadecimal digits. */
  hash(): string {
    return (this.#high >>> 0).toString(16).padStart(8, '0') + (this.#low >>> 0).toString(16).padStart(8, '0')
  }

  /** The last events in words, oldest first. */
  last(count: number): string[] {
    const lines: string[] = []
    for (let i = Math.max(0, this.#count - Math.min(count, KEPT)); i < this.#count; i++)
      lines.push(this.#line(i % KEPT))
    return lines
  }

  #line(at: number): string {
    const code = this.#codes[at] as TraceCode
    const slot = this.#slots[at] as number
    const note = this.#notes[at]
    const a = this.#firsts[at] as number
    const time = `${((this.#times[at] as number) / 1000).toFixed(3).padStart(11)} ms`
    const who = slot < 0 ? '--' : `n${slot}`
    const what = (names[code] ?? '?').padEnd(12)
    if (typeof note === 'object' && note !== null && 'type' in note) {
      return `${time} ${who} ${what} ${code === TraceCode.send ? 'to' : 'from'} n${a} ${describeMessage(note as Message)}`
    }
    const words = note === undefined ? '' : String(note)
    return `${time} ${who} ${what} ${a} ${this.#seconds[at]} ${words}`.trimEnd()
  }
}
