/**
 * The vocabulary of the consensus core: plain data in (`Input`), plain data out (`Effect`).
 *
 * The core is a deterministic state machine. It never reads a clock, draws a random number, awaits or touches a disk: the
 * driver (`../driver`) hands it inputs one at a time, with the time, and carries out the effects it answers with. The
 * simulator (`../sim`) is another driver. Words are those of the Raft paper (Ongaro and Ousterhout, "In Search of an
 * Understandable Consensus Algorithm", extended version) and of Ongaro's dissertation ("Consensus: Bridging Theory and
 * Practice").
 */

import type { Message } from './messages.ts'

/** Names a member of the group. Opaque to the core, compared by value, ASCII only (a libp2p peer ID in base58 in practice). */
export type NodeId = string

/** A logical clock of elections (paper §5.1). 0 is "before the first election"; a safe integer below 2^48. */
export type Term = number

/** A position in the log. The first entry has index 1; 0 is "before the first entry". A safe integer below 2^48. */
export type Index = number

/** What an entry means; the number is its byte on disk and on the wire. */
export const EntryKind = {
  /** Written by a new leader in its own term, so that it can commit what came before (paper §8, dissertation §6.4). */
  noop: 0,
  /** A command of the application. */
  command: 1,
  /** A `ClusterConfig`, in force from the moment it is appended (paper §6). */
  config: 2,
  /** The feature level of the group from here on (`levels.ts`, T59). */
  level: 3
} as const
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind]

/**
 * One log entry. Immutable once made. `record` is the entry as it stands on disk and on the wire, header included
 * (`record.ts`), so that it is encoded once in the life of the cluster.
 */
export interface Entry {
  readonly index: Index
  readonly term: Term
  readonly kind: EntryKind
  /** CRC-32 over this record, seeded with the chain of the entry before: equal chains mean equal histories. Unsigned 32 bit. */
  readonly chain: number
  /** Header and payload; never written to after the entry is made. */
  readonly record: Uint8Array
}

/**
 * CRC-32 (IEEE) of `bytes`, continued from `seed`; the same function as `zlib.crc32`. Given to the core from outside, since
 * the core imports nothing. Must be pure.
 */
export type Checksum = (bytes: Uint8Array, seed: number) => number

/** What a node must remember of its elections (paper figure 2, "persistent state"). Written as one record, never in two steps. */
export interface HardState {
  readonly term: Term
  /** The candidate this node voted for in `term`. */
  readonly votedFor: NodeId | undefined
}

/**
 * The members of the group. `outgoing` is empty except while a change is under way, when decisions need a majority of
 * `voters` and one of `outgoing` (paper §6, joint consensus). Each list is sorted and without duplicates; `learners` is
 * disjoint from `voters`.
 */
export interface ClusterConfig {
  readonly voters: readonly NodeId[]
  readonly outgoing: readonly NodeId[]
  readonly learners: readonly NodeId[]
}

/** A place in history from which a log or a state can be continued: everything at or below `index` is in it. */
export interface LogBase {
  readonly index: Index
  /** Of the entry at `index`, as is `chain`. */
  readonly term: Term
  /** Unsigned 32 bit. */
  readonly chain: number
  /** The configuration in force at `index`. Empty only at index 0, on a node that waits to be added to a group. */
  readonly config: ClusterConfig
  /** The feature level in force at `index` (T59). @default 1 */
  readonly level?: number
  /** The lease that the leader of `term` announced, in milliseconds (T49). @default 0 */
  readonly leaseMs?: number
}

/**
 * How fit a node is to lead, by its own judgement of its disk and its event loop (T23, T24). `degraded`: it campaigns later than
 * others. `unfit`: later still, and as leader it hands over to a voter that is `good`, if there is one.
 */
export type Health = 'good' | 'degraded' | 'unfit'

export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader'

/** A message and where it goes. */
export interface Envelope {
  readonly to: NodeId
  readonly message: Message
}

/** The membership that a change asks for. */
export interface MembershipChange {
  readonly voters: readonly NodeId[]
  readonly learners: readonly NodeId[]
}

/** Why a request was not taken. `not-leader` carries the leader where it is known. */
export type RefusalReason =
  /** Ask `leader`. Nothing was appended. */
  | 'not-leader'
  /** The leader is handing over; ask again. Nothing was appended. */
  | 'transferring'
  /** The entries or bytes that are not committed and applied are at their limit; ask again later. Nothing was appended. */
  | 'busy'
  /** One of the payloads is larger than `maxEntryBytes`. */
  | 'too-large'
  /** A membership change is under way, or nothing of this term is committed yet (Ongaro's 2015 correction; T29). */
  | 'change-in-progress'
  /**
   * The change is not legal: it leaves no voter, names a node twice, or one whose version does not know the group's feature level (T59). Of a
   * hand-over: its target is no other voter, or there is none that is fit.
   */
  | 'illegal-change'
  /** Leadership was lost, or no leader confirmed in time, before the answer was known. For a read: ask again. */
  | 'leadership-lost'
  /** The node that should have taken over did not do so within an election timeout. Ask again, or name another. */
  | 'transfer-failed'
  /** There is no room to spare on the disk of this node. Nothing was appended: ask again once another leads, or there is room. */
  | 'disk-full'
  /** The node is stopping, or has halted. */
  | 'stopped'

/** All that can happen to a node. */
export type Input =
  /** Time has passed. To be given at least every `heartbeatMs / 3`. */
  | { readonly type: 'tick' }
  /** A message arrived. `from` was authenticated by the transport. */
  | { readonly type: 'receive'; readonly from: NodeId; readonly message: Message }
  /** Append commands, one entry each, all or none. Answered by `proposed` or `refused`. */
  | { readonly type: 'propose'; readonly ticket: number; readonly payloads: readonly Uint8Array[] }
  /**
   * Change the membership. Adding or removing exactly one voter, or changing learners only, takes one config entry; anything
   * else goes through a joint configuration, which the leader of the day leaves by itself once it is committed.
   *
   * Answered by `refused`, or by `proposed` with `first` = `last` = the index of that first (joint, or only) entry. The change is
   * done with the first `config-changed` that is committed, has an empty `outgoing` and an index at or past `first`, if its
   * voters and learners are those asked for; if they are not, another leader replaced the change.
   */
  | { readonly type: 'change-members'; readonly ticket: number; readonly change: MembershipChange }
  /** Ask for an index such that a state at or past it holds every write acknowledged before (dissertation §6.4). Any role. */
  | { readonly type: 'read'; readonly ticket: number }
  /** Hand leadership to `to`, or to the best voter (dissertation §3.10). Answered by `transferred` or `refused`. */
  | { readonly type: 'transfer'; readonly ticket: number; readonly to: NodeId | undefined }
  /** All `persist` effects up to and including `seq` are durable. */
  | { readonly type: 'persisted'; readonly seq: number }
  /** The state machine has applied all up to `index`. `digest` stands for its state there, at indexes at which all nodes know theirs. */
  | { readonly type: 'applied'; readonly index: Index; readonly digest?: number | undefined }
  /** The log at and below `index` is no longer needed by this node itself: its state is durable at or past it. */
  | { readonly type: 'compactable'; readonly index: Index }
  /** A snapshot of the state at `base` can be fetched from this node. Answers `need-snapshot`. */
  | { readonly type: 'snapshot-ready'; readonly base: LogBase }
  /** The snapshot that `install-snapshot` asked for is durable and the state machine stands at it; the log was reset to `base`. */
  | { readonly type: 'snapshot-installed'; readonly base: LogBase }
  /** The snapshot that `install-snapshot` asked for could not be had. */
  | { readonly type: 'snapshot-failed'; readonly index: Index }
  /** This node's judgement of itself changed. It is `good` until the first of these. */
  | { readonly type: 'health'; readonly health: Health }
  /**
   * The stream to a peer came up, or went down: a hint, never a proof. `featureLevel` is the highest level that the peer's version
   * knows, in its own words; not known if it did not say.
   */
  | { readonly type: 'peer-up'; readonly peer: NodeId; readonly featureLevel?: number }
  | { readonly type: 'peer-down'; readonly peer: NodeId }

/** All that a node can ask of its driver. Effects are to be begun in the order given. */
export type Effect =
  /**
   * Make durable, in order: the hard state, then the truncation, then the entries. Consecutive effects may be merged into one
   * write with one sync (group commit). `release` leaves only once this, and all before it, is durable (T3); then the driver steps
   * `persisted`. An effect may hold nothing but messages to release, which wait for the writes before it.
   */
  | {
      readonly type: 'persist'
      /** 1, 2, 3, … in the order of the effects. */
      readonly seq: number
      readonly hardState: HardState | undefined
      /** Drop all entries at and above this index first. */
      readonly truncateFrom: Index | undefined
      readonly entries: readonly Entry[]
      readonly release: readonly Envelope[]
    }
  /** Send now; may be lost, delayed, doubled or reordered. */
  | { readonly type: 'send'; readonly to: NodeId; readonly message: Message }
  /** These are committed and durable here; apply them in order, then step `applied`. */
  | { readonly type: 'apply'; readonly entries: readonly Entry[] }
  /** `to` needs what the log no longer has: make a snapshot at or past the log's base, or name a recent one, then step `snapshot-ready`. */
  | { readonly type: 'need-snapshot'; readonly to: NodeId }
  /**
   * Fetch the snapshot at `base` from `from`, make it durable, reset the log to `base` (after the `persist` effects that were
   * begun before), restore the state, step `snapshot-installed`; or step `snapshot-failed`, soon if the source is gone: until
   * either comes the node takes no entries, applies none, asks for no other snapshot and does not campaign. It still votes.
   */
  | { readonly type: 'install-snapshot'; readonly from: NodeId; readonly base: LogBase }
  /** Entries at and below `base.index` may go from disk. */
  | { readonly type: 'compact'; readonly base: LogBase }
  /** The proposal stands in the log of this leader from `first` to `last`. It is committed if those indexes are applied with this `term`. */
  | {
      readonly type: 'proposed'
      readonly ticket: number
      readonly first: Index
      readonly last: Index
      readonly term: Term
    }
  | {
      readonly type: 'refused'
      readonly ticket: number
      readonly reason: RefusalReason
      readonly leader: NodeId | undefined
      readonly detail: string
    }
  /** A read of a state at or past `index` is linearizable. */
  | { readonly type: 'read-ready'; readonly ticket: number; readonly index: Index }
  /** Leadership went to another node. */
  | { readonly type: 'transferred'; readonly ticket: number }
  | { readonly type: 'role-changed'; readonly role: Role; readonly term: Term; readonly leader: NodeId | undefined }
  /** The configuration in force changed, or the one in force became committed. */
  | {
      readonly type: 'config-changed'
      readonly config: ClusterConfig
      readonly index: Index
      readonly committed: boolean
    }
  /**
   * The state machine's state is wrong, as a majority has another one at `index` (T43, T45): it must not be served, kept or given to
   * others. The node has stopped for good and answers nothing more.
   */
  | { readonly type: 'state-diverged'; readonly index: Index; readonly detail: string }
  /**
   * Something an operator should know; the node goes on. Codes: `bad-append`, `bad-answer` and `bad-snapshot` (a peer sent what cannot be right, and
   * it was dropped), `disk-stalled`, `peer-lost-log`, `state-diverged`.
   */
  | {
      readonly type: 'alarm'
      readonly code: string
      readonly detail: string
      /** Whom it is about, if it is about one peer. */
      readonly peer?: NodeId
    }
  /** An invariant is broken; the node has stopped for good and answers nothing more. */
  | { readonly type: 'halt'; readonly reason: string }

/** Limits and times of a node. Times in milliseconds. */
export interface CoreOptions {
  /** How long without word of a leader before a node campaigns: drawn from [electionTimeoutMs, 2 × electionTimeoutMs). @default 450 */
  readonly electionTimeoutMs: number
  /** How often an idle leader sends. Must be below electionTimeoutMs / 3. @default 75 */
  readonly heartbeatMs: number
  /** Largest payload of one entry. @default 1 MiB */
  readonly maxEntryBytes: number
  /** Most record bytes in one AppendEntries; one entry is sent even if larger. @default 1 MiB */
  readonly maxAppendBytes: number
  /** Most AppendEntries with entries in flight to one peer. @default 64 */
  readonly maxInflightMessages: number
  /** Most record bytes in flight to one peer. @default 16 MiB */
  readonly maxInflightBytes: number
  /** Most entries, and record bytes, that a leader holds not committed, or not applied, before it refuses with `busy`. @default 200000 */
  readonly maxUncommittedEntries: number
  /** @default 64 MiB */
  readonly maxUncommittedBytes: number
  /** Most entries handed to `apply` and not yet `applied`. @default 4096 */
  readonly maxApplyEntries: number
  /** Entries kept below what is compactable, so that a peer that was away briefly needs no snapshot. @default 10240 */
  readonly trailingEntries: number
  /** Most record bytes kept in the log for peers that lag. @default 64 MiB */
  readonly maxLogBytes: number
  /**
   * Who should rather lead: a whole number from -4 to 4. A higher one campaigns sooner and is handed leadership to, a lower one
   * waits longer. A wish: it never stands in the way of an election. @default 0
   */
  readonly priority: number
  /**
   * For how long a leader that a quorum answered may serve reads without asking again; 0 for never. A whole number of milliseconds. Each new leader
   * waits so long before it commits anything, a little more for clocks that run apart. At most 60000; and must, with that, be below
   * electionTimeoutMs. @default 0
   */
  readonly leaseMs: number
}

/** What a node starts from. */
export interface CoreInit {
  readonly id: NodeId
  readonly options: CoreOptions
  readonly checksum: Checksum
  /**
   * Seeds the election jitter, so that two nodes of a group should differ, and the numbers of the questions for a read index, so
   * that two starts of one node must differ (T47). Unsigned 32 bit.
   */
  readonly seed: number
  readonly hardState: HardState
  /** Where the stored log begins. Of a new group: index 0, term 0, chain 0 and the first configuration; of a joiner: an empty configuration. */
  readonly base: LogBase
  /** The stored entries from `base.index + 1` on, without a hole. The array is handed over. */
  readonly entries: readonly Entry[]
  /** The state machine already stands at this index; at least `base.index`. */
  readonly appliedIndex: Index
  /** The highest feature level that this version knows, from 1 to 255. @default SUPPORTED_LEVEL of `announcements.ts` */
  readonly supportedLevel?: number
}

/** What can be asked of a peer's progress, on a leader. */
export interface PeerStatus {
  readonly id: NodeId
  readonly voter: boolean
  readonly state: 'probe' | 'replicate' | 'snapshot'
  readonly matchIndex: Index
  readonly nextIndex: Index
  readonly inflightMessages: number
  readonly inflightBytes: number
  /** Milliseconds since the last answer of any kind; Infinity if there was none in this term. */
  readonly lastContactAgoMs: number
  /** What the peer says of itself; `good` and 0 until it has answered in this term. */
  readonly health: Health
  readonly priority: number
  /** The highest feature level that its version knows; undefined if it did not say, or is not connected. */
  readonly supportedLevel: number | undefined
}

/** A picture of a node, for people and tests. */
export interface CoreStatus {
  readonly id: NodeId
  readonly role: Role
  readonly term: Term
  readonly votedFor: NodeId | undefined
  readonly leader: NodeId | undefined
  readonly baseIndex: Index
  readonly lastIndex: Index
  /** Record bytes of the entries that the log holds. */
  readonly logBytes: number
  readonly lastTerm: Term
  /** Highest index known to be on this node's disk. */
  readonly durableIndex: Index
  readonly commitIndex: Index
  readonly appliedIndex: Index
  readonly config: ClusterConfig
  readonly configIndex: Index
  readonly configCommitted: boolean
  readonly health: Health
  readonly priority: number
  /** For how long this node may still serve reads without asking anybody; 0 if it may not. Milliseconds. */
  readonly leaseRemainingMs: number
  /** The feature level of the group that is committed, and the highest that this node's version knows (T59). */
  readonly level: number
  readonly supportedLevel: number
  /** Only on a leader. */
  readonly peers: readonly PeerStatus[]
}

/** The core as its drivers see it. */
export interface RaftCore {
  /**
   * Takes one input at time `nowMs` and appends what is to be done to `out`. Times must never go back. Throws nothing: a
   * broken invariant is the effect `halt`, after which every input is ignored.
   */
  step(input: Input, nowMs: number, out: Effect[]): void
  status(nowMs: number): CoreStatus
  /** The entry at `index`, if the log in memory holds it. */
  entry(index: Index): Entry | undefined
  /**
   * What a snapshot of the state at `index` has to carry; undefined if the log no longer, or not yet, reaches there, or if this
   * node joined later and does not know the configuration of that time.
   */
  baseAt(index: Index): LogBase | undefined
  /**
   * Where the state has to stand for a read that arrived before `nowMs` to be linearizable without asking anybody; undefined if
   * this node does not lead, or holds no lease (T49).
   */
  leaseIndex(nowMs: number): Index | undefined
  /** Whether it holds one still: asked after the state was read, before the answer leaves (T49). */
  holdsLease(nowMs: number): boolean
}
