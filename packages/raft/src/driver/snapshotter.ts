/**
 * Makes snapshots for peers that the log no longer reaches, serves them, and fetches the leader's when this node is such a peer.
 * Used by `snapshot-exchange.ts` and `peer-services.ts`; the bytes go through `SnapshotStore` and the transport's bulk protocol, one making and one fetching at a time.
 */

import { crc32 } from 'node:zlib'
import type { RaftLogger } from '../api.ts'
import type { Index, LogBase, NodeId } from '../core/types.ts'
import { SnapshotTransferError } from '../errors.ts'
import type {
  Clock,
  SnapshotManifest,
  SnapshotStore,
  SnapshotWriter,
  StateMachine,
  StateSnapshot,
  Transport
} from '../ports.ts'
import { StorageFailedError } from '../storage/errors.ts'
import { delay } from './clock.ts'

/** Most bytes of a snapshot that are under way to this node: more would stand in front of consensus traffic. */
const MAX_INFLIGHT_BYTES = 1024 * 1024
/** Most chunks, however small: fewer than the calls that the transport has under way to one peer, which it would refuse beyond that. */
const MAX_INFLIGHT_CHUNKS = 8
/** How long the source may send nothing once another node leads. Until the transfer ends this node takes no entries. */
const DEPOSED_SOURCE_PATIENCE_MS = 2000
/** Tries for one piece before the transfer is given up; the next one goes on where this one ended. */
const MAX_TRIES = 5
const FIRST_RETRY_MS = 50
/**
 * To make a snapshot is to read the whole state, and it takes the place of one that others may be fetching. What peers ask for of their own accord
 * is therefore made only after a rest of so many times what the last one took, and at the least so long.
 */
const REST_FACTOR = 4
const LEAST_REST_MS = 1000

export interface SnapshotterInit {
  readonly store: SnapshotStore
  readonly transport: Transport
  readonly stateMachine: Pick<StateMachine<unknown>, 'snapshot'>
  readonly clock: Clock
  readonly logger: RaftLogger | undefined
  /** Runs between two calls to the state machine. */
  readonly exclusive: <T>(task: () => Promise<T>) => Promise<T>
  /** What a snapshot at `index` has to carry; undefined once the log does not reach there. */
  readonly baseAt: (index: Index) => LogBase | undefined
}

/** The chunks of a stored snapshot, in order. */
export async function* storedChunks(store: SnapshotStore, manifest: SnapshotManifest): AsyncGenerator<Uint8Array> {
  for (let chunk = 0; chunk < manifest.chunks.length; chunk++) yield await store.readChunk(manifest, chunk)
}

const sameBase = (a: LogBase, b: LogBase): boolean => a.index === b.index && a.term === b.term && a.chain === b.chain

/** Whom a snapshot is being fetched from. */
interface Source {
  readonly from: NodeId
  readonly gone: AbortController
  /** Answers that have come. */
  answers: number
  /** Ends the watch over a source that leads no more; undefined while it leads. */
  endWatch: (() => void) | undefined
}

export class Snapshotter {
  readonly #init: SnapshotterInit
  readonly #stopped = new AbortController()
  #making: Promise<LogBase> | undefined
  /** Until then none is made for a peer that asks. */
  #restUntilMs = Number.NEGATIVE_INFINITY
  /** The one that peers fetch; saves reading its manifest for each chunk. */
  #served: SnapshotManifest | undefined
  #fetching: Promise<unknown> | undefined
  #source: Source | undefined

  constructor(init: SnapshotterInit) {
    this.#init = init
  }

  /** A snapshot from which a peer can go on with this log: a stored one, or a new one. All who ask while it is made share it. */
  async offer(): Promise<LogBase> {
    return await this.#share(0)
  }

  /**
   * The same at or past `atLeast`, for a peer that asks of its own accord: as often as it likes, so that a new one is made only now and then.
   *
   * @throws {SnapshotTransferError} when the state does not stand there yet, or it is too early to make another: to be asked again
   */
  async offerPast(atLeast: Index): Promise<LogBase> {
    const resting = this.#making === undefined && this.#init.clock.now() < this.#restUntilMs
    const base = await (resting ? this.#stored(atLeast) : this.#share(atLeast))
    if (base === undefined) {
      throw new SnapshotTransferError(`No snapshot at or past ${atLeast} is here, and the last was made a moment ago`)
    }
    if (base.index < atLeast) {
      throw new SnapshotTransferError(
        `The state stands at ${base.index} here, and a snapshot at or past ${atLeast} is asked for`
      )
    }
    return base
  }

  #share(atLeast: Index): Promise<LogBase> {
    this.#making ??= this.#offer(atLeast).finally(() => {
      this.#making = undefined
    })
    return this.#making
  }

  async #offer(atLeast: Index): Promise<LogBase> {
    const { store, clock } = this.#init
    const stored = await this.#stored(atLeast)
    if (stored !== undefined) return stored
    const sinceMs = clock.now()
    try {
      const manifest = await this.#make()
      await store.prune()
      return manifest.base
    } finally {
      const nowMs = clock.now()
      this.#restUntilMs = nowMs + Math.max(REST_FACTOR * (nowMs - sinceMs), LEAST_REST_MS)
    }
  }

  /** The newest one that is here, if it is at or past `atLeast` and the log goes on from it. */
  async #stored(atLeast: Index): Promise<LogBase | undefined> {
    const { store, baseAt } = this.#init
    const latest = await store.latest()
    if (latest === undefined || latest.base.index < atLeast) return undefined
    return connects(latest.base, baseAt(latest.base.index)) ? latest.base : undefined
  }

  async #make(): Promise<SnapshotManifest> {
    const { store, stateMachine, exclusive, baseAt } = this.#init
    // The base is read while the state stands still, since the log may be compacted past it later.
    const { state, base } = await exclusive(async () => {
      const made = await stateMachine.snapshot()
      return { state: made, base: baseAt(made.index) }
    })
    try {
      if (base === undefined) throw new Error(`The log does not reach ${state.index}, where the state stands`)
      return await this.#write(await store.create(base), state)
    } finally {
      await state.close()
    }
  }

  async #write(writer: SnapshotWriter, state: StateSnapshot): Promise<SnapshotManifest> {
    try {
      const { signal } = this.#stopped
      for await (const chunk of state.chunks(signal)) {
        signal.throwIfAborted()
        await writer.write(chunk)
      }
      return await writer.commit()
    } catch (error) {
      await writer.abort({ keep: false }).catch(() => {})
      throw error
    }
  }

  async serveManifest(base: LogBase): Promise<SnapshotManifest> {
    if (this.#served === undefined || !sameBase(this.#served.base, base)) this.#served = await this.#init.store.latest()
    if (this.#served === undefined || !sameBase(this.#served.base, base)) {
      throw new SnapshotTransferError(`There is no snapshot at ${base.index} here`)
    }
    return this.#served
  }

  async serveChunk(snapshotId: string, chunk: number): Promise<Uint8Array> {
    const { store } = this.#init
    const served = this.#served?.id === snapshotId ? this.#served : await store.open(snapshotId)
    if (served === undefined) throw new SnapshotTransferError(`There is no snapshot ${snapshotId} here`)
    if (chunk >= served.chunks.length) {
      throw new SnapshotTransferError(
        `Snapshot ${snapshotId} has ${served.chunks.length} chunks, there is no chunk ${chunk}`
      )
    }
    try {
      return await store.readChunk(served, chunk)
    } catch (error) {
      // Nobody could ever fetch it; the next that asks is offered another.
      if (error instanceof Error && error.name === 'SnapshotDamagedError') await this.#discard(served)
      throw error
    }
  }

  async #discard(damaged: SnapshotManifest): Promise<void> {
    this.#init.logger?.warn(`The snapshot at ${damaged.base.index} is damaged and is discarded`)
    if (this.#served?.id === damaged.id) this.#served = undefined
    await this.#init.store.discard?.(damaged)
  }

  /**
   * Fetches the snapshot at `base` and makes it durable. Chunks that an earlier try left behind are not fetched again.
   *
   * @throws {SnapshotTransferError} or what the transport throws, when it cannot be had
   */
  fetch(from: NodeId, base: LogBase): Promise<SnapshotManifest> {
    const fetching = this.#fetch(from, base)
    this.#fetching = fetching.catch(() => {})
    return fetching
  }

  async #fetch(from: NodeId, base: LogBase): Promise<SnapshotManifest> {
    const source: Source = { from, gone: new AbortController(), answers: 0, endWatch: undefined }
    this.#source = source
    try {
      return await this.#fetchFrom(source, base)
    } finally {
      this.#source = undefined
      source.endWatch?.()
    }
  }

  async #fetchFrom(source: Source, base: LogBase): Promise<SnapshotManifest> {
    const { store, transport, logger } = this.#init
    const { from } = source
    const signal = AbortSignal.any([this.#stopped.signal, source.gone.signal])
    const own = await store.latest().catch((error: unknown) => {
      throw new StorageFailedError('Could not look for a snapshot here', error)
    })
    if (own !== undefined && sameBase(own.base, base)) return own
    const manifest = await this.#persistently(() => transport.fetchManifest(from, base, signal), signal)
    source.answers++
    if (!sameBase(manifest.base, base)) {
      throw new SnapshotTransferError(
        `${from} offered a snapshot at ${base.index} and described one at ${manifest.base.index}`
      )
    }
    const writer = await store.receive(manifest)
    logger?.info(
      `Fetching the snapshot at ${base.index} from ${from}: ${manifest.totalBytes} bytes, ${writer.resumedChunks} of ${manifest.chunks.length} chunks are here`
    )
    try {
      await this.#fetchChunks(source, signal, manifest, writer)
      return await writer.commit()
    } catch (error) {
      await writer.abort({ keep: true }).catch(() => {})
      throw error
    }
  }

  /** Keeps as many chunks under way as fit the bound, and writes them in order. */
  async #fetchChunks(
    source: Source,
    signal: AbortSignal,
    manifest: SnapshotManifest,
    writer: SnapshotWriter
  ): Promise<void> {
    const { chunks } = manifest
    const inflight: Promise<Uint8Array>[] = []
    let bytes = 0
    let next = writer.resumedChunks
    for (let chunk = writer.resumedChunks; chunk < chunks.length; chunk++) {
      while (next < chunks.length && inflight.length < MAX_INFLIGHT_CHUNKS) {
        if (inflight.length > 0 && bytes + chunks[next]!.bytes > MAX_INFLIGHT_BYTES) break
        const fetched = this.#fetchChunk(source.from, signal, manifest, next)
        // Awaited below in its turn; until then a failure is nobody's, and must not be the process's.
        fetched.catch(() => {})
        inflight.push(fetched)
        bytes += chunks[next]!.bytes
        next++
      }
      const arrived = await inflight.shift()!
      source.answers++
      await writer.write(arrived)
      bytes -= chunks[chunk]!.bytes
    }
  }

  #fetchChunk(from: NodeId, signal: AbortSignal, manifest: SnapshotManifest, chunk: number): Promise<Uint8Array> {
    const expected = manifest.chunks[chunk]!
    return this.#persistently(async () => {
      const bytes = await this.#init.transport.fetchChunk(from, manifest.id, chunk, signal)
      if (bytes.length !== expected.bytes || crc32(bytes) !== expected.crc32) {
        throw new SnapshotTransferError(`Chunk ${chunk} of snapshot ${manifest.id} is not what its manifest says`)
      }
      return bytes
    }, signal)
  }

  /** The link to `peer` broke. If a snapshot is on its way from there, the transfer ends: what has come is kept for the next try. */
  peerLost(peer: NodeId): void {
    if (this.#source?.from === peer) this.#source.gone.abort(new SnapshotTransferError(`The link to ${peer} broke`))
  }

  /**
   * `leader` leads. A source that does not lead any more may go on as long as it sends: it may as well be dead without a word, and a
   * majority may need this node, which takes no entries before the transfer is over.
   */
  leaderIs(leader: NodeId): void {
    const source = this.#source
    if (source === undefined) return
    if (source.from === leader) {
      source.endWatch?.()
      source.endWatch = undefined
    } else if (source.endWatch === undefined) {
      this.#watch(source)
    }
  }

  #watch(source: Source): void {
    const seen = source.answers
    source.endWatch = this.#init.clock.after(DEPOSED_SOURCE_PATIENCE_MS, () => {
      if (source.answers > seen) this.#watch(source)
      else source.gone.abort(new SnapshotTransferError(`${source.from} leads no more, and sends nothing`))
    })
  }

  async #persistently<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await attempt()
      } catch (error) {
        if (tries === MAX_TRIES || signal.aborted) throw error
        await delay(this.#init.clock, FIRST_RETRY_MS * 2 ** (tries - 1), signal)
        signal.throwIfAborted()
      }
    }
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    this.#stopped.abort(new Error('the node is stopped'))
    await Promise.all([this.#making?.catch(() => {}), this.#fetching])
  }
}

/** Whether a log in which `there` is the base at that index goes on from a snapshot at `base`. */
const connects = (base: LogBase, there: LogBase | undefined): boolean => there !== undefined && sameBase(base, there)
