/**
 * Callers that wait for the state to be fresh enough: until it stands at an index they name (`waitApplied`), or at one that a
 * leader confirms to hold all that was acknowledged before (`readBarrier`, dissertation §6.4). All barriers of one turn share one
 * question to the core. Used by `driver.ts`.
 */

import type { Index, RefusalReason } from '../core/types.ts'
import { ReadUnavailableError } from '../errors.ts'
import type { Clock } from '../ports.ts'
import type { Meter } from './metrics.ts'

interface Waiter {
  /** Wakes when the state stands here; unknown until a leader has said. */
  index: Index | undefined
  readonly deadlineMs: number
  readonly settle: (outcome: Index | Error) => void
  settled: boolean
}

/** Told of questions and answers (`metrics.ts`). */
export type ReadMeter = Pick<Meter, 'onReadAsked' | 'onReadConfirmed'>

interface Question {
  readonly waiters: readonly Waiter[]
  readonly atMs: number
}

/** Before a refused question is asked again. */
const RETRY_MS = 25

export class Reads {
  readonly #clock: Clock
  readonly #patienceMs: number
  readonly #wake: () => void
  readonly #meter: ReadMeter | undefined
  #appliedIndex: Index
  #queued: Waiter[] = []
  readonly #asked = new Map<number, Question>()
  /** Have an index. Whoever is answered, or gives up, leaves at once: nobody knows when something will be applied again. */
  readonly #waiting = new Set<Waiter>()
  /** Ask again soon; each with what ends that. */
  readonly #retrying = new Map<readonly Waiter[], () => void>()
  #stopped: string | undefined

  /**
   * @param patienceMs - how long a barrier without a signal is asked for
   * @param wake - asks for a turn
   */
  constructor(clock: Clock, patienceMs: number, appliedIndex: Index, wake: () => void, meter?: ReadMeter) {
    this.#meter = meter
    this.#clock = clock
    this.#patienceMs = patienceMs
    this.#appliedIndex = appliedIndex
    this.#wake = wake
  }

  get queued(): boolean {
    return this.#queued.length > 0
  }

  barrier(signal: AbortSignal | undefined): Promise<Index> {
    return this.#wait(undefined, signal, (waiter) => {
      this.#queued.push(waiter)
      this.#wake()
    })
  }

  applied(index: Index, signal: AbortSignal | undefined): Promise<Index> {
    if (index <= this.#appliedIndex) return Promise.resolve(this.#appliedIndex)
    return this.#wait(index, signal, (waiter) => this.#waiting.add(waiter))
  }

  /** Begins one question for all barriers that wait. @returns whether there are any */
  take(ticket: number, nowMs: number): boolean {
    const waiters = this.#queued.filter((waiter) => !waiter.settled)
    this.#queued = []
    if (waiters.length === 0) return false
    this.#asked.set(ticket, { waiters, atMs: nowMs })
    this.#meter?.onReadAsked(waiters.length)
    return true
  }

  onReady(ticket: number, index: Index, nowMs: number): void {
    const question = this.#asked.get(ticket)
    if (question === undefined) return
    this.#asked.delete(ticket)
    this.#meter?.onReadConfirmed(nowMs - question.atMs)
    for (const waiter of question.waiters) {
      if (waiter.settled) continue
      if (index <= this.#appliedIndex) {
        waiter.settle(this.#appliedIndex)
      } else {
        waiter.index = index
        this.#waiting.add(waiter)
      }
    }
  }

  /** Nobody confirmed: asks again, for those who still wait. @returns whether the ticket was one of a read */
  onRefused(ticket: number, reason: RefusalReason, detail: string): boolean {
    const question = this.#asked.get(ticket)
    if (question === undefined) return false
    const { waiters } = question
    this.#asked.delete(ticket)
    const nowMs = this.#clock.now()
    const patient = waiters.filter((waiter) => !waiter.settled && nowMs < waiter.deadlineMs)
    for (const waiter of waiters) {
      if (nowMs >= waiter.deadlineMs) waiter.settle(new ReadUnavailableError(`${reason}, ${detail}`))
    }
    if (patient.length > 0) {
      const cancel = this.#clock.after(RETRY_MS, () => {
        this.#retrying.delete(patient)
        for (const waiter of patient) this.#queued.push(waiter)
        this.#wake()
      })
      this.#retrying.set(patient, cancel)
    }
    return true
  }

  onApplied(index: Index): void {
    this.#appliedIndex = index
    for (const waiter of this.#waiting) if (waiter.index! <= index) waiter.settle(index)
  }

  stop(why: string): void {
    this.#stopped = why
    for (const cancel of this.#retrying.values()) cancel()
    const all = [
      ...this.#queued,
      ...this.#waiting,
      ...[...this.#asked.values()].flatMap(({ waiters }) => waiters),
      ...[...this.#retrying.keys()].flat()
    ]
    this.#retrying.clear()
    this.#queued = []
    this.#asked.clear()
    for (const waiter of all) waiter.settle(new ReadUnavailableError(why))
  }

  #wait(index: Index | undefined, signal: AbortSignal | undefined, begin: (waiter: Waiter) => void): Promise<Index> {
    if (this.#stopped !== undefined) return Promise.reject(new ReadUnavailableError(this.#stopped))
    return new Promise((resolve, reject) => {
      const onAbort = () =>
        waiter.settle(new ReadUnavailableError('the caller stopped waiting', { cause: signal?.reason }))
      const waiter: Waiter = {
        index,
        deadlineMs: signal === undefined ? this.#clock.now() + this.#patienceMs : Number.POSITIVE_INFINITY,
        settled: false,
        settle: (outcome) => {
          if (waiter.settled) return
          waiter.settled = true
          this.#waiting.delete(waiter)
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
      begin(waiter)
    })
  }
}
