/**
 * What a node counts of itself while it runs. `driver.ts` and its parts call the hooks; `raft.metrics()` gives the picture, which the
 * application shows in its own way.
 *
 * Counting must cost nothing that can be measured: hooks are called once a turn, a message, a write or a batch, never once an entry;
 * they allocate nothing, and take the time from their caller, who has it already. Counters never fall, and begin at 0 with the process.
 */

import type { Message } from '../core/messages.ts'
import type { CoreStatus, Effect, Entry, Health, Index, NodeId, RefusalReason, Role, Term } from '../core/types.ts'
import type { Clock, Command, LogStorage, PersistBatch, StateMachine } from '../ports.ts'
import { Histogram, type HistogramSnapshot } from './histogram.ts'

export type MessageKind = Message['type']

/** Messages of one kind, in one direction. */
export interface MessageCount {
  readonly count: number
  /** Record bytes of the entries in them; headers and what the transport adds are not counted. */
  readonly bytes: number
}

/** How a follower stands, on a leader. */
export interface FollowerMetrics {
  readonly id: NodeId
  /** Entries that it is behind the leader's log. */
  readonly lagEntries: number
  readonly inflightMessages: number
  readonly inflightBytes: number
}

/** What a node counted since it was opened. Times in milliseconds. */
export interface RaftMetrics {
  readonly role: Role
  readonly term: Term
  readonly commitIndex: Index
  readonly appliedIndex: Index
  /** How fit this node is to lead, by its own judgement. */
  readonly health: Health
  /** The feature level of the group that is committed. */
  readonly level: number
  /** For how long this node may still serve reads without asking anybody; 0 if it may not. */
  readonly leaseRemainingMs: number
  /** Times this node asked for votes, pre-votes not counted, and times it won. */
  readonly elections: { readonly started: number; readonly won: number }
  readonly roleChanges: number
  readonly sent: Readonly<Record<MessageKind, MessageCount>>
  readonly received: Readonly<Record<MessageKind, MessageCount>>
  /** Commands that were appended here, and calls that were refused, by reason. */
  readonly proposals: { readonly accepted: number; readonly refused: Readonly<Partial<Record<RefusalReason, number>>> }
  /** From the turn that proposed a call to its being applied here. */
  readonly commitLatency: HistogramSnapshot
  /** Writes to the log: how long, and how many entries each. */
  readonly persistLatency: HistogramSnapshot
  readonly persistEntries: HistogramSnapshot
  readonly persistBytes: number
  /** How long the write under way has been under way; 0 without one. */
  readonly persistAgeMs: number
  /** Calls of the state machine. */
  readonly applyLatency: HistogramSnapshot
  /** Entries that are committed, and not applied here yet. */
  readonly applyBacklog: number
  readonly snapshots: {
    /** Times this node had one ready for a peer. */
    readonly offered: number
    readonly installed: number
    readonly failed: number
    readonly sentBytes: number
    /** Of those that were installed. */
    readonly receivedBytes: number
  }
  readonly compactions: number
  /** In memory, which is what is on disk as well, rounded up to segments there. */
  readonly logEntries: number
  readonly logBytes: number
  /** How long ago the oldest entry of the log was appended, as far as this process knows; to about a hundredth. */
  readonly oldestEntryAgeMs: number
  /** Barriers that were asked for. */
  readonly reads: number
  /** From the turn that asked for a read index to its being confirmed. */
  readonly readLatency: HistogramSnapshot
  /** Only on a leader. */
  readonly followers: readonly FollowerMetrics[]
  readonly alarms: Readonly<Record<string, number>>
  /** Inputs that one turn found waiting. */
  readonly inboxDepth: HistogramSnapshot
  /** Messages that came while the inbox was full. */
  readonly inboxDropped: number
  /** How much later than they were due ticks came. */
  readonly tickDelay: HistogramSnapshot
}

const kinds = {
  'pre-vote-request': 0,
  'pre-vote-response': 0,
  'vote-request': 0,
  'vote-response': 0,
  'append-entries-request': 0,
  'append-entries-response': 0,
  'install-snapshot-request': 0,
  'install-snapshot-response': 0,
  'timeout-now': 0,
  'read-index-request': 0,
  'read-index-response': 0,
  'digest-report': 0,
  'digest-verdict': 0
} as const satisfies Record<MessageKind, 0>

/** 64 µs, doubled up to 8.4 s. */
const times = (): Histogram => new Histogram(0.064, 18)
/** 1, doubled up to 32,768. */
const sizes = (): Histogram => new Histogram(1, 16)

/** A code of an alarm comes from this package alone; should that change, so many are told apart. */
const MAX_ALARM_CODES = 64

export class Meter {
  readonly #sent: Record<MessageKind, { count: number; bytes: number }>
  readonly #received: Record<MessageKind, { count: number; bytes: number }>
  readonly #refused: Partial<Record<RefusalReason, number>> = {}
  readonly #alarms: Record<string, number> = {}
  readonly #commitLatency = times()
  readonly #persistLatency = times()
  readonly #persistEntries = sizes()
  readonly #applyLatency = times()
  readonly #readLatency = times()
  readonly #inboxDepth = sizes()
  readonly #tickDelay = times()
  readonly #ages: EntryAges
  #role: Role = 'follower'
  #electionsStarted = 0
  #electionsWon = 0
  #roleChanges = 0
  #accepted = 0
  #persistBytes = 0
  /** When the write under way began; undefined without one. */
  #persistingSinceMs: number | undefined
  #snapshotsOffered = 0
  #snapshotsInstalled = 0
  #snapshotsFailed = 0
  #snapshotSentBytes = 0
  #snapshotReceivedBytes = 0
  #compactions = 0
  #reads = 0
  #inboxDropped = 0
  #lastTickMs: number | undefined

  /** @param nowMs - when what the log holds already is taken to have been appended, at the latest */
  constructor(nowMs: number, lastIndex: Index) {
    this.#sent = countersOfKinds()
    this.#received = countersOfKinds()
    this.#ages = new EntryAges(nowMs, lastIndex)
  }

  onSent(message: Message): void {
    const counter = this.#sent[message.type]
    counter.count++
    if (message.type === 'append-entries-request') counter.bytes += recordBytesOf(message.entries)
  }

  /** @param bytes - record bytes of its entries */
  onReceived(kind: MessageKind, bytes: number): void {
    const counter = this.#received[kind]
    counter.count++
    counter.bytes += bytes
  }

  onDropped(): void {
    this.#inboxDropped++
  }

  onTurn(inputs: number): void {
    this.#inboxDepth.add(inputs)
  }

  /** @param intervalMs - after which the next should have come */
  onTick(nowMs: number, intervalMs: number): void {
    if (this.#lastTickMs !== undefined) this.#tickDelay.add(nowMs - this.#lastTickMs - intervalMs)
    this.#lastTickMs = nowMs
  }

  onRole({ role }: Extract<Effect, { type: 'role-changed' }>): void {
    if (role === this.#role) return
    this.#role = role
    this.#roleChanges++
    if (role === 'candidate') this.#electionsStarted++
    if (role === 'leader') this.#electionsWon++
  }

  onAccepted(commands: number): void {
    this.#accepted += commands
  }

  onRefused(reason: RefusalReason): void {
    this.#refused[reason] = (this.#refused[reason] ?? 0) + 1
  }

  onCommitted(latencyMs: number): void {
    this.#commitLatency.add(latencyMs)
  }

  /** @param callers - barriers that share the question */
  onReadAsked(callers: number): void {
    this.#reads += callers
  }

  onReadConfirmed(latencyMs: number): void {
    this.#readLatency.add(latencyMs)
  }

  onSnapshotOffered(): void {
    this.#snapshotsOffered++
  }

  onSnapshotSent(bytes: number): void {
    this.#snapshotSentBytes += bytes
  }

  onSnapshotInstalled(bytes: number): void {
    this.#snapshotsInstalled++
    this.#snapshotReceivedBytes += bytes
  }

  onSnapshotFailed(): void {
    this.#snapshotsFailed++
  }

  onCompaction(): void {
    this.#compactions++
  }

  onAlarm(code: string): void {
    const known = Object.hasOwn(this.#alarms, code) || Object.keys(this.#alarms).length < MAX_ALARM_CODES
    const key = known ? code : 'other'
    this.#alarms[key] = (this.#alarms[key] ?? 0) + 1
  }

  /** The same storage, with its writes measured. */
  meterWrites(storage: Pick<LogStorage, 'persist'>, clock: Clock): Pick<LogStorage, 'persist'> {
    return {
      persist: async (batch: PersistBatch) => {
        const sinceMs = clock.now()
        this.#persistingSinceMs = sinceMs
        await storage.persist(batch)
        const nowMs = clock.now()
        this.#persistingSinceMs = undefined
        this.#persistLatency.add(nowMs - sinceMs)
        this.#persistEntries.add(batch.entries.length)
        this.#persistBytes += recordBytesOf(batch.entries)
        const last = batch.entries.at(-1)
        if (last !== undefined) this.#ages.note(last.index, nowMs)
      }
    }
  }

  /** The same state machine, with its batches measured. */
  meterApply<Result>(machine: Pick<StateMachine<Result>, 'apply'>, clock: Clock): Pick<StateMachine<Result>, 'apply'> {
    return {
      apply: async (commands: readonly Command[], throughIndex: Index) => {
        const sinceMs = clock.now()
        const results = await machine.apply(commands, throughIndex)
        this.#applyLatency.add(clock.now() - sinceMs)
        return results
      }
    }
  }

  snapshot(status: CoreStatus, nowMs: number): RaftMetrics {
    return {
      role: status.role,
      term: status.term,
      commitIndex: status.commitIndex,
      appliedIndex: status.appliedIndex,
      health: status.health,
      level: status.level,
      leaseRemainingMs: status.leaseRemainingMs,
      elections: { started: this.#electionsStarted, won: this.#electionsWon },
      roleChanges: this.#roleChanges,
      sent: structuredClone(this.#sent),
      received: structuredClone(this.#received),
      proposals: { accepted: this.#accepted, refused: { ...this.#refused } },
      commitLatency: this.#commitLatency.snapshot(),
      persistLatency: this.#persistLatency.snapshot(),
      persistEntries: this.#persistEntries.snapshot(),
      persistBytes: this.#persistBytes,
      persistAgeMs: this.#persistingSinceMs === undefined ? 0 : nowMs - this.#persistingSinceMs,
      applyLatency: this.#applyLatency.snapshot(),
      applyBacklog: status.commitIndex - status.appliedIndex,
      snapshots: {
        offered: this.#snapshotsOffered,
        installed: this.#snapshotsInstalled,
        failed: this.#snapshotsFailed,
        sentBytes: this.#snapshotSentBytes,
        receivedBytes: this.#snapshotReceivedBytes
      },
      compactions: this.#compactions,
      logEntries: status.lastIndex - status.baseIndex,
      logBytes: status.logBytes,
      oldestEntryAgeMs: status.lastIndex === status.baseIndex ? 0 : nowMs - this.#ages.timeOf(status.baseIndex + 1),
      reads: this.#reads,
      readLatency: this.#readLatency.snapshot(),
      followers: status.peers.map(({ id, matchIndex, inflightMessages, inflightBytes }) => ({
        id,
        lagEntries: Math.max(0, status.lastIndex - matchIndex),
        inflightMessages,
        inflightBytes
      })),
      alarms: { ...this.#alarms },
      inboxDepth: this.#inboxDepth.snapshot(),
      inboxDropped: this.#inboxDropped,
      tickDelay: this.#tickDelay.snapshot()
    }
  }
}

function countersOfKinds(): Record<MessageKind, { count: number; bytes: number }> {
  const counters = Object.keys(kinds).map((kind) => [kind, { count: 0, bytes: 0 }])
  return Object.fromEntries(counters) as Record<MessageKind, { count: number; bytes: number }>
}

export function recordBytesOf(entries: readonly Entry[]): number {
  let bytes = 0
  for (const { record } of entries) bytes += record.length
  return bytes
}

/** How often at most a place in the log is noted with its time. Milliseconds. */
const NOTE_EVERY_MS = 250
/** So many places at most: then every second one is forgotten, and later ones are noted half as often. */
const MAX_NOTES = 256

/** When places in the log were written, to about a hundredth of its age, in bounded memory. Notes ascend by index and by time. */
class EntryAges {
  #notes: { readonly index: Index; readonly atMs: number }[]
  #everyMs = NOTE_EVERY_MS

  constructor(nowMs: number, lastIndex: Index) {
    this.#notes = [{ index: lastIndex, atMs: nowMs }]
  }

  note(index: Index, nowMs: number): void {
    if (nowMs - this.#notes.at(-1)!.atMs < this.#everyMs) return
    // A log that was cut goes on below: what was noted there is of entries that are gone.
    while (this.#notes.length > 0 && this.#notes.at(-1)!.index >= index) this.#notes.pop()
    this.#notes.push({ index, atMs: nowMs })
    if (this.#notes.length <= MAX_NOTES) return
    this.#notes = this.#notes.filter((_, at) => at % 2 === 0)
    this.#everyMs *= 2
  }

  /** The time of the first note at or after `index`, the first entry of the log. What lies before is asked for no more. */
  timeOf(index: Index): number {
    let from = 0
    while (from < this.#notes.length - 1 && this.#notes[from]!.index < index) from++
    this.#notes.splice(0, from)
    const spanMs = this.#notes.at(-1)!.atMs - this.#notes[0]!.atMs
    this.#everyMs = Math.max(NOTE_EVERY_MS, Math.min(this.#everyMs, (2 * spanMs) / MAX_NOTES))
    return this.#notes[0]!.atMs
  }
}
