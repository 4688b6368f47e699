/**
 * Makes this peer's IPFS node match the pinset. Step 8 in the life of a pin: the state tells of a change, the tracker makes an
 * operation of what concerns this peer, keeps it on disk until it is done, and answers how each copy stands.
 *
 * This file takes changes in, and holds the parts together: `decide.ts` what is to be done, `operation-store.ts` the queue on
 * disk, `runner.ts` doing it, `reconcile.ts` finding out what was missed, `status.ts` telling. Changes are taken in without
 * waiting for the disk. What is lost of them in a crash, or dropped because they come faster than the disk takes them, is found
 * by the next comparison, so the memory that they take is bounded without ever holding consensus up.
 */

import { setTimeout as pause } from 'node:timers/promises'
import {
  type CidString,
  type IpfsId,
  type PeerIdString,
  type Pin,
  type PinInfo,
  PinNotFoundError,
  type TrackerStatus
} from '@quorate/client/api'
import type { AbortOptions, IpfsConnector, Logger, PinsetChange, PinsetReader, PinTracker } from '../ports.ts'
import { systemClock, type TrackerClock } from './clock.ts'
import { concerns, covers, decideOnChange } from './decide.ts'
import { Listings } from './listing.ts'
import { queuedOperation, type TrackerConfig } from './operation.ts'
import { type Entry, idOf, OperationStore, type Update } from './operation-store.ts'
import { reconcile } from './reconcile.ts'
import { isUnavailable, Runner } from './runner.ts'
import { StatusReader } from './status.ts'

/** Changes taken from the inbox for one batch on disk. */
const DRAIN_CHANGES = 500
/** Changes that come within this time of a batch wait for the next: under load a batch costs more than what is in it. */
const DRAIN_PAUSE_MS = 10
/** Beyond this many waiting changes, the rest is left to a comparison. About 100 MB at the very most. */
const MAX_INBOX_CHANGES = 100_000
/** After a comparison that failed for another reason than an unreachable node. */
const COMPARE_RETRY_MS = 30_000

export interface TrackerComponents {
  readonly peerId: PeerIdString
  readonly peername: () => string
  readonly connector: IpfsConnector
  readonly pinset: PinsetReader
  /** Owned by the tracker; made if missing. */
  readonly folder: string
  readonly logger: Logger
  /** What is known of the IPFS node, shown in each status. */
  readonly ipfsId?: () => IpfsId | undefined
  /** @default the system's */
  readonly clock?: TrackerClock
  /** In [0, 1). @default Math.random */
  readonly random?: () => number
}

export interface LocalPinTracker extends PinTracker {
  /** Pins that are queued, under way or waiting to be tried again; what the `pinqueue` informer tells. */
  queuedPinCount(): number
  /** Resolves once all that was taken in is acted upon, as far as that needs neither time nor an answer of the IPFS node. For tests. */
  settled(): Promise<void>
}

/** Makes a tracker; nothing is opened before `start`. */
export function createTracker(components: TrackerComponents, config: TrackerConfig): LocalPinTracker {
  return new DurableTracker(components, config)
}

/** What exists between `start` and `stop`. */
interface Parts {
  readonly store: OperationStore
  readonly runner: Runner
  readonly status: StatusReader
}

class DurableTracker implements LocalPinTracker {
  readonly #components: TrackerComponents
  readonly #config: TrackerConfig
  readonly #clock: TrackerClock
  readonly #listings: Listings
  readonly #stopping = new AbortController()
  #parts: Parts | undefined
  #inbox: PinsetChange[] = []
  /** Changes taken in so far, and those of them that are written down or given up; the difference is in the inbox or in the batch under way. */
  #received = 0
  #drained = 0
  #draining: Promise<void> | undefined
  #comparing: Promise<void> | undefined
  #compareAgain = false
  #cancelCompare: (() => void) | undefined

  constructor(components: TrackerComponents, config: TrackerConfig) {
    this.#components = components
    this.#config = config
    this.#clock = components.clock ?? systemClock
    this.#listings = new Listings(components.connector)
  }

  async start(): Promise<void> {
    const { connector, logger, folder, peerId, peername, pinset } = this.#components
    const store = await OperationStore.open(folder, this.#config)
    const now = (): number => this.#clock.now()
    const runner = new Runner(
      {
        store,
        connector,
        clock: this.#clock,
        logger,
        random: this.#components.random ?? Math.random,
        onIpfsBack: () => this.#compare(),
        onPinned: (id) => this.#listings.pinned(id)
      },
      this.#config
    )
    const ipfsId = this.#components.ipfsId ?? (() => undefined)
    const status = new StatusReader({
      peerId,
      peername,
      ipfsId,
      pinset,
      connector,
      listings: this.#listings,
      store,
      runner,
      config: this.#config,
      now
    })
    this.#parts = { store, runner, status }
    runner.start()
    this.#drain()
    this.#compare()
  }

  async stop(): Promise<void> {
    const parts = this.#parts
    if (parts === undefined || this.#stopping.signal.aborted) return
    // Changes that are not written yet are found by the comparison at the next start.
    this.#stopping.abort()
    await this.#draining
    this.#cancelCompare?.()
    await this.#comparing
    await parts.runner.stop()
    await parts.store.close()
  }

  queuedPinCount(): number {
    return this.#parts?.store.pinCount ?? 0
  }

  async settled(): Promise<void> {
    const { runner } = this.#started()
    // Several turns in a row: between two steps there is a turn in which nothing seems to be under way.
    for (let quietTurns = 0; quietTurns < 3; quietTurns++) {
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#draining !== undefined || this.#comparing !== undefined || runner.busy) quietTurns = -1
    }
  }

  onChange(change: PinsetChange): void {
    if (this.#stopping.signal.aborted) return
    if (change.type === 'restored' || this.#inbox.length >= MAX_INBOX_CHANGES) {
      // What waits was said of a state that is no more, or is too much: everything is compared.
      this.#giveUpInbox()
      if (this.#parts !== undefined) this.#compare()
      return
    }
    this.#inbox.push(change)
    this.#received++
    this.#drain()
  }

  async status(cid: CidString, options: AbortOptions = {}): Promise<PinInfo> {
    await this.#caughtUp()
    return await this.#started().status.one(cid, options)
  }

  async *statusAll(
    filter: ReadonlySet<TrackerStatus> | undefined,
    options: AbortOptions = {}
  ): AsyncGenerator<PinInfo> {
    await this.#caughtUp()
    yield* this.#started().status.all(filter, options)
  }

  async recover(cid: CidString, options: AbortOptions = {}): Promise<PinInfo> {
    await this.#caughtUp()
    const { store, runner, status } = this.#started()
    const { pinset, connector, peerId } = this.#components
    const id = idOf(cid)
    const pin = await pinset.get(cid)
    const wanted = pin !== undefined && concerns(pin, peerId)
    const missing = wanted && !covers((await connector.pinLsCid(cid, options).catch(() => undefined)) ?? 'absent', pin)
    await store.exclusive(async () => {
      const [before] = await store.entries([id])
      if (before === undefined || (pin === undefined && before.operation === undefined)) throw new PinNotFoundError()
      const { operation } = before
      let after: Entry = before
      if (operation?.phase === 'error') {
        // Not a retry of a lower rank: somebody asked for it now.
        after = {
          operation: queuedOperation(operation.kind, operation.pin, this.#clock.now(), operation),
          held: before.held
        }
      } else if (operation === undefined && missing) {
        after = { operation: queuedOperation('pin', pin, this.#clock.now()), held: true }
      }
      if (after !== before) await this.#write(store, runner, [{ id, before, after }])
    })
    runner.poke()
    return await status.one(cid, options)
  }

  async *recoverAll(options: AbortOptions = {}): AsyncGenerator<PinInfo> {
    const filter = new Set<TrackerStatus>(['pin_error', 'unpin_error', 'unexpectedly_unpinned'])
    for await (const { cid } of this.statusAll(filter, options)) {
      try {
        yield await this.recover(cid, options)
      } catch (error) {
        // Unpinned meanwhile.
        if (!(error instanceof PinNotFoundError)) throw error
      }
    }
  }

  #started(): Parts {
    if (this.#parts === undefined) throw new Error('cannot answer: the pin tracker is not started')
    return this.#parts
  }

  async #write(store: OperationStore, runner: Runner, updates: readonly Update[]): Promise<void> {
    await store.write(updates)
    for (const update of updates) runner.changed(update)
  }

  // --- changes

  #drain(): void {
    const parts = this.#parts
    if (parts === undefined || this.#draining !== undefined || this.#inbox.length === 0) return
    if (this.#stopping.signal.aborted) return
    this.#draining = this.#drainBatch(parts)
      .catch((error: unknown) => {
        this.#components.logger.error(
          { error },
          'cannot write operations down: what is to be done is found by the next comparison'
        )
        this.#giveUpInbox()
      })
      .finally(() => {
        this.#draining = undefined
        this.#drain()
      })
  }

  async #drainBatch({ store, runner }: Parts): Promise<void> {
    await store.exclusive(async () => {
      // The last word on each CID: what came before was never begun.
      const latest = new Map<string, PinsetChange>()
      const changes = this.#inbox.splice(0, DRAIN_CHANGES)
      for (const change of changes) {
        if (change.type === 'pin') latest.set(idOf(change.pin.cid), change)
        else if (change.type === 'unpin') latest.set(idOf(change.cid), change)
      }
      try {
        await this.#write(store, runner, await this.#decide(store, latest))
      } finally {
        this.#drained += changes.length
      }
    })
    runner.poke()
    // Not by the tracker's clock: this is no time that means anything, only breath.
    if (this.#inbox.length < DRAIN_CHANGES) await pause(DRAIN_PAUSE_MS)
  }

  async #decide(store: OperationStore, changes: ReadonlyMap<string, PinsetChange>): Promise<Update[]> {
    const ids = [...changes.keys()]
    const entries = await store.entries(ids)
    const updates: Update[] = []
    for (const [position, id] of ids.entries()) {
      const [before, change] = [entries[position], changes.get(id)]
      if (before === undefined || change === undefined || change.type === 'restored') continue
      const [pin, removed]: [Pin | undefined, Pin | undefined] =
        change.type === 'pin' ? [change.pin, undefined] : [undefined, change.pin]
      const after = decideOnChange(before, pin, removed, this.#components.peerId, this.#clock.now())
      if (after !== before) updates.push({ id, before, after })
    }
    return updates
  }

  /** Resolves when what was taken in by now is written down, however much comes after. */
  async #caughtUp(): Promise<void> {
    const received = this.#received
    while (this.#drained < received && this.#draining !== undefined) await this.#draining
  }

  #giveUpInbox(): void {
    this.#drained += this.#inbox.length
    this.#inbox = []
  }

  // --- comparison

  /** Compares everything, now or as soon as the comparison that is under way is done. */
  #compare(): void {
    if (this.#stopping.signal.aborted) return
    if (this.#comparing !== undefined) {
      this.#compareAgain = true
      return
    }
    this.#cancelCompare?.()
    this.#compareAgain = false
    this.#comparing = this.#compareOnce().then((nextMs) => {
      this.#comparing = undefined
      if (this.#stopping.signal.aborted) return
      if (this.#compareAgain) this.#compare()
      else this.#cancelCompare = this.#clock.after(nextMs, () => this.#compare())
    })
  }

  /** Answers when to compare next, in milliseconds from now. */
  async #compareOnce(): Promise<number> {
    const { store, runner } = this.#started()
    const { logger, peerId, pinset } = this.#components
    const { signal } = this.#stopping
    try {
      const queued = await reconcile(
        {
          peerId,
          pinset,
          listings: this.#listings,
          store,
          now: () => this.#clock.now(),
          onUpdate: (update) => runner.changed(update)
        },
        signal
      )
      if (queued > 0) logger.info({ count: queued }, 'the pinset and the IPFS node differ: queued what is missing')
      runner.poke()
      return this.#config.recoverIntervalMs
    } catch (error) {
      if (signal.aborted) return this.#config.recoverIntervalMs
      // Its return brings the next comparison.
      if (isUnavailable(error)) runner.ipfsFailed(error)
      else logger.warn({ error }, 'cannot compare the pinset with the IPFS node')
      return Math.min(COMPARE_RETRY_MS, this.#config.recoverIntervalMs)
    }
  }
}
