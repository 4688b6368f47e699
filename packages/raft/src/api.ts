/** The face of a running node: what `openRaft` (`driver/driver.ts`) gives to the application. */

import type {
  ClusterConfig,
  CoreOptions,
  CoreStatus,
  HardState,
  Index,
  LogBase,
  MembershipChange,
  NodeId,
  Role,
  Term
} from './core/types.ts'
import type { SpaceLeft } from './driver/health.ts'
import type { RaftMetrics } from './driver/metrics.ts'
import type {
  Clock,
  DiskWatch,
  FlightRecordStore,
  LogStorage,
  SnapshotStore,
  StateMachine,
  Transport
} from './ports.ts'

export interface AbortOptions {
  /** Ends the wait when it aborts; what was asked for may happen all the same. */
  readonly signal?: AbortSignal
}

/** Where a command ended up, and what the state machine said of it on this node. */
export interface Committed<Result> {
  readonly index: Index
  readonly term: Term
  readonly result: Result
}

/** Who a node is, and what it runs with. */
export interface RaftInit {
  /** The node's name in the configuration, for good: 1 to 256 ASCII characters, the `nodeId` of its transport. */
  readonly id: NodeId
  /**
   * Ends the start when it aborts, with its reason: a damaged node waits for its peers before it starts, for as long as it takes. Has no
   * effect once the node is started.
   */
  readonly signal?: AbortSignal
  /** Whom else to ask for what is damaged, beyond the members that the log still names. */
  readonly knownPeers?: readonly NodeId[]
  /** Used only when the storage is empty: the first configuration of a new group, in any order, or undefined for a node that waits to be added. */
  readonly bootstrap?: ClusterConfig
  /** What is left out is as in `defaultCoreOptions`. */
  readonly options?: Partial<CoreOptions>
  /** Unsigned 32 bit; as in {@link CoreInit}, another one at each start. @default random */
  readonly seed?: number
  /**
   * The highest feature level that this node takes part in, from 1 to 255: lower than the version's own only to try out an upgrade. The
   * transport has to be told the same (`featureLevel`). @default the version's own
   */
  readonly supportedLevel?: number
}

/** What a node is made of. The node owns none of them except while it runs: `close` closes storage and transport. */
export interface RaftComponents<Result> {
  readonly storage: LogStorage
  readonly snapshots: SnapshotStore
  readonly transport: Transport
  readonly stateMachine: StateMachine<Result>
  readonly clock?: Clock
  readonly logger?: RaftLogger
  /** Where a node that halts, or is asked to, leaves what led there. Without it nothing is recorded. */
  readonly flightRecords?: FlightRecordStore
  /** Tells how much room there is for the log: without any to spare, proposals are refused, and leadership is handed over. */
  readonly disk?: DiskWatch
}

/** Takes lines for people. Must not throw. */
export interface RaftLogger {
  debug(message: string): void
  info(message: string): void
  warn(message: string): void
  error(message: string): void
}

/** What a node tells its listeners, in the order in which it happened. A listener that throws is logged. */
export interface RaftEvents {
  /** Role, term or leader changed; `leader` is undefined while none is known. */
  role: { role: Role; term: Term; leader: NodeId | undefined }
  /** The configuration in force, that of the entry at `index`, is another one, or became committed. */
  config: { config: ClusterConfig; index: Index; committed: boolean }
  /** The state machine stands at `index` after a batch. */
  applied: { index: Index }
  /** The state was replaced by a snapshot at `index`: whoever mirrors the state must compare it anew. */
  restored: { index: Index }
  /**
   * Something an operator should know. `code` is that of the effect `alarm` of {@link Effect}, or `snapshot-not-made` or `snapshot-not-fetched`; `detail`
   * is for people; `peer` is whom it is about, if it is about one.
   */
  alarm: { code: string; detail: string; peer?: NodeId }
  /** The node stopped for good. */
  halt: { reason: string }
}

/** A running node. After `halt` or `close` it refuses what is asked of it; `status` and `metrics` go on to tell how it stood. */
export interface Raft<Result> {
  /** As in its `RaftInit`. */
  readonly id: NodeId
  /**
   * Appends a command and answers once it is committed and applied on this node. The bytes must not be changed before it answers.
   *
   * @throws {NotLeaderError} when this node is not the leader; nothing was appended
   * @throws {ProposalRefusedError} when it was not appended for another reason
   * @throws {ProposalLostError} when it was appended and replaced by another leader's entry: it will never be applied
   * @throws {OutcomeUnknownError} when the signal aborts, or the node stops, before the outcome is known, or is not all of one kind
   */
  propose(command: Uint8Array, options?: AbortOptions): Promise<Committed<Result>>
  /**
   * The same for many, appended together: all or none; of 64 MiB at the most. Answers when the last is applied, in their order. A leader that is
   * lost in between may leave only the first of them behind: then the outcome is unknown as a whole. Errors as of `propose`.
   */
  proposeMany(commands: readonly Uint8Array[], options?: AbortOptions): Promise<readonly Committed<Result>[]>
  /**
   * Answers once the local state holds every write acknowledged before the call, on any node (ReadIndex).
   *
   * @returns the applied index that satisfies it
   * @throws {ReadUnavailableError} when no leader confirmed it before the signal aborted, or for ten election timeouts without a signal; when the node
   * stops
   */
  readBarrier(options?: AbortOptions): Promise<Index>
  /**
   * Answers once the local state stands at or past `index`, however long that takes.
   *
   * @throws {ReadUnavailableError} when the signal aborts, or the node stops, before
   */
  waitApplied(index: Index, options?: AbortOptions): Promise<void>
  /**
   * Reads the state as of `readBarrier`, but without asking anybody while this node leads and holds a lease (`leaseMs`): `read` looks at the
   * local state, and what it gives is answered if the lease still holds then. Otherwise there is a barrier, and `read` is called after it, for a second
   * time if it was called before; so it must change nothing.
   *
   * @example
   * const value = await raft.leaseRead(() => state.get('x'))
   *
   * @throws {ReadUnavailableError} as `readBarrier` does; what `read` throws
   */
  leaseRead<T>(read: () => T | Promise<T>, options?: AbortOptions): Promise<T>
  /**
   * Tells the node how much room there is for its log, from whoever watches the disk: with `low` it campaigns later than others, with `none` it hands
   * over what it leads. What it measures by itself (writes, event loop) counts as well.
   */
  reportSpace(space: SpaceLeft): void
  /**
   * Changes the membership, through a joint configuration where more than one voter changes; answers once the final configuration is committed. Leader
   * only. Errors as of `propose`; the reason of a signal that has aborted before.
   */
  changeMembers(change: MembershipChange, options?: AbortOptions): Promise<void>
  /**
   * Hands leadership over; answers once another node leads. Leader only.
   *
   * @param to - a voter. @default the best that is fit to lead
   * @throws {NotLeaderError} when this node is not the leader
   * @throws {ProposalRefusedError} when the target cannot lead (`illegal-change`), did not take over in time (`transfer-failed`), or another hand-over is
   * under way (`transferring`)
   * @throws {OutcomeUnknownError} when the signal aborts, or the node stops, before it is known
   */
  transferLeadership(to?: NodeId, options?: AbortOptions): Promise<void>
  /** How the node stands now: a copy, made by each call. */
  status(): CoreStatus
  /** What the node counted since it was opened. Cheap enough to be asked for every second. */
  metrics(): RaftMetrics
  /** Calls `listener` at each event until the result is called. */
  on<K extends keyof RaftEvents>(event: K, listener: (event: RaftEvents[K]) => void): () => void
  /**
   * Writes down what the core was told in the last while, for a replay (`replayFlightRecord` of `@quorate/raft/sim`). A node that halts does it by
   * itself. What was proposed is in it.
   *
   * @returns where the record is
   * @throws {Error} when nothing is recorded, or the record could not be written
   */
  dumpFlightRecord(reason: string): Promise<string>
  /**
   * Makes the state durable, and then lets the log be compacted as far as its bounds allow. Done from time to time by itself. Never rejects: a state that
   * cannot be made durable ends the node (`halt`).
   */
  checkpoint(): Promise<void>
  /**
   * Stops, and closes storage and transport; a leader hands over first if it can do so within `handOverMs`. A second call answers as the first.
   * Rejects with the first error of what it closes, once all is closed. @default 0: does not hand over
   */
  close(options?: { handOverMs?: number }): Promise<void>
}

/** What the log on disk says, for a look from outside before the node starts. */
export interface StoredGroup {
  readonly hardState: HardState
  /** Where the log begins. */
  readonly base: LogBase
  readonly lastIndex: Index
  /** Of the last config entry, committed or not. */
  readonly config: ClusterConfig
  /** Parts of the log cannot be read: `lastIndex` is as far as can be. */
  readonly damaged: boolean
}
