/**
 * Carries operations out at the IPFS node: chooses the next, holds to the number of places, watches progress, and writes down the
 * outcome. Called by `tracker.ts`; calls the IPFS connector. Step 9 in the life of a pin.
 *
 * Places. There are `concurrentPins` places for pins. Content that nobody has must not hold up content that somebody has, so a
 * pin that has fetched nothing for `stallGraceMs` is stalled, and when a pin that was never tried waits and all places are
 * taken, the one that stalled longest gives its place back and is tried later. A quarter of the places is exempt: in those a
 * stalled pin may wait the whole `pinTimeoutMs`, for a provider that is slow to be found. The same quarter is kept for pins that
 * failed before, so that a long queue of new ones does not starve them. New pins are taken from both ends of the queue in turn:
 * whoever pins something now does not wait for a thousand hopeless pins from yesterday.
 *
 * When the IPFS node cannot be asked, nothing is tried and no attempt is counted; it is asked for a sign of life until it gives one.
 */

import type { AbortOptions, IpfsConnector, Logger, PinProgress } from '../ports.ts'
import type { TrackerClock } from './clock.ts'
import { failedOperation, formatSeconds, type Lane, type Operation, sameWork, type TrackerConfig } from './operation.ts'
import type { OperationStore, Scheduled, Update } from './operation-store.ts'

/** Unpins are quick; two hide a slow one. */
const CONCURRENT_UNPINS = 2
const MAX_ORIGINS = 10
/** How long a call may go on after it was told to end, before its place is given to another. */
const ABORT_GRACE_MS = 5000
/** A node's own words are kept on disk for each pin that fails. */
const MAX_REASON_LENGTH = 500
const PROBE_FIRST_MS = 250
const PROBE_MAX_MS = 10_000

/** Why an attempt was ended from here. */
type EndReason = 'superseded' | 'stalled' | 'timeout' | 'stopped'

interface Run {
  readonly id: string
  operation: Operation
  readonly retry: boolean
  readonly controller: AbortController
  lastProgressAtMs: number
  blocks: number
  bytes: number
  ended: EndReason | undefined
  /** The call has ended, and its outcome is being written. */
  settling: boolean
  cancelTimer: () => void
}

export interface RunnerComponents {
  readonly store: OperationStore
  readonly connector: IpfsConnector
  readonly clock: TrackerClock
  readonly logger: Logger
  /** In [0, 1). */
  readonly random: () => number
  /** The IPFS node answers again after it did not. */
  readonly onIpfsBack: () => void
  /** A pin is done. */
  readonly onPinned: (id: string) => void
}

export class Runner {
  readonly #components: RunnerComponents
  readonly #config: TrackerConfig
  readonly #runs = new Map<string, Run>()
  /** Started, stopped, or not yet. */
  #active = false
  #pumping = false
  #pumpAgain = false
  #newestNext = false
  #cancelWake: (() => void) | undefined
  #ipfsError: string | undefined
  /** It was said in the log that the node cannot be reached. */
  #ipfsMissed = false
  #probeDelayMs = PROBE_FIRST_MS
  #cancelProbe: (() => void) | undefined
  readonly #stopping = new AbortController()
  readonly #ended = new Set<Promise<void>>()

  constructor(components: RunnerComponents, config: TrackerConfig) {
    this.#components = components
    const limit = (timeoutMs: number): number => (timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs)
    this.#config = {
      ...config,
      pinTimeoutMs: limit(config.pinTimeoutMs),
      unpinTimeoutMs: limit(config.unpinTimeoutMs)
    }
  }

  /** Why the IPFS node cannot be asked; undefined while it can. */
  get ipfsError(): string | undefined {
    return this.#ipfsError
  }

  /** True while it looks for work or writes an outcome: not while it waits for the IPFS node or for a time. */
  get busy(): boolean {
    return this.#pumping || [...this.#runs.values()].some((run) => run.settling)
  }

  isRunning(id: string): boolean {
    const run = this.#runs.get(id)
    return run !== undefined && run.ended === undefined
  }

  start(): void {
    this.#active = true
    this.poke()
  }

  /** Ends what runs; it is queued at the next start. */
  async stop(): Promise<void> {
    this.#active = false
    this.#cancelWake?.()
    this.#cancelProbe?.()
    this.#stopping.abort()
    for (const run of this.#runs.values()) this.#end(run, 'stopped')
    await Promise.all(this.#ended)
  }

  /**
   * An operation was changed by others than the runner. To be called where the change is written (`OperationStore.exclusive`), so
   * that an outcome is never written over it. A running attempt goes on if it does what is asked for now.
   */
  changed(update: Update): void {
    const run = this.#runs.get(update.id)
    if (run === undefined || run.ended !== undefined) return
    const { operation } = update.after
    if (operation !== undefined && sameWork(run.operation, operation)) run.operation = operation
    else this.#end(run, 'superseded')
  }

  /** The IPFS node could not be asked by somebody else. */
  ipfsFailed(error: unknown): void {
    this.#ipfsDown(error)
  }

  /** Looks for work. Cheap when there is none. */
  poke(): void {
    if (this.#pumping) {
      this.#pumpAgain = true
      return
    }
    this.#pumping = true
    this.#pump()
      .catch((error: unknown) => this.#components.logger.error({ error }, 'cannot read the queue of operations'))
      .finally(() => {
        this.#pumping = false
        if (this.#pumpAgain) {
          this.#pumpAgain = false
          this.poke()
        }
      })
  }

  async #pump(): Promise<void> {
    this.#cancelWake?.()
    this.#cancelWake = undefined
    while (this.#active && this.#ipfsError === undefined) {
      const started = (await this.#startUnpin()) || (await this.#startPin())
      if (!started) break
    }
    if (!this.#active || this.#ipfsError !== undefined) return
    const wakeAtMs = await this.#nextDue()
    if (wakeAtMs === undefined || !this.#active) return
    // Clocks may have been set back since the time was written: look again after the longest delay at the latest.
    const delayMs = Math.min(Math.max(1, wakeAtMs - this.#now()), this.#config.recoverIntervalMs)
    this.#cancelWake = this.#components.clock.after(delayMs, () => this.poke())
  }

  #now(): number {
    return this.#components.clock.now()
  }

  #running(kind: Operation['kind']): Run[] {
    return [...this.#runs.values()].filter((run) => run.operation.kind === kind)
  }

  async #startUnpin(): Promise<boolean> {
    if (this.#running('unpin').length >= CONCURRENT_UNPINS) return false
    return await this.#startFrom('unpin')
  }

  async #startPin(): Promise<boolean> {
    const { concurrentPins } = this.#config
    const reserved = Math.floor(concurrentPins / 4)
    const runs = this.#running('pin')
    if (runs.length >= concurrentPins) {
      // Looked for in memory before the disk is asked: this runs at every change and every end.
      const longest = this.#stalledLongest(runs, reserved)
      if (longest !== undefined && (await this.#peekFresh())) this.#end(longest, 'stalled')
      return false
    }
    const retries = runs.filter((run) => run.retry).length
    const retryLanes: readonly Lane[] = ['retry-priority', 'retry']
    if (retries < reserved) for (const lane of retryLanes) if (await this.#startFrom(lane)) return true
    this.#newestNext = !this.#newestNext
    for (const lane of ['fresh-priority', 'fresh'] as const) {
      if (this.#newestNext && (await this.#startNewest(lane))) return true
      if (await this.#startFrom(lane)) return true
    }
    for (const lane of retryLanes) if (await this.#startFrom(lane)) return true
    return false
  }

  async #peekFresh(): Promise<boolean> {
    for (const lane of ['fresh-priority', 'fresh'] as const) {
      if ((await this.#peek(lane)) !== undefined) return true
    }
    return false
  }

  async #peek(lane: Lane): Promise<Scheduled | undefined> {
    return await this.#components.store.next(lane, (id) => this.#runs.has(id))
  }

  async #startNewest(lane: Lane): Promise<boolean> {
    return await this.#start(lane, await this.#components.store.takeNewest(lane, (id) => this.#runs.has(id)))
  }

  async #startFrom(lane: Lane): Promise<boolean> {
    return await this.#start(lane, await this.#peek(lane))
  }

  /** True if it was started, or if the look has to be taken again. */
  async #start(lane: Lane, scheduled: Scheduled | undefined): Promise<boolean> {
    if (scheduled === undefined || scheduled.dueAtMs > this.#now()) return false
    const operation = await this.#components.store.get(scheduled.id)
    // Done or changed since it was listed; the next look finds what is there now.
    if (operation === undefined || operation.dueAtMs !== scheduled.dueAtMs) {
      const { store } = this.#components
      await store.exclusive(() => store.unfile(lane, scheduled))
      return true
    }
    if (!this.#active || this.#runs.has(scheduled.id)) return false
    this.#begin(scheduled.id, operation)
    return true
  }

  async #nextDue(): Promise<number | undefined> {
    let earliest: number | undefined
    const lanes: Lane[] = []
    if (this.#running('unpin').length < CONCURRENT_UNPINS) lanes.push('unpin')
    if (this.#running('pin').length < this.#config.concurrentPins) {
      lanes.push('fresh-priority', 'fresh', 'retry-priority', 'retry')
    }
    for (const lane of lanes) {
      const scheduled = await this.#peek(lane)
      if (scheduled !== undefined && (earliest === undefined || scheduled.dueAtMs < earliest))
        earliest = scheduled.dueAtMs
    }
    return earliest
  }

  /** The pin that stalled longest, if more than the exempt ones are stalled. One at a time: its end looks for work again. */
  #stalledLongest(runs: readonly Run[], exempt: number): Run | undefined {
    const graceMs = this.#graceMs()
    // One that is ending gives its place back soon.
    if (runs.some((run) => run.ended !== undefined)) return undefined
    const stalled = runs
      .filter((run) => this.#now() - run.lastProgressAtMs >= graceMs)
      .sort((a, b) => a.lastProgressAtMs - b.lastProgressAtMs)
    return stalled.length > exempt ? stalled[0] : undefined
  }

  #graceMs(): number {
    return Math.min(this.#config.stallGraceMs ?? 5000, this.#config.pinTimeoutMs)
  }

  #end(run: Run, reason: EndReason): void {
    if (run.ended !== undefined) return
    run.ended = reason
    run.controller.abort(new DOMException(`the attempt was ended: ${reason}`, 'AbortError'))
  }

  #begin(id: string, operation: Operation): void {
    const run: Run = {
      id,
      operation,
      retry: operation.attempts > 0,
      controller: new AbortController(),
      lastProgressAtMs: this.#now(),
      blocks: 0,
      bytes: 0,
      ended: undefined,
      settling: false,
      cancelTimer: () => {}
    }
    this.#runs.set(id, run)
    if (operation.kind === 'pin') this.#watch(run, this.#graceMs())
    else if (Number.isFinite(this.#config.unpinTimeoutMs)) {
      run.cancelTimer = this.#components.clock.after(this.#config.unpinTimeoutMs, () => this.#end(run, 'timeout'))
    }
    const ended = this.#attempt(run)
      .catch((error: unknown) =>
        this.#components.logger.error({ cid: run.operation.pin.cid, error }, 'cannot record an attempt')
      )
      .finally(() => {
        run.cancelTimer()
        this.#runs.delete(id)
        this.#ended.delete(ended)
        this.poke()
      })
    this.#ended.add(ended)
  }

  /** Looks at a pin again when it may be stalled, and when it may have been for too long. */
  #watch(run: Run, afterMs: number): void {
    run.cancelTimer = this.#components.clock.after(Math.max(1, afterMs), () => {
      if (run.ended !== undefined) return
      const idleMs = this.#now() - run.lastProgressAtMs
      const { pinTimeoutMs } = this.#config
      if (idleMs >= pinTimeoutMs) {
        this.#end(run, 'timeout')
        return
      }
      if (idleMs >= this.#graceMs()) this.poke()
      this.#watch(run, (idleMs >= this.#graceMs() ? pinTimeoutMs : this.#graceMs()) - idleMs)
    })
  }

  #progressed(run: Run, progress: PinProgress): void {
    if (progress.blocks <= run.blocks && progress.bytes <= run.bytes) return
    run.blocks = Math.max(run.blocks, progress.blocks)
    run.bytes = Math.max(run.bytes, progress.bytes)
    run.lastProgressAtMs = this.#now()
  }

  async #attempt(run: Run): Promise<void> {
    let failure: unknown
    let failed = false
    try {
      await this.#untilAborted(run, this.#call(run))
    } catch (error) {
      failure = error
      failed = true
    }
    run.settling = true
    const { store } = this.#components
    await store.exclusive(async () => {
      // Superseded: the store holds another operation, or none. Stopped: it stays queued.
      if (run.ended === 'superseded' || run.ended === 'stopped') return
      const [entry] = await store.entries([run.id])
      if (entry?.operation === undefined) return
      if (!failed) {
        await store.write([
          { id: run.id, before: entry, after: { operation: undefined, held: run.operation.kind === 'pin' } }
        ])
        if (run.operation.kind === 'pin') this.#components.onPinned(run.id)
        return
      }
      if (run.ended === undefined && isUnavailable(failure)) {
        store.giveBack(run.id, entry.operation)
        this.#ipfsDown(failure)
        return
      }
      const outcome = { error: this.#reason(run, failure), stalled: run.ended !== undefined && run.blocks === 0 }
      const after = failedOperation(entry.operation, outcome, this.#config, this.#now(), this.#components.random())
      await store.write([{ id: run.id, before: entry, after: { operation: after, held: entry.held } }])
      const log = { cid: run.operation.pin.cid, attempt: after.attempts, reason: after.error }
      this.#components.logger.debug(log, `cannot ${run.operation.kind}; it is tried again`)
    })
  }

  #call(run: Run): Promise<void> {
    const { connector } = this.#components
    const { pin, kind } = run.operation
    const { signal } = run.controller
    if (kind === 'unpin') return connector.unpin(pin.cid, { signal })
    return connector.pin(pin.cid, {
      signal,
      mode: pin.mode,
      origins: pin.origins.slice(0, MAX_ORIGINS),
      updateFrom: pin.pinUpdate,
      onProgress: (progress) => this.#progressed(run, progress)
    })
  }

  /** The call's outcome; for a call that was told to end and does not, an error after a grace. */
  #untilAborted(run: Run, call: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      let cancel = () => {}
      run.controller.signal.addEventListener('abort', () => {
        cancel = this.#components.clock.after(ABORT_GRACE_MS, () => reject(run.controller.signal.reason))
      })
      void call.then(resolve, reject).finally(() => cancel())
    })
  }

  #reason(run: Run, failure: unknown): string {
    const idle = formatSeconds(this.#now() - run.lastProgressAtMs)
    if (run.operation.kind === 'unpin' && run.ended === 'timeout') {
      return `the IPFS node did not unpin it within ${formatSeconds(this.#config.unpinTimeoutMs)}`
    }
    if (run.ended === undefined) {
      const text = failure instanceof Error && failure.message !== '' ? failure.message : String(failure)
      return text.slice(0, MAX_REASON_LENGTH)
    }
    const found = run.blocks === 0 ? 'no provider found' : `${run.blocks} blocks were fetched before`
    return `no progress for ${idle}: ${found}${run.ended === 'stalled' ? ', and other pins waited' : ''}`
  }

  #ipfsDown(error: unknown): void {
    if (this.#ipfsError !== undefined || !this.#active) return
    this.#ipfsError = error instanceof Error ? error.message : String(error)
    this.#ipfsMissed = false
    this.#probeDelayMs = PROBE_FIRST_MS
    this.#scheduleProbe()
  }

  #scheduleProbe(): void {
    this.#cancelProbe = this.#components.clock.after(this.#probeDelayMs, () => {
      this.#probeDelayMs = Math.min(this.#probeDelayMs * 2, PROBE_MAX_MS)
      const options: AbortOptions = { signal: this.#stopping.signal }
      this.#components.connector.id(options).then(
        () => {
          if (!this.#active) return
          this.#ipfsError = undefined
          if (this.#ipfsMissed) this.#components.logger.info('the IPFS node can be reached again')
          this.#components.onIpfsBack()
          this.poke()
        },
        () => {
          if (!this.#active) return
          // Not at the first failure: a node that is just starting is no news.
          if (!this.#ipfsMissed) {
            const reason = this.#ipfsError
            this.#components.logger.warn({ reason }, 'the IPFS node cannot be reached: pins wait until it can')
          }
          this.#ipfsMissed = true
          this.#scheduleProbe()
        }
      )
    })
  }
}

/** By name: the connectors run behind a thread or a process. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof Error && error.name === 'IpfsUnavailableError'
}
