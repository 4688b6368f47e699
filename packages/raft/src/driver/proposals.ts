/**
 * Commands on their way from a caller to the state machine and back. All that callers hand in within one turn is proposed
 * together: one input for the core, one record batch on disk, one message to each peer. Used by `driver.ts`.
 *
 * A call that was appended waits in `#waiting`, in the order of its indexes, until the entries at its indexes are applied. Whether
 * they are its own is told by the term: the log is what it was appended to exactly if the entry at its index has its term.
 */

import type { Committed } from '../api.ts'
import { type Entry, EntryKind, type Index, type NodeId, type RefusalReason, type Term } from '../core/types.ts'
import { NotLeaderError, OutcomeUnknownError, ProposalLostError, ProposalRefusedError } from '../errors.ts'
import type { Meter } from './metrics.ts'

/** Limits of one `propose` input, which the core takes or refuses as a whole. */
const MAX_INPUT_ENTRIES = 16_384
const MAX_INPUT_BYTES = 4 * 1024 * 1024
/** Most bytes of one call: it is written at once, and held in memory until it is committed. */
const MAX_CALL_BYTES = 64 * 1024 * 1024

interface Call<Result> {
  readonly commands: readonly Uint8Array[]
  readonly bytes: number
  readonly results: Committed<Result>[]
  first: Index
  last: Index
  term: Term
  /** When it was proposed. Milliseconds. */
  atMs: number
  readonly settle: (outcome: readonly Committed<Result>[] | Error) => void
  settled: boolean
}

/** Told of what becomes of calls (`metrics.ts`). */
export type ProposalMeter = Pick<Meter, 'onAccepted' | 'onRefused' | 'onCommitted'>

export class Proposals<Result> {
  readonly #maxEntryBytes: number
  readonly #wake: () => void
  readonly #meter: ProposalMeter | undefined
  /** Handed in, and not proposed yet. */
  #queued: Call<Result>[] = []
  /** Proposed; the core answers within the same turn. */
  readonly #asked = new Map<number, readonly Call<Result>[]>()
  /** Appended. Sorted by index, and so by term; `#head` is the first that still waits. */
  #waiting: Call<Result>[] = []
  #head = 0

  /** @param wake - asks for a turn */
  constructor(maxEntryBytes: number, wake: () => void, meter?: ProposalMeter) {
    this.#meter = meter
    this.#maxEntryBytes = maxEntryBytes
    this.#wake = wake
  }

  get queued(): boolean {
    return this.#queued.length > 0
  }

  add(commands: readonly Uint8Array[], signal: AbortSignal | undefined): Promise<readonly Committed<Result>[]> {
    let bytes = 0
    for (const command of commands) {
      bytes += command.length
      if (command.length > this.#maxEntryBytes) {
        const detail = `the command has ${command.length} bytes, at most ${this.#maxEntryBytes} are allowed`
        return Promise.reject(new ProposalRefusedError('too-large', detail))
      }
    }
    if (bytes > MAX_CALL_BYTES) {
      const detail = `the commands have ${bytes} bytes together, at most ${MAX_CALL_BYTES} are allowed`
      return Promise.reject(new ProposalRefusedError('too-large', detail))
    }
    if (commands.length === 0) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      const onAbort = () =>
        call.settle(new OutcomeUnknownError('the caller stopped waiting', { cause: signal?.reason }))
      const call: Call<Result> = {
        commands,
        bytes,
        results: [],
        first: 0,
        last: 0,
        term: 0,
        atMs: 0,
        settled: false,
        settle: (outcome) => {
          if (call.settled) return
          call.settled = true
          signal?.removeEventListener('abort', onAbort)
          if (outcome instanceof Error) reject(outcome)
          else resolve(outcome)
        }
      }
      if (signal?.aborted) {
        onAbort()
        return
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#queued.push(call)
      this.#wake()
    })
  }

  /** The next payloads to propose together; undefined when nothing is queued. */
  take(ticket: number, nowMs: number): Uint8Array[] | undefined {
    const payloads: Uint8Array[] = []
    const calls: Call<Result>[] = []
    let bytes = 0
    let count = 0
    for (const call of this.#queued) {
      const entries = payloads.length + call.commands.length
      if (calls.length > 0 && (entries > MAX_INPUT_ENTRIES || bytes + call.bytes > MAX_INPUT_BYTES)) break
      count++
      // Its caller is gone, and nothing was appended: the kindest of unknown outcomes.
      if (call.settled) continue
      call.atMs = nowMs
      calls.push(call)
      bytes += call.bytes
      for (const command of call.commands) payloads.push(command)
    }
    if (count === this.#queued.length) this.#queued = []
    else this.#queued.splice(0, count)
    if (calls.length === 0) return undefined
    this.#asked.set(ticket, calls)
    return payloads
  }

  /** @returns whether the ticket was one of a proposal */
  onProposed(ticket: number, first: Index, term: Term): boolean {
    const calls = this.#asked.get(ticket)
    if (calls === undefined) return false
    this.#asked.delete(ticket)
    // What this leader appends here is not what an earlier leadership of this node had appended here, so that is gone.
    while (this.#waiting.length > this.#head && this.#waiting.at(-1)!.last >= first) {
      const call = this.#waiting.pop()!
      this.#lose(call, term, Math.max(first - call.first, 0))
    }
    let index = first
    for (const call of calls) {
      call.first = index
      call.last = index + call.commands.length - 1
      call.term = term
      index = call.last + 1
      this.#waiting.push(call)
    }
    this.#meter?.onAccepted(index - first)
    return true
  }

  /** @returns whether the ticket was one of a proposal */
  onRefused(ticket: number, reason: RefusalReason, leader: NodeId | undefined, detail: string): boolean {
    const calls = this.#asked.get(ticket)
    if (calls === undefined) return false
    this.#asked.delete(ticket)
    for (const call of calls) {
      this.#meter?.onRefused(reason)
      call.settle(refusal(reason, leader, detail))
    }
    return true
  }

  /**
   * Entries were applied, in order.
   *
   * @param results - one for each entry that is a command
   */
  onApplied(entries: readonly Entry[], results: readonly Result[], nowMs: number): void {
    let result = 0
    for (const entry of entries) {
      const value = entry.kind === EntryKind.command ? results[result++] : undefined
      let call = this.#waiting[this.#head]
      // Terms never fall along the log, so a call of a lower term has no place at this index or after it. One of a higher term had its
      // place here: the next leader replaced it by what an earlier one had left on a majority.
      while (call !== undefined && (call.term < entry.term || (call.term > entry.term && call.first <= entry.index))) {
        this.#head++
        this.#lose(call, entry.term, call.results.length)
        call = this.#waiting[this.#head]
      }
      if (call === undefined || entry.index < call.first) continue
      call.results.push({ index: entry.index, term: entry.term, result: value as Result })
      if (entry.index < call.last) continue
      this.#head++
      this.#meter?.onCommitted(nowMs - call.atMs)
      call.settle(call.results)
    }
    this.#trim()
  }

  /** The state jumped to `index`: what was at or below it is not known. */
  onRestored(index: Index): void {
    for (let call = this.#waiting[this.#head]; call !== undefined && call.first <= index; ) {
      call.settle(new OutcomeUnknownError(`the state was replaced by a snapshot at ${index}`))
      call = this.#waiting[++this.#head]
    }
    this.#trim()
  }

  /** Nothing more will be known. */
  stop(why: string): void {
    for (const call of this.#queued) call.settle(new ProposalRefusedError('stopped', why))
    for (const calls of this.#asked.values()) for (const call of calls) call.settle(new OutcomeUnknownError(why))
    for (const call of this.#waiting) call.settle(new OutcomeUnknownError(why))
    this.#queued = []
    this.#asked.clear()
    this.#waiting = []
    this.#head = 0
  }

  /** @param kept - how many of its first commands are applied, or may be yet */
  #lose(call: Call<Result>, term: Term, kept: number): void {
    if (kept > 0) {
      const rest = `${call.commands.length - kept} were replaced by another leader`
      call.settle(
        new OutcomeUnknownError(`of its ${call.commands.length} commands ${rest}, the first ${kept} were not`)
      )
      return
    }
    call.settle(new ProposalLostError(call.first, `it was of term ${call.term}, the log there is of term ${term}`))
  }

  #trim(): void {
    if (this.#head < 1024 && this.#head < this.#waiting.length) return
    this.#waiting = this.#waiting.slice(this.#head)
    this.#head = 0
  }
}

/** The error that says why the core did not take a request. */
export function refusal(reason: RefusalReason, leader: NodeId | undefined, detail: string): Error {
  return reason === 'not-leader' ? new NotLeaderError(leader) : new ProposalRefusedError(reason, detail)
}
