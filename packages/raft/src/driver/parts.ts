/**
 * What a running node is made of, and who of its parts tells whom of what. Nothing happens here yet: the parts are made in order, and
 * started by `driver.ts`, to which they report through `PartsHooks`.
 */

import { randomInt } from 'node:crypto'
import type { RaftComponents, RaftInit } from '../api.ts'
import type { Message } from '../core/messages.ts'
import { defaultCoreOptions } from '../core/options.ts'
import type { CoreInit, Entry, Envelope, Health, Input, LogBase, NodeId, RaftCore } from '../core/types.ts'
import type { Clock } from '../ports.ts'
import { checksum } from '../storage/checksum.ts'
import { Applier, DIGEST_EVERY_ENTRIES } from './applier.ts'
import { Checkpointer } from './checkpointer.ts'
import { systemClock } from './clock.ts'
import { Emitter } from './emitter.ts'
import { HealthMonitor } from './health.ts'
import { Inbox } from './inbox.ts'
import { LogWriter } from './log-writer.ts'
import { messageOf } from './message-of.ts'
import { Meter } from './metrics.ts'
import { Outgoing } from './outgoing.ts'
import { Proposals } from './proposals.ts'
import { Reads } from './reads.ts'
import { FlightRecorder } from './recorder.ts'
import { Requests } from './requests.ts'
import { SnapshotExchange } from './snapshot-exchange.ts'
import { Snapshotter } from './snapshotter.ts'
import type { StartingPoint } from './startup.ts'
import { Ticker } from './ticker.ts'

/** A barrier without a signal is given up after this many election timeouts. */
const READ_PATIENCE_TIMEOUTS = 10
const TICKS_PER_HEARTBEAT = 3

export interface Parts<Result> {
  readonly clock: Clock
  readonly core: RaftCore
  readonly emitter: Emitter
  readonly meter: Meter
  /** Undefined where there is no place for flight records. */
  readonly recorder: FlightRecorder | undefined
  readonly inbox: Inbox
  readonly outgoing: Outgoing
  readonly health: HealthMonitor
  readonly writer: LogWriter
  readonly applier: Applier<Result>
  readonly snapshotter: Snapshotter
  readonly exchange: SnapshotExchange
  readonly checkpointer: Checkpointer
  readonly proposals: Proposals<Result>
  readonly reads: Reads
  readonly requests: Requests
  readonly ticker: Ticker
}

/** What the parts have to say to the node. None of it is called while they are made. */
export interface PartsHooks<Result> {
  /** Something waits for a turn. */
  readonly wake: () => void
  readonly input: (input: Input) => void
  readonly send: (to: NodeId, message: Message) => void
  readonly onHealth: (health: Health) => void
  readonly onPersisted: (seq: number, release: readonly Envelope[]) => void
  readonly onApplied: (entries: readonly Entry[], results: readonly Result[]) => void
  /** The state was replaced by the one at `base`. */
  readonly onRestored: (base: LogBase) => void
  readonly alarm: (code: string, detail: string) => void
  /** The node cannot go on. */
  readonly halt: (reason: string) => void
  readonly isStopped: () => boolean
}

/**
 * Makes the parts of a node that begins at `start`.
 *
 * @throws {RangeError} when an option is out of its range
 */
export function makeParts<Result>(
  createCore: (init: CoreInit) => RaftCore,
  components: RaftComponents<Result>,
  init: RaftInit,
  start: StartingPoint,
  hooks: PartsHooks<Result>
): Parts<Result> {
  const { storage, snapshots, transport, stateMachine, logger, clock = systemClock } = components
  const options = { ...defaultCoreOptions, ...init.options }
  const { electionTimeoutMs, heartbeatMs, maxEntryBytes } = options
  const { wake, input, send, halt, onHealth, onPersisted, onApplied, onRestored, alarm, isStopped } = hooks
  const tickMs = heartbeatMs / TICKS_PER_HEARTBEAT
  const core = createCore({
    ...start,
    id: init.id,
    options,
    checksum,
    // Another one at every start: the core tells late answers to its earlier life by it.
    seed: init.seed ?? randomInt(2 ** 32),
    ...(init.supportedLevel === undefined ? {} : { supportedLevel: init.supportedLevel })
  })
  const emitter = new Emitter(logger)
  const meter = new Meter(clock.now(), core.status(clock.now()).lastIndex)
  const recorder = components.flightRecords === undefined ? undefined : new FlightRecorder(core, clock.now())
  const outgoing = new Outgoing(send)
  const health = new HealthMonitor({ clock, electionTimeoutMs, tickMs, onChanged: onHealth })
  const writer = new LogWriter({
    storage: meter.meterWrites(health.watch(storage), clock),
    onPersisted,
    onFailed: (error) => halt(`The log cannot be written: ${messageOf(error)}`)
  })
  const applier = new Applier({
    stateMachine: meter.meterApply(stateMachine, clock),
    clock,
    digestEvery: stateMachine.digest === undefined ? undefined : DIGEST_EVERY_ENTRIES,
    onApplied,
    onFailed: (error) => halt(`The state machine failed: ${messageOf(error)}`)
  })
  const snapshotter = new Snapshotter({
    store: snapshots,
    transport,
    stateMachine,
    clock,
    logger,
    exclusive: (task) => applier.exclusive(task, { soon: true }),
    baseAt: (index) => core.baseAt(index)
  })
  const exchange = new SnapshotExchange({
    storage,
    snapshots,
    stateMachine,
    snapshotter,
    applier,
    writer,
    meter,
    input,
    onRestored,
    alarm,
    halt,
    isStopped
  })
  const checkpointer = new Checkpointer(clock, {
    flush: () => applier.exclusive(() => stateMachine.flush(), { soon: true }),
    onDurable: (index) => input({ type: 'compactable', index }),
    onFailed: (error) => halt(`The state cannot be made durable: ${messageOf(error)}`)
  })
  const proposals = new Proposals<Result>(maxEntryBytes, wake, meter)
  const reads = new Reads(clock, READ_PATIENCE_TIMEOUTS * electionTimeoutMs, start.appliedIndex, wake, meter)
  const ticker = new Ticker(clock, tickMs, electionTimeoutMs / 2, () => {
    meter.onTick(clock.now(), tickMs)
    health.tick()
    input({ type: 'tick' })
  })
  const made = { clock, core, emitter, meter, recorder, outgoing, health, writer, applier, snapshotter, exchange }
  return { ...made, checkpointer, proposals, reads, ticker, inbox: new Inbox(), requests: new Requests() }
}
