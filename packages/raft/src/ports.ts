/**
 * The ports by which the driver meets the world: disk, network, clock, and the application's state machine. One page names
 * them all; `storage/` and `transport/` hold the adapters, `sim/` their simulated twins.
 */

import type { Message } from './core/messages.ts'
import type { CoreOptions, Entry, HardState, Index, LogBase, NodeId } from './core/types.ts'

/** Time, from outside, so that the simulator can own it. */
export interface Clock {
  /** Monotonic milliseconds; the fraction is allowed. */
  now(): number
  /** Calls `callback` once after `delayMs`; the result cancels it. Must not keep the process alive. */
  after(delayMs: number, callback: () => void): () => void
  /** Calls `callback` once, soon: after the events of the network and the disk that are there already. */
  soon(callback: () => void): void
}

/** A damaged part of the stored log at or below what was known to be durable: not absent, unreadable (T54). */
export interface LogFault {
  readonly file: string
  readonly offset: number
  readonly fromIndex: Index
  readonly detail: string
}

export interface LoadedLog {
  readonly hardState: HardState
  readonly base: LogBase
  /** From `base.index + 1`, without a hole. */
  readonly entries: readonly Entry[]
  /** Not empty: the log is damaged, and `entries` ends before the first fault. */
  readonly faults: readonly LogFault[]
}

export interface PersistBatch {
  readonly hardState: HardState | undefined
  /** Drop entries at and above this index before `entries` are written. */
  readonly truncateFrom: Index | undefined
  /** Continue the log after the truncation, without a hole. */
  readonly entries: readonly Entry[]
}

/** Log and hard state on disk. At most one call is under way at a time. An error is final for the process (T51): no retry on the same handle. */
export interface LogStorage {
  /** Reads all there is and verifies it; a torn tail (beyond the durable mark) is dropped, damage at or below it is a fault. */
  load(): Promise<LoadedLog>
  /** Resolves once all of the batch is durable. */
  persist(batch: PersistBatch): Promise<void>
  /** Drops entries at and below `base.index` where that frees disk; resolves once the new base is durable. */
  compact(base: LogBase): Promise<void>
  /** Replaces the whole log by an empty one that begins after `base`; the hard state stays. Resolves once durable. */
  reset(base: LogBase): Promise<void>
  close(): Promise<void>
}

/** One chunk of a snapshot. */
export interface SnapshotChunk {
  readonly bytes: number
  readonly crc32: number
}

export interface SnapshotManifest {
  readonly version: 1
  /** Unique name of the snapshot; part of the folder's name. Letters, digits and `-` only. */
  readonly id: string
  readonly base: LogBase
  readonly chunks: readonly SnapshotChunk[]
  readonly totalBytes: number
}

/** Writes one snapshot; nothing of it is visible before `commit`. */
export interface SnapshotWriter {
  /** Appends a chunk; at most 1 MiB. */
  write(chunk: Uint8Array): Promise<void>
  /** Chunks that an earlier, interrupted transfer of the same snapshot left behind, verified; writing continues after them. */
  readonly resumedChunks: number
  /** Syncs the data, writes and syncs the manifest, makes it visible by rename, syncs the folder (T41). */
  commit(): Promise<SnapshotManifest>
  /** Leaves what is written for a later resume, or removes it. */
  abort(options: { keep: boolean }): Promise<void>
}

export interface SnapshotStore {
  /** The newest snapshot whose manifest is sound, by index. */
  latest(): Promise<SnapshotManifest | undefined>
  create(base: LogBase): Promise<SnapshotWriter>
  /** Continues, or begins, a copy of a snapshot that another node described. */
  receive(manifest: SnapshotManifest): Promise<SnapshotWriter>
  open(id: string): Promise<SnapshotManifest | undefined>
  /** One chunk, verified against the manifest. @throws {SnapshotDamagedError} when its checksum is wrong */
  readChunk(manifest: SnapshotManifest, chunk: number): Promise<Uint8Array>
  /** Removes all but the newest, and leftovers older than it. */
  prune(): Promise<void>
}

/** What decides how large a message can get. */
export type MessageLimits = Pick<CoreOptions, 'maxEntryBytes' | 'maxAppendBytes'>

/** Carries messages between nodes. Never blocks: what cannot be queued within its bound is dropped, and Raft sends it again. */
export interface Transport {
  /** @throws {RangeError} when it would not carry the largest message that a node with these limits sends (T19) */
  start(handler: TransportHandler, limits: MessageLimits): Promise<void>
  /** Whom to keep links to. */
  setPeers(peers: readonly NodeId[]): void
  send(to: NodeId, message: Message): void
  /** A snapshot's description at the node that offered it. */
  fetchManifest(from: NodeId, base: LogBase, signal: AbortSignal): Promise<SnapshotManifest>
  fetchChunk(from: NodeId, snapshotId: string, chunk: number, signal: AbortSignal): Promise<Uint8Array>
  stop(): Promise<void>
}

export interface TransportHandler {
  onMessage(from: NodeId, message: Message): void
  onPeerUp(peer: NodeId): void
  onPeerDown(peer: NodeId): void
  /** Serve the bulk protocol. */
  onFetchManifest(from: NodeId, base: LogBase): Promise<SnapshotManifest>
  onFetchChunk(from: NodeId, snapshotId: string, chunk: number): Promise<Uint8Array>
}

/** A consistent view of the state at one index, while later entries are applied. */
export interface StateSnapshot {
  readonly index: Index
  /** Chunks of at most 1 MiB, made as they are asked for. */
  chunks(signal: AbortSignal): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

/** One committed command for the application. */
export interface Command {
  readonly index: Index
  readonly payload: Uint8Array
}

/** The application. Calls come one at a time, except that a snapshot may be read while entries are applied. */
export interface StateMachine<Result> {
  /** The index the state stands at, known after it is opened; entries at and below it are not applied again (T43). */
  appliedIndex(): Index
  /**
   * Applies commands in order and answers one result each. The state must take `throughIndex` (at or past the last command:
   * entries without a command count too) in the same atomic write. Must be deterministic and must not throw for a bad command: that is a result.
   */
  apply(commands: readonly Command[], throughIndex: Index): Promise<readonly Result[]>
  /** Makes the state durable; answers the index it is durable at. */
  flush(): Promise<Index>
  snapshot(): Promise<StateSnapshot>
  /** Replaces the whole state, atomically across a crash, by the one at `index`. */
  restore(index: Index, chunks: AsyncIterable<Uint8Array>): Promise<void>
}
