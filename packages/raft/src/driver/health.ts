/**
 * How fit this node is to lead, judged by what its clients would feel: how long writes to the log take, how late the event loop runs its
 * timers, how much room is left on the disk. The driver feeds it and steps each change of class into the core, where it weighs in elections
 * and hand-overs (`core/fitness.ts`; T23, T24).
 *
 * Each sign is a share of what cannot be borne: 1 is a write that takes an election timeout, or a loop that is late by half of
 * one on the average. The worst sign is the score. One slow write among many, or one long pause of the collector, says
 * nothing yet, so latencies count by a quantile that forgets, and lateness by an average that does. A better class is believed once it
 * has lasted, so that leadership does not wander while a disk wavers.
 *
 * A late loop alone never makes a node unfit, and the time for which it was late is not taken for the disk's: an overloaded machine strikes all that
 * run on it, and a leader that handed over for it would do so again and again, to nodes that are as late.
 */

import type { Health } from '../core/types.ts'
import type { Clock, LogStorage } from '../ports.ts'

/** How much room there is for the log: `low` leaves some, with `none` a write may fail at any time. */
export type SpaceLeft = 'enough' | 'low' | 'none'

/** From these scores on. */
const DEGRADED_SCORE = 0.5
const UNFIT_SCORE = 0.8
/** A score below this part of a class's threshold leaves the class. */
const RELIEF = 0.7
/** A better class has to last for so many election timeouts. */
const RELIEF_TIMEOUTS = 10
/** After so long a write, or a late timer, counts half. */
const HALF_LIFE_MS = 5000
/** The worst that lateness alone can come to: degraded. */
const WORST_LATE_SCORE = DEGRADED_SCORE
/** A loop that is late by this part of an election timeout, on the average, has a score of 1. */
const LATE_SHARE = 0.5

const SPACE_SCORE: Readonly<Record<SpaceLeft, number>> = { enough: 0, low: DEGRADED_SCORE, none: 1 }
const RANK: Readonly<Record<Health, number>> = { good: 0, degraded: 1, unfit: 2 }
const THRESHOLD: Readonly<Record<Health, number>> = { good: 0, degraded: DEGRADED_SCORE, unfit: UNFIT_SCORE }

/** Latencies in classes that grow by a half each, from a quarter of a millisecond to about half a minute. */
const BUCKETS = 30
const SMALLEST_MS = 0.25
const GROWTH = 1.5

/** Of all the weight this part lies above the quantile; at the least the weight of one and a half writes, so that one alone is none. */
const TAIL = 0.01
const LEAST_TAIL_WEIGHT = 1.5

/** The 99th percentile of what was added lately. */
class FadingLatencies {
  readonly #weights = new Float64Array(BUCKETS)

  add(ms: number): void {
    const bucket = Math.ceil(Math.log(Math.max(ms, SMALLEST_MS) / SMALLEST_MS) / Math.log(GROWTH))
    const at = Math.min(bucket, BUCKETS - 1)
    this.#weights[at] = this.#weights[at]! + 1
  }

  fade(factor: number): void {
    for (let at = 0; at < BUCKETS; at++) this.#weights[at] = this.#weights[at]! * factor
  }

  get p99(): number {
    const total = this.#weights.reduce((sum, weight) => sum + weight, 0)
    const tail = Math.max(total * TAIL, LEAST_TAIL_WEIGHT)
    let above = 0
    for (let at = BUCKETS - 1; at > 0; at--) {
      above += this.#weights[at]!
      if (above >= tail) return SMALLEST_MS * GROWTH ** at
    }
    return 0
  }
}

export interface HealthMonitorInit {
  readonly clock: Clock
  readonly electionTimeoutMs: number
  /** Between two calls of `tick`, if nothing holds them up. Milliseconds. */
  readonly tickMs: number
  readonly onChanged: (health: Health) => void
}

export class HealthMonitor {
  readonly #init: HealthMonitorInit
  readonly #writes = new FadingLatencies()
  /** The write that is under way: when it began, and how much lateness there had been. */
  #writing: { readonly sinceMs: number; readonly lateMs: number } | undefined
  /** All lateness so far. */
  #lateMs = 0
  #meanLateMs = 0
  #space: SpaceLeft = 'enough'
  #lastTickMs: number | undefined
  #health: Health = 'good'
  /** Since when the score would allow a better class. */
  #betterSinceMs: number | undefined

  constructor(init: HealthMonitorInit) {
    this.#init = init
  }

  get health(): Health {
    return this.#health
  }

  /** The same storage, with its writes watched. */
  watch(storage: Pick<LogStorage, 'persist'>): Pick<LogStorage, 'persist'> {
    const { clock } = this.#init
    return {
      persist: async (batch) => {
        this.#writing = { sinceMs: clock.now(), lateMs: this.#lateUntil(clock.now()) }
        await storage.persist(batch)
        this.#writes.add(this.#writingMs(clock.now()))
        this.#writing = undefined
      }
    }
  }

  /** Whoever looks after the disk says how much room is left; the class follows with the next tick. */
  setSpace(space: SpaceLeft): void {
    this.#space = space
  }

  /** Time passed: judges anew. */
  tick(): void {
    const nowMs = this.#init.clock.now()
    const sinceMs = nowMs - (this.#lastTickMs ?? nowMs)
    if (this.#lastTickMs !== undefined) this.#noteLateness(sinceMs)
    this.#lastTickMs = nowMs
    this.#writes.fade(0.5 ** (sinceMs / HALF_LIFE_MS))
    this.#judge(nowMs)
  }

  /** An average over time, in which a late timer weighs as much as the time that it took. */
  #noteLateness(sinceMs: number): void {
    const lateMs = Math.max(0, sinceMs - this.#init.tickMs)
    this.#lateMs += lateMs
    const kept = 0.5 ** (sinceMs / HALF_LIFE_MS)
    this.#meanLateMs = this.#meanLateMs * kept + lateMs * (1 - kept)
  }

  /** All lateness, that of the next tick included. */
  #lateUntil(nowMs: number): number {
    return this.#lateMs + Math.max(0, nowMs - (this.#lastTickMs ?? nowMs) - this.#init.tickMs)
  }

  /** How long the write that is under way has taken, as far as it was not the loop that was late. */
  #writingMs(nowMs: number): number {
    if (this.#writing === undefined) return 0
    return Math.max(0, nowMs - this.#writing.sinceMs - (this.#lateUntil(nowMs) - this.#writing.lateMs))
  }

  #score(nowMs: number): number {
    const { electionTimeoutMs } = this.#init
    return Math.max(
      this.#writingMs(nowMs) / electionTimeoutMs,
      this.#writes.p99 / electionTimeoutMs,
      Math.min(this.#meanLateMs / (LATE_SHARE * electionTimeoutMs), WORST_LATE_SCORE),
      SPACE_SCORE[this.#space]
    )
  }

  #judge(nowMs: number): void {
    const score = this.#score(nowMs)
    const wanted: Health = score >= UNFIT_SCORE ? 'unfit' : score >= DEGRADED_SCORE ? 'degraded' : 'good'
    if (RANK[wanted] >= RANK[this.#health]) {
      this.#betterSinceMs = undefined
      this.#change(wanted)
      return
    }
    if (score > THRESHOLD[this.#health] * RELIEF) {
      this.#betterSinceMs = undefined
      return
    }
    this.#betterSinceMs ??= nowMs
    if (nowMs - this.#betterSinceMs >= RELIEF_TIMEOUTS * this.#init.electionTimeoutMs) {
      this.#betterSinceMs = undefined
      this.#change(wanted)
    }
  }

  #change(health: Health): void {
    if (health === this.#health) return
    this.#health = health
    this.#init.onChanged(health)
  }
}
