/**
 * The ports by which the driver meets the world: disk, network, clock, and the application's state machine. One page names
 * them all; `storage/` and `transport/` hold the adapters, `sim/` their simulated twins.
 */

import type { Message } from './core/messages.ts'
import type { ClusterConfig, CoreOptions, Entry, HardState, Index, LogBase, NodeId, Term } from './core/types.ts'
import type { SpaceLeft } from './driver/health.ts'

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
  /** Bytes from the beginning of the file. */
  readonly offset: number
  /** The first entry that may be affected. */
  readonly fromIndex: Index
  /** For people. */
  readonly detail: string
}

/** An entry of a log, told by its index and the chain over all up to it. */
export interface LogPlace {
  readonly index: Index
  readonly chain: number
}

/** An entry, and the chain that its checksum was seeded with: that of the entry before it. */
export interface LinkedEntry {
  readonly entry: Entry
  readonly previousChain: number
}

/** What a damaged log still proves. */
export interface LogRemains {
  /** The entry with that chain, if it is sound; also one that the log cut off again. */
  find(index: Index, chain: number): LinkedEntry | undefined
  /** Where the log ended; undefined if that is not certain, as damage may have taken the last of it. */
  readonly end: LogPlace | undefined
  /** Configurations that were read, to know whom to ask; proven by nothing. */
  readonly configs: readonly ClusterConfig[]
}

export interface LoadedLog {
  readonly hardState: HardState
  readonly base: LogBase
  /** From `base.index + 1`, without a hole. */
  readonly entries: readonly Entry[]
  /** Not empty: the log is damaged, and `entries` ends before the first fault. */
  readonly faults: readonly LogFault[]
  /** With faults, where the storage can tell. */
  readonly remains?: LogRemains
  /** `base` is lost as well, and stands for nothing. */
  readonly baseLost?: boolean
}

/** A log to put in the place of another. */
export interface LogContent {
  readonly hardState: HardState
  readonly base: LogBase
  /** From `base.index + 1`, without a hole. */
  readonly entries: readonly Entry[]
}

/** Looks after the room on the disk of the log; the driver starts and stops it. */
export interface DiskWatch {
  /** @param onSpace - told at once, and at each change */
  start(onSpace: (space: SpaceLeft) => void): void
  stop(): Promise<void>
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
  /**
   * Puts `content` in the place of a log that was loaded with faults. A crash leaves the old log, as it was, or the new one. Resolves
   * once durable; `load` a new instance after it. Without this method a damaged log is not repaired.
   */
  replace?(content: LogContent): Promise<void>
  close(): Promise<void>
}

/** One chunk of a snapshot: how long it is, at most 1 MiB, and its checksum, unsigned 32 bit. */
export interface SnapshotChunk {
  readonly bytes: number
  readonly crc32: number
}

/** What a snapshot consists of, and where it stands. */
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
  /** Removes one that turned out to be damaged, so that another is made or fetched in its place. Without this method it stays. */
  discard?(manifest: SnapshotManifest): Promise<void>
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
  /** The three calls by which a damaged node is repaired; a transport without them leaves it as it is. */
  fetchLogReport?(from: NodeId, signal: AbortSignal): Promise<LogReport>
  fetchEntries?(from: NodeId, request: EntriesRequest, signal: AbortSignal): Promise<EntriesAnswer>
  /** Where a snapshot at or past `atLeast` stands that can be fetched from there; made if there is none. Rejects if the state there is not so far. */
  fetchOffer?(from: NodeId, atLeast: Index, signal: AbortSignal): Promise<LogBase>
  stop(): Promise<void>
}

/** How the log of a node stands, for one that lost parts of its own. */
export interface LogReport {
  readonly term: Term
  /** It leads in `term`, as far as it knows. */
  readonly leads: boolean
  /** Undefined from a node that is in repair itself and lost it, and from one that joined and has the log from its first entry on. */
  readonly base: LogBase | undefined
  /** The last entry; undefined from a node that is in repair. */
  readonly last: LogPlace | undefined
}

/** Asks for entries of a log that has `chain` at `to`: from that one down to `from`, or as many of them as one answer holds. */
export interface EntriesRequest {
  readonly from: Index
  readonly to: Index
  readonly chain: number
}

/** Entries up to the one asked for, without a hole; none from a node that does not have it. */
export interface EntriesAnswer {
  /** Chain of the entry before the first. */
  readonly previousChain: number
  readonly entries: readonly Entry[]
}

/** What a transport tells the node. Called synchronously from the network's events. */
export interface TransportHandler {
  /** `from` is authenticated; the message is well formed, and nothing else is known of it. */
  onMessage(from: NodeId, message: Message): void
  /** @param about - what the peer said of itself in its hello; without it its feature level is not known, which holds up a raise (T59) */
  onPeerUp(peer: NodeId, about?: { readonly featureLevel: number }): void
  onPeerDown(peer: NodeId): void
  /** Serve the bulk protocol. */
  onFetchManifest(from: NodeId, base: LogBase): Promise<SnapshotManifest>
  onFetchChunk(from: NodeId, snapshotId: string, chunk: number): Promise<Uint8Array>
  onFetchLogReport?(from: NodeId): Promise<LogReport>
  onFetchEntries?(from: NodeId, request: EntriesRequest): Promise<EntriesAnswer>
  onFetchOffer?(from: NodeId, atLeast: Index): Promise<LogBase>
}

/** Where a node leaves what it knows of its recent past (`driver/recorder.ts`), for somebody to run again. */
export interface FlightRecordStore {
  /** Keeps a record, in parts that are made as they are asked for; answers where it is. */
  save(parts: Iterable<Uint8Array>): Promise<string>
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
  /** Of its entry; the commands of one call rise, not without gaps. */
  readonly index: Index
  /** Shares memory with the log: never to be written to. */
  readonly payload: Uint8Array
}

/** The application. Calls come one at a time, except that a snapshot may be read while entries are applied. */
export interface StateMachine<Result> {
  /** The index the state stands at, known after it is opened; entries at and below it are not applied again (T43). */
  appliedIndex(): Index
  /**
   * A number that says all that was ever applied to this state, as it stands: equal on all nodes whose states stand at one index, and
   * kept in the same atomic write as that index, and in snapshots. A CRC, chained over what each command did, with its index, will do.
   * Nodes compare theirs (T43, T45). Unsigned 32 bit; undefined while the state has none. Left out: nothing is compared.
   */
  digest?(): number | undefined
  /**
   * Applies commands in order and answers one result each. The state must take `throughIndex` (at or past the last command:
   * entries without a command count too) in the same atomic write. Must be deterministic and must not throw for a bad command: that is a result.
   */
  apply(commands: readonly Command[], throughIndex: Index): Promise<readonly Result[]>
  /** Makes the state durable; answers the index it is durable at. */
  flush(): Promise<Index>
  snapshot(): Promise<StateSnapshot>
  /**
   * Puts the state away, durably: when it is opened next it is empty and stands at 0. Nothing is asked of this instance afterwards. For a
   * state that turned out to be wrong; without this method that is the operator's to do.
   */
  discard?(): Promise<void>
  /** Replaces the whole state, atomically across a crash, by the one at `index`. */
  restore(index: Index, chunks: AsyncIterable<Uint8Array>): Promise<void>
}
