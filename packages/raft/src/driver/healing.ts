/**
 * What peers are asked for before a node is made: missing parts of its log (`repair.ts`), or a snapshot for a state that lies behind the log.
 * Meanwhile others may ask this node the same. Called by `startup.ts`.
 */

import type { RaftComponents, RaftInit } from '../api.ts'
import { membersOf } from '../core/members.ts'
import type { Index, LogBase } from '../core/types.ts'
import { QuarantineNeededError, RaftStartError, SnapshotTransferError } from '../errors.ts'
import type { Clock, LinkedEntry, LoadedLog, LogContent } from '../ports.ts'
import { systemClock } from './clock.ts'
import type { Connection } from './connection.ts'
import { isAskable, judgeFailedFetch, Peers } from './peers.ts'
import { Repair } from './repair.ts'
import { serveEntries } from './shared-entries.ts'
import { Snapshotter } from './snapshotter.ts'
import { configInForce, findIn, type Log, logHolds } from './stored-log.ts'

/** Rounds between two lines in the log that say what is waited for. */
const ROUNDS_PER_NOTE = 16

export class Healing {
  readonly #components: RaftComponents<unknown>
  readonly #init: RaftInit
  readonly #connection: Connection
  readonly #clock: Clock
  readonly #signal: AbortSignal
  #snapshotter: Snapshotter | undefined
  readonly #onAbort = (): void => void this.#snapshotter?.stop()

  constructor(components: RaftComponents<unknown>, init: RaftInit, connection: Connection) {
    this.#components = components
    this.#init = init
    this.#connection = connection
    this.#clock = components.clock ?? systemClock
    this.#signal = init.signal ?? new AbortController().signal
  }

  /**
   * Makes a log that was loaded with faults whole again, on disk.
   *
   * @throws {RaftStartError} when there is nobody to ask
   * @throws {QuarantineNeededError} when it is not even known whom to ask
   */
  async healLog(loaded: LoadedLog): Promise<LogContent> {
    const { storage, stateMachine, snapshots, logger } = this.#components
    const { remains, baseLost = false, faults } = loaded
    const peers = this.#peers()
    const stored = await snapshots.latest()
    peers?.learn([
      ...(remains?.configs ?? []),
      ...(baseLost ? [] : [configInForce(loaded)]),
      ...(stored === undefined ? [] : [stored.base.config])
    ])
    if (peers === undefined || remains === undefined || storage.replace === undefined || peers.known.length === 0) {
      throw damaged(loaded)
    }
    const appliedIndex = await stateMachine.flush()
    const snapshotter = this.#makeSnapshotter()
    const repair = new Repair({
      loaded,
      remains,
      peers,
      snapshots,
      appliedIndex,
      fetchSnapshot: (from, base) => snapshotter.fetch(from, base),
      logger,
      signal: this.#signal
    })
    await this.#serve(loaded, (index, chain) => repair.find(index, chain))
    const content = await repair.run()
    await storage.replace(content)
    const last = content.base.index + content.entries.length
    logger?.info(
      `Repaired the log, which had ${faults.length} fault(s): it begins after ${content.base.index} and ends at ${last}`
    )
    return content
  }

  /**
   * Makes a snapshot durable from which the state can be restored, and the log goes on, or which is ahead of the log.
   *
   * @throws {RaftStartError} when there is nobody to ask
   */
  async fetchSnapshot(log: Log): Promise<void> {
    const { stateMachine, logger } = this.#components
    const peers = this.#peers()
    peers?.learn([configInForce(log), log.base.config])
    if (peers === undefined || peers.known.length === 0) {
      throw new RaftStartError(
        'state-behind-log',
        `the state stands at ${stateMachine.appliedIndex()}, the log begins after ${log.base.index}, and there is no snapshot between`
      )
    }
    const snapshotter = this.#makeSnapshotter()
    await this.#serve({ ...log, faults: [] }, findIn(log))
    for (let round = 0; ; round++) {
      if (round % ROUNDS_PER_NOTE === 0) {
        logger?.warn(
          `The state stands at ${stateMachine.appliedIndex()}, and the log begins after ${log.base.index}: asking the peers for a snapshot`
        )
      }
      for (const { peer } of await peers.reports(this.#signal)) {
        const offer = await peers.offer(peer, log.base.index, this.#signal)
        // If the log holds another entry there, it is of a leader whom the others did not follow, and is given up with all after it.
        if (offer === undefined || !(offer.index > log.base.index || logHolds(log, offer))) continue
        try {
          await snapshotter.fetch(peer, offer)
          return
        } catch (error) {
          judgeFailedFetch(error, this.#signal)
          logger?.warn(`The snapshot at ${offer.index} could not be had from ${peer}: ${String(error)}`)
        }
      }
      await peers.pause(this.#signal)
    }
  }

  /** Ends what is under way; the connection stays, for the node. */
  async end(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#onAbort)
    await this.#snapshotter?.stop()
  }

  #peers(): Peers | undefined {
    const { transport } = this.#components
    if (!isAskable(transport)) return undefined
    const peers = new Peers(this.#init.id, transport, this.#clock)
    const { knownPeers = [], bootstrap } = this.#init
    peers.learn([{ voters: knownPeers, outgoing: [], learners: [] }, ...(bootstrap === undefined ? [] : [bootstrap])])
    return peers
  }

  #makeSnapshotter(): Snapshotter {
    const { snapshots, transport, logger } = this.#components
    const none = () => Promise.reject(new SnapshotTransferError('This node is being repaired and makes no snapshot'))
    if (this.#snapshotter !== undefined) return this.#snapshotter
    const snapshotter = new Snapshotter({
      store: snapshots,
      transport,
      stateMachine: { snapshot: none },
      clock: this.#clock,
      logger,
      exclusive: none,
      baseAt: () => undefined
    })
    this.#snapshotter = snapshotter
    this.#signal.addEventListener('abort', this.#onAbort, { once: true })
    return snapshotter
  }

  async #serve(loaded: LoadedLog, find: (index: Index, chain: number) => LinkedEntry | undefined): Promise<void> {
    const { snapshots } = this.#components
    const snapshotter = this.#makeSnapshotter()
    await this.#connection.serve({
      onFetchManifest: (_from, base) => snapshotter.serveManifest(base),
      onFetchChunk: (_from, snapshotId, chunk) => snapshotter.serveChunk(snapshotId, chunk),
      onFetchLogReport: async () => ({
        term: loaded.hardState.term,
        leads: false,
        base: loaded.baseLost === true ? undefined : loaded.base,
        last: undefined
      }),
      onFetchEntries: async (_from, request) => serveEntries(find, request),
      onFetchOffer: (_from, atLeast) => storedOffer(snapshots.latest(), atLeast)
    })
  }
}

async function storedOffer(latest: Promise<{ readonly base: LogBase } | undefined>, atLeast: Index): Promise<LogBase> {
  const snapshot = await latest
  if (snapshot === undefined || snapshot.base.index < atLeast) {
    throw new SnapshotTransferError(`This node is being repaired and has no snapshot at or past ${atLeast}`)
  }
  return snapshot.base
}

function damaged({ faults, baseLost, remains }: LoadedLog): Error {
  const [fault] = faults
  const detail = `${faults.length} part(s) of the log are damaged, the first from entry ${fault?.fromIndex} on in ${fault?.file} at byte ${fault?.offset}: ${fault?.detail}`
  // Without a single name there is nobody to ask, and no telling whether there is: a group of one knows that it is one.
  const nobodyKnown = baseLost === true && (remains?.configs ?? []).every((config) => membersOf(config).length === 0)
  return nobodyKnown ? new QuarantineNeededError('history-lost', detail) : new RaftStartError('log-damaged', detail)
}
