/**
 * Exactly once (dissertation §6.3, T44): what a replicated state remembers of its clients, so that a command that is proposed again,
 * since nobody knows what became of it, is answered again and not applied again.
 *
 * A client opens a session by a command of the log; the session is named by that command's index. It numbers its commands, and says
 * with each up to which number it needs no answer any more. A state machine asks `admit` before it applies a command, and tells
 * `record` what came of it. The table is part of the replicated state: a function of the log alone, without clocks, kept in the
 * state's snapshots and in its durable form, in the same atomic write as what the commands changed. `session-rows.ts` has its bytes,
 * `session-client.ts` the other side. Called by state machines; calls nothing.
 *
 * What grows is bounded, by rules that every node applies at the same entry: so many sessions, of which the one that was used longest
 * ago goes; so many commands of a session at a time; so many bytes of results, of which the oldest go, and leave behind that their
 * command was applied.
 */

import type { Index } from '../core/types.ts'
import { decodeHead, decodePage, encodeHead, encodePage, PAGE_RESULTS, pageKey, parseKey } from './session-rows.ts'

/** Bounds of a table. They decide what is applied: all nodes of a group must have the same. */
export interface SessionLimits {
  /** Most sessions; opening one more ends the one that was used longest ago. @default 256 */
  readonly maxSessions: number
  /** Most numbers of a session at a time, counted from the first that is not known to be answered. @default 4096 */
  readonly maxWindow: number
  /** Most bytes of results that are kept for a session. @default 512 KiB */
  readonly maxResultBytes: number
}

/** What a table has unless it is told otherwise. */
export const defaultSessionLimits: SessionLimits = {
  maxSessions: 256,
  maxWindow: 4096,
  maxResultBytes: 512 * 1024
}

/** What a client says with a command. All are safe integers below 2^48. */
export interface SessionStamp {
  /** The index of the command that opened the session. */
  readonly session: Index
  /** From 1 on, each once. */
  readonly sequence: number
  /** Every number up to here is answered, or will not be asked for again. Below `sequence`. */
  readonly answeredThrough: number
}

/** Why a command of a session is not applied. */
export type SessionRefusal =
  /** There is no such session, or no longer: whether an earlier try of the command was applied is not known here. */
  | 'session-expired'
  /** The client has said that it needs no answer: a late copy. */
  | 'already-answered'
  /** The number is too far beyond the first that is not answered. */
  | 'window-exceeded'

/** What is to be done with a command of a session. */
export type Admission =
  /** Apply it, and `record` what came of it. */
  | { readonly type: 'new' }
  /** It was applied before, with this result; undefined if the result is no longer kept. */
  | { readonly type: 'repeated'; readonly result: Uint8Array | undefined }
  /** Apply nothing. */
  | { readonly type: 'refused'; readonly reason: SessionRefusal }

/** One record of the table as a database keeps it. Keys are ASCII, and sort in the order in which the records are to be read. */
export interface SessionRow {
  readonly key: string
  /** Undefined: the record goes. */
  readonly value: Uint8Array | undefined
}

/** A record that is there. */
export type StoredSessionRow = SessionRow & { readonly value: Uint8Array }

interface Session {
  readonly id: Index
  lastUsedIndex: Index
  answeredThrough: number
  /** Results by number, all above `answeredThrough` and at most `maxWindow` above it; undefined for one that is no longer kept. */
  readonly results: Map<number, Uint8Array | undefined>
  /** Of `results`. */
  resultBytes: number
}

const NEW: Admission = { type: 'new' }
const refused = (reason: SessionRefusal): Admission => ({ type: 'refused', reason })
const EXPIRED = refused('session-expired')
const ANSWERED = refused('already-answered')
const EXCEEDED = refused('window-exceeded')

const pageOf = (sequence: number): number => Math.floor(sequence / PAGE_RESULTS)

/**
 * The sessions of a replicated state.
 *
 * @example
 * const session = table.open(command.index)
 * // and for each later command of that client:
 * const admission = table.admit(index, stamp)
 * if (admission.type === 'new') table.record(stamp, encodeResult(apply(command)))
 * // with each batch of the state:
 * for (const { key, value } of table.takeChanges()) batch.put(`/s/${key}`, value)
 */
export class SessionTable {
  readonly #limits: SessionLimits
  /** By id, the one that was used longest ago first. */
  readonly #sessions = new Map<Index, Session>()
  /** Sessions whose first record changed, or which ended, since `takeChanges`. */
  readonly #changedHeads = new Set<Index>()
  /** Pages of results that changed since, by session. */
  readonly #changedPages = new Map<Index, Set<number>>()

  constructor(limits: SessionLimits = defaultSessionLimits) {
    this.#limits = limits
  }

  /**
   * The table whose records these are, in the order of their keys.
   *
   * @throws {RangeError} when they are not the records of a table with these limits
   */
  static async fromRows(
    rows: AsyncIterable<StoredSessionRow> | Iterable<StoredSessionRow>,
    limits: SessionLimits = defaultSessionLimits
  ): Promise<SessionTable> {
    const table = new SessionTable(limits)
    for await (const row of rows) table.#load(row)
    table.#sortByUse()
    return table
  }

  /** The same for records that are at hand. @throws {RangeError} */
  static of(rows: Iterable<StoredSessionRow>, limits: SessionLimits = defaultSessionLimits): SessionTable {
    const table = new SessionTable(limits)
    for (const row of rows) table.#load(row)
    table.#sortByUse()
    return table
  }

  #load({ key, value }: StoredSessionRow): void {
    const { session: id, page } = parseKey(key)
    const known = this.#sessions.get(id)
    if (page !== undefined) {
      if (known === undefined) throw new RangeError(`there are results of session ${id}, and no such session`)
      this.#loadPage(known, page, value)
      return
    }
    if (known !== undefined) throw new RangeError(`session ${id} is there twice`)
    if (this.#sessions.size === this.#limits.maxSessions) {
      throw new RangeError(`there are more than ${this.#sessions.size} sessions`)
    }
    this.#sessions.set(id, { id, ...decodeHead(value), results: new Map(), resultBytes: 0 })
  }

  #sortByUse(): void {
    const sorted = [...this.#sessions.values()].sort((a, b) => a.lastUsedIndex - b.lastUsedIndex)
    this.#sessions.clear()
    for (const session of sorted) this.#sessions.set(session.id, session)
  }

  #loadPage(session: Session, page: number, value: Uint8Array): void {
    for (const { sequence, result } of decodePage(page, value)) {
      const { answeredThrough } = session
      if (sequence <= answeredThrough || sequence > answeredThrough + this.#limits.maxWindow) {
        throw new RangeError(`session ${session.id} keeps ${sequence}, and is answered through ${answeredThrough}`)
      }
      if (session.results.has(sequence)) throw new RangeError(`session ${session.id} keeps ${sequence} twice`)
      session.results.set(sequence, result)
      session.resultBytes += result?.length ?? 0
    }
    if (session.resultBytes > this.#limits.maxResultBytes) {
      throw new RangeError(`session ${session.id} keeps more than ${this.#limits.maxResultBytes} bytes`)
    }
  }

  /** Sessions that there are. */
  get size(): number {
    return this.#sessions.size
  }

  /** Opens the session that the command at `index` asks for; the one used longest ago goes if there are too many. @returns its name */
  open(index: Index): Index {
    this.#sessions.set(index, {
      id: index,
      lastUsedIndex: index,
      answeredThrough: 0,
      results: new Map(),
      resultBytes: 0
    })
    this.#changedHeads.add(index)
    if (this.#sessions.size > this.#limits.maxSessions) {
      const [oldest] = this.#sessions.values()
      this.#end(oldest!)
    }
    return index
  }

  /**
   * What is to be done with the command at `index`. Indexes rise from call to call. Takes note of what the client needs no more,
   * so it is to be called exactly once for each command of the log that has a stamp.
   */
  admit(index: Index, stamp: SessionStamp): Admission {
    const session = this.#sessions.get(stamp.session)
    if (session === undefined) return EXPIRED
    this.#use(session, index)
    this.#forget(session, Math.min(stamp.answeredThrough, stamp.sequence - 1))
    const { sequence } = stamp
    if (sequence <= session.answeredThrough) return ANSWERED
    if (session.results.has(sequence)) return { type: 'repeated', result: session.results.get(sequence) }
    return sequence > session.answeredThrough + this.#limits.maxWindow ? EXCEEDED : NEW
  }

  /**
   * Keeps the result of a command that was admitted as new, until its client needs it no more. Shares memory with `result`.
   *
   * @throws {Error} when there is no such session: the command was not admitted
   */
  record(stamp: SessionStamp, result: Uint8Array): void {
    const session = this.#sessions.get(stamp.session)
    if (session === undefined) throw new Error(`There is no session ${stamp.session} to keep a result for`)
    session.results.set(stamp.sequence, result)
    session.resultBytes += result.length
    this.#changePage(session, stamp.sequence)
    this.#dropOldest(session)
  }

  #use(session: Session, index: Index): void {
    session.lastUsedIndex = index
    // To the end: what is iterated first is what was used longest ago.
    this.#sessions.delete(session.id)
    this.#sessions.set(session.id, session)
    this.#changedHeads.add(session.id)
  }

  #forget(session: Session, through: number): void {
    const from = session.answeredThrough + 1
    if (through < from) return
    session.answeredThrough = through
    // By numbers or by what is there, whichever is less: the step is the client's to choose.
    if (through - from < session.results.size) {
      for (let sequence = from; sequence <= through; sequence++) this.#remove(session, sequence)
    } else {
      for (const sequence of session.results.keys()) if (sequence <= through) this.#remove(session, sequence)
    }
  }

  #remove(session: Session, sequence: number): void {
    const result = session.results.get(sequence)
    if (!session.results.delete(sequence)) return
    session.resultBytes -= result?.length ?? 0
    this.#changePage(session, sequence)
  }

  /** Over the bound the results of the lowest numbers go: their commands stay known as applied. */
  #dropOldest(session: Session): void {
    for (let sequence = session.answeredThrough + 1; session.resultBytes > this.#limits.maxResultBytes; sequence++) {
      const result = session.results.get(sequence)
      if (result === undefined) continue
      session.results.set(sequence, undefined)
      session.resultBytes -= result.length
      this.#changePage(session, sequence)
    }
  }

  #end(session: Session): void {
    for (const sequence of session.results.keys()) this.#changePage(session, sequence)
    this.#sessions.delete(session.id)
    this.#changedHeads.add(session.id)
  }

  #changePage({ id }: Session, sequence: number): void {
    const pages = this.#changedPages.get(id)
    if (pages === undefined) this.#changedPages.set(id, new Set([pageOf(sequence)]))
    else pages.add(pageOf(sequence))
  }

  /**
   * The records that differ from those of the last call, or from those that the table was made of. To be written with the batch that made them so. To be
   * read to its end: only then do they count as taken.
   */
  *takeChanges(): Generator<SessionRow> {
    for (const id of this.#changedHeads) {
      const session = this.#sessions.get(id)
      yield { key: pageKey(id, undefined), value: session && encodeHead(session) }
    }
    for (const [id, pages] of this.#changedPages) {
      const session = this.#sessions.get(id)
      for (const page of pages) yield { key: pageKey(id, page), value: session && this.#page(session, page) }
    }
    this.#changedHeads.clear()
    this.#changedPages.clear()
  }

  /** All records, in the order of their keys. */
  *rows(): Generator<StoredSessionRow> {
    for (const session of [...this.#sessions.values()].sort((a, b) => a.id - b.id)) {
      yield { key: pageKey(session.id, undefined), value: encodeHead(session) }
      const pages = new Set([...session.results.keys()].map(pageOf))
      for (const page of [...pages].sort((a, b) => a - b)) {
        yield { key: pageKey(session.id, page), value: this.#page(session, page)! }
      }
    }
  }

  #page(session: Session, page: number): Uint8Array | undefined {
    return encodePage(page, (sequence) =>
      session.results.has(sequence) ? { result: session.results.get(sequence) } : undefined
    )
  }
}
