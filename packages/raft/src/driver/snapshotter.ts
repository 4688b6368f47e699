/**
 * Makes snapshots for peers that the log no longer reaches, serves them, and fetches the leader's when this node is such a peer.
 * Used by `driver.ts`; the bytes go through `SnapshotStore` and the transport's bulk protocol, one making and one fetching at a time.
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

/** Most bytes of a snapshot that are under way to this node: more would stand in front of consensus traffic. */
const MAX_INFLIGHT_BYTES = 1024 * 1024
/** Tries for one piece before the transfer is given up; the next one goes on where this one ended. */
const MAX_TRIES = 5
const FIRST_RETRY_MS = 50

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

export class Snapshotter {
  readonly #init: SnapshotterInit
  readonly #stopped = new AbortController()
  #making: Promise<LogBase> | undefined
  /** The one that peers fetch; saves reading its manifest for each chunk. */
  #served: SnapshotManifest | undefined
  #fetching: Promise<unknown> | undefined

  constructor(init: SnapshotterInit) {
    this.#init = init
  }

  /** A snapshot from which a peer can go on with this log: a stored one, or a new one. All who ask while it is made share it. */
  offer(): Promise<LogBase> {
    this.#making ??= this.#offer().finally(() => {
      this.#making = undefined
    })
    return this.#making
  }

  async #offer(): Promise<LogBase> {
    const { store, baseAt } = this.#init
    const latest = await store.latest()
    if (latest !== undefined && connects(latest.base, baseAt(latest.base.index))) return latest.base
    const manifest = await this.#make()
    await store.prune()
    return manifest.base
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
    return store.readChunk(served, chunk)
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
    const { store, transport, logger } = this.#init
    const { signal } = this.#stopped
    const own = await store.latest()
    if (own !== undefined && sameBase(own.base, base)) return own
    const manifest = await this.#persistently(() => transport.fetchManifest(from, base, signal))
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
      await this.#fetchChunks(from, manifest, writer)
      return await writer.commit()
    } catch (error) {
      await writer.abort({ keep: true }).catch(() => {})
      throw error
    }
  }

  /** Keeps as many chunks under way as fit the bound, and writes them in order. */
  async #fetchChunks(from: NodeId, manifest: SnapshotManifest, writer: SnapshotWriter): Promise<void> {
    const { chunks } = manifest
    const inflight: Promise<Uint8Array>[] = []
    let bytes = 0
    let next = writer.resumedChunks
    for (let chunk = writer.resumedChunks; chunk < chunks.length; chunk++) {
      while (next < chunks.length && (inflight.length === 0 || bytes + chunks[next]!.bytes <= MAX_INFLIGHT_BYTES)) {
        const fetched = this.#fetchChunk(from, manifest, next)
        // Awaited below in its turn; until then a failure is nobody's, and must not be the process's.
        fetched.catch(() => {})
        inflight.push(fetched)
        bytes += chunks[next]!.bytes
        next++
      }
      await writer.write(await inflight.shift()!)
      bytes -= chunks[chunk]!.bytes
    }
  }

  #fetchChunk(from: NodeId, manifest: SnapshotManifest, chunk: number): Promise<Uint8Array> {
    const expected = manifest.chunks[chunk]!
    return this.#persistently(async () => {
      const bytes = await this.#init.transport.fetchChunk(from, manifest.id, chunk, this.#stopped.signal)
      if (bytes.length !== expected.bytes || crc32(bytes) !== expected.crc32) {
        throw new SnapshotTransferError(`Chunk ${chunk} of snapshot ${manifest.id} is not what its manifest says`)
      }
      return bytes
    })
  }

  async #persistently<T>(attempt: () => Promise<T>): Promise<T> {
    const { signal } = this.#stopped
    for (let tries = 1; ; tries++) {
      try {
        return await attempt()
      } catch (error) {
        if (tries === MAX_TRIES || signal.aborted) throw error
        await this.#delay(FIRST_RETRY_MS * 2 ** (tries - 1))
        signal.throwIfAborted()
      }
    }
  }

  #delay(ms: number): Promise<void> {
    const { clock } = this.#init
    const { signal } = this.#stopped
    return new Promise((resolve) => {
      const cancel = clock.after(ms, done)
      function done(): void {
        cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      signal.addEventListener('abort', done, { once: true })
    })
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    this.#stopped.abort(new Error('the node is stopped'))
    await Promise.all([this.#making?.catch(() => {}), this.#fetching])
  }
}

/** Whether a log in which `there` is the base at that index goes on from a snapshot at `base`. */
const connects = (base: LogBase, there: LogBase | undefined): boolean => there !== undefined && sameBase(base, there)
