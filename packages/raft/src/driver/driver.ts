/**
 * A running node: the pure core, and around it all that the core asks for. Everything that happens (a message, a command, a write
 * that is done, time) becomes an input in one queue; once a turn of the event loop the queue is stepped, and the effects that
 * come out are begun in order. Nothing here decides anything about consensus.
 *
 * | effect | carried out by |
 * | --- | --- |
 * | `send` | the transport (`outgoing.ts`), at once: in parallel to this node's own write |
 * | `persist`, `compact` | `log-writer.ts`, one write at a time; its `release` leaves when it is durable |
 * | `apply` | `applier.ts`, beside the writes |
 * | `need-snapshot`, `install-snapshot` | `snapshotter.ts` |
 * | answers to tickets | `proposals.ts`, `reads.ts`, `requests.ts` |
 *
 * `openRaft` is called by the application with its adapters (`../ports.ts`). Time and chance come only from them and from `init`.
 */

import { randomInt } from 'node:crypto'
import type { AbortOptions, Committed, Raft, RaftComponents, RaftEvents, RaftInit } from '../api.ts'
import { membersOf } from '../core/members.ts'
import type { Message } from '../core/messages.ts'
import { defaultCoreOptions } from '../core/options.ts'
import { createRaftCore } from '../core/raft.ts'
import type {
  CoreInit,
  CoreOptions,
  CoreStatus,
  Effect,
  Entry,
  Envelope,
  Health,
  Index,
  Input,
  LogBase,
  MembershipChange,
  NodeId,
  RaftCore
} from '../core/types.ts'
import { ProposalRefusedError } from '../errors.ts'
import type { Clock, TransportHandler } from '../ports.ts'
import { checksum } from '../storage/checksum.ts'
import { Applier, DIGEST_EVERY_ENTRIES } from './applier.ts'
import { Checkpointer } from './checkpointer.ts'
import { systemClock } from './clock.ts'
import { Connection } from './connection.ts'
import { putAway } from './diverged.ts'
import { Emitter } from './emitter.ts'
import { encodeFlightRecord } from './flight-record.ts'
import { HealthMonitor, type SpaceLeft } from './health.ts'
import { Inbox } from './inbox.ts'
import { LogWriter } from './log-writer.ts'
import { Meter, type RaftMetrics } from './metrics.ts'
import { Outgoing } from './outgoing.ts'
import { peerServices } from './peer-services.ts'
import { Proposals } from './proposals.ts'
import { Reads } from './reads.ts'
import { FlightRecorder } from './recorder.ts'
import { Requests } from './requests.ts'
import { Snapshotter, storedChunks } from './snapshotter.ts'
import { prepareStart, type StartingPoint } from './startup.ts'
import { Ticker } from './ticker.ts'

/** A turn that took so long leaves the rest of the inbox to the next, so that the event loop can do other things. */
const MAX_TURN_MS = 20
/** A barrier without a signal is given up after this many election timeouts. */
const READ_PATIENCE_TIMEOUTS = 10

/**
 * Starts a node from what its storage holds.
 *
 * @example
 * const raft = await openRaft(
 *   { storage, snapshots, transport, stateMachine },
 *   { id: 'a', bootstrap: { voters: ['a', 'b', 'c'], outgoing: [], learners: [] } }
 * )
 * const { index, result } = await raft.propose(new TextEncoder().encode('x=1'))
 *
 * What is damaged on disk is repaired from peers first, for as long as that takes (`signal`).
 *
 * @throws {RaftStartError} when log, snapshots and state do not fit together; storage and transport are closed then
 * @throws {QuarantineNeededError} when the node cannot go on under its name; the same
 * @throws {RangeError} when an option is out of its range
 */
export function openRaft<Result>(components: RaftComponents<Result>, init: RaftInit): Promise<Raft<Result>> {
  return openRaftAround(createRaftCore, components, init)
}

/** As `openRaft`, with a core that is made otherwise: the simulator looks on at what goes in and out. */
export async function openRaftAround<Result>(
  createCore: (init: CoreInit) => RaftCore,
  components: RaftComponents<Result>,
  init: RaftInit
): Promise<Raft<Result>> {
  try {
    const connection = new Connection(components.transport, { ...defaultCoreOptions, ...init.options })
    const start = await prepareStart(components, init, connection)
    const node = new Driver(createCore, components, init, start)
    await node.start(connection)
    return node
  } catch (error) {
    await Promise.allSettled([components.transport.stop(), components.storage.close()])
    throw error
  }
}

class Driver<Result> implements Raft<Result> {
  readonly id: NodeId
  readonly #components: RaftComponents<Result>
  readonly #options: CoreOptions
  readonly #clock: Clock
  readonly #core: RaftCore
  readonly #emitter: Emitter
  readonly #writer: LogWriter
  readonly #applier: Applier<Result>
  readonly #snapshotter: Snapshotter
  readonly #checkpointer: Checkpointer
  readonly #ticker: Ticker
  readonly #proposals: Proposals<Result>
  readonly #reads: Reads
  readonly #requests = new Requests()
  readonly #outgoing: Outgoing
  readonly #meter: Meter
  readonly #health: HealthMonitor
  readonly #recorder: FlightRecorder | undefined
  /** The record of a halt, on its way to where records are kept. */
  #dumping: Promise<void> | undefined
  readonly #inbox = new Inbox()
  #turnPending = false
  #lastTicket = 0
  /** Why nothing happens any more, once it does not. */
  #stopped: string | undefined
  #closing: Promise<void> | undefined
  /** On the disk of the log. */
  #space: SpaceLeft = 'enough'
  /** A wrong state is being put away. Never rejects. */
  #puttingAway: Promise<void> | undefined

  constructor(
    createCore: (init: CoreInit) => RaftCore,
    components: RaftComponents<Result>,
    init: RaftInit,
    start: StartingPoint
  ) {
    this.id = init.id
    this.#components = components
    this.#options = { ...defaultCoreOptions, ...init.options }
    this.#clock = components.clock ?? systemClock
    const { storage, snapshots, transport, stateMachine, logger } = components
    this.#core = createCore({
      ...start,
      id: init.id,
      options: this.#options,
      checksum,
      // Another one at every start: the core tells late answers to its earlier life by it.
      seed: init.seed ?? randomInt(2 ** 32),
      ...(init.supportedLevel === undefined ? {} : { supportedLevel: init.supportedLevel })
    })
    const { electionTimeoutMs, heartbeatMs, maxEntryBytes } = this.#options
    const wake = () => this.#wake()
    this.#emitter = new Emitter(logger)
    const meter = new Meter(this.#clock.now(), this.status().lastIndex)
    this.#meter = meter
    if (components.flightRecords !== undefined) this.#recorder = new FlightRecorder(this.#core, this.#clock.now())
    this.#outgoing = new Outgoing((to, message) => this.#send(to, message))
    this.#health = new HealthMonitor({
      clock: this.#clock,
      electionTimeoutMs,
      tickMs: heartbeatMs / 3,
      onChanged: (health) => this.#onHealth(health)
    })
    this.#writer = new LogWriter({
      storage: meter.meterWrites(this.#health.watch(storage), this.#clock),
      onPersisted: (seq, release) => this.#onPersisted(seq, release),
      onFailed: (error) => this.#fail(`The log cannot be written: ${messageOf(error)}`)
    })
    this.#applier = new Applier({
      stateMachine: meter.meterApply(stateMachine, this.#clock),
      clock: this.#clock,
      digestEvery: stateMachine.digest === undefined ? undefined : DIGEST_EVERY_ENTRIES,
      onApplied: (entries, results) => this.#onApplied(entries, results),
      onFailed: (error) => this.#fail(`The state machine failed: ${messageOf(error)}`)
    })
    this.#snapshotter = new Snapshotter({
      store: snapshots,
      transport,
      stateMachine,
      clock: this.#clock,
      logger,
      exclusive: (task) => this.#applier.exclusive(task, { soon: true }),
      baseAt: (index) => this.#core.baseAt(index)
    })
    this.#checkpointer = new Checkpointer(this.#clock, {
      flush: () => this.#applier.exclusive(() => stateMachine.flush(), { soon: true }),
      onDurable: (index) => this.#input({ type: 'compactable', index }),
      onFailed: (error) => this.#fail(`The state cannot be made durable: ${messageOf(error)}`)
    })
    this.#proposals = new Proposals(maxEntryBytes, wake, meter)
    this.#reads = new Reads(this.#clock, READ_PATIENCE_TIMEOUTS * electionTimeoutMs, start.appliedIndex, wake, meter)
    this.#ticker = new Ticker(this.#clock, heartbeatMs / 3, electionTimeoutMs / 2, () => this.#tick())
  }

  async start(connection: Connection): Promise<void> {
    await connection.handOver(this.#transportHandler())
    this.#followMembers()
    this.#ticker.start()
    this.#checkpointer.start()
    this.#components.disk?.start((space) => this.reportSpace(space))
  }

  // --- what the application asks for ------------------------------------------------------------------------------------------

  async propose(command: Uint8Array, options: AbortOptions = {}): Promise<Committed<Result>> {
    const [committed] = await this.proposeMany([command], options)
    return committed!
  }

  proposeMany(commands: readonly Uint8Array[], options: AbortOptions = {}): Promise<readonly Committed<Result>[]> {
    if (this.#stopped !== undefined) return Promise.reject(new ProposalRefusedError('stopped', this.#stopped))
    // What others propose still has to be written, and the room that is left is for that, for votes and for compaction (T56).
    if (this.#space === 'none') {
      return Promise.reject(new ProposalRefusedError('disk-full', 'there is no room to spare on the disk of this node'))
    }
    return this.#proposals.add(commands, options.signal)
  }

  readBarrier(options: AbortOptions = {}): Promise<Index> {
    return this.#reads.barrier(options.signal)
  }

  async waitApplied(index: Index, options: AbortOptions = {}): Promise<void> {
    await this.#reads.applied(index, options.signal)
  }

  async leaseRead<T>(read: () => T | Promise<T>, options: AbortOptions = {}): Promise<T> {
    const index = this.#stopped === undefined ? this.#core.leaseIndex(this.#clock.now()) : undefined
    if (index !== undefined) {
      await this.#reads.applied(index, options.signal)
      const answer = await read()
      // The process may have stood still since: then another may lead by now (T49).
      if (this.#stopped === undefined && this.#core.holdsLease(this.#clock.now())) return answer
    }
    await this.readBarrier(options)
    return read()
  }

  reportSpace(space: SpaceLeft): void {
    this.#space = space
    this.#health.setSpace(space)
  }

  changeMembers(change: MembershipChange, options: AbortOptions = {}): Promise<void> {
    return this.#request((ticket) => ({ type: 'change-members', ticket, change }), change, options.signal)
  }

  transferLeadership(to?: NodeId, options: AbortOptions = {}): Promise<void> {
    return this.#request((ticket) => ({ type: 'transfer', ticket, to }), undefined, options.signal)
  }

  status(): CoreStatus {
    return this.#core.status(this.#clock.now())
  }

  metrics(): RaftMetrics {
    return this.#meter.snapshot(this.status(), this.#clock.now())
  }

  on<K extends keyof RaftEvents>(event: K, listener: (event: RaftEvents[K]) => void): () => void {
    return this.#emitter.on(event, listener)
  }

  async dumpFlightRecord(reason: string): Promise<string> {
    const record = this.#recorder?.record(reason)
    if (record === undefined) throw new Error('Nothing is recorded: the node has no place for flight records')
    return await this.#components.flightRecords!.save(encodeFlightRecord(record))
  }

  checkpoint(): Promise<void> {
    return this.#checkpointer.run()
  }

  close(options: { handOverMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.handOverMs ?? 0)
    return this.#closing
  }

  async #request(
    input: (ticket: number) => Input,
    change: MembershipChange | undefined,
    signal: AbortSignal | undefined
  ): Promise<void> {
    if (this.#stopped !== undefined) throw new ProposalRefusedError('stopped', this.#stopped)
    signal?.throwIfAborted()
    const ticket = ++this.#lastTicket
    const answer = this.#requests.add(ticket, change, signal)
    this.#input(input(ticket))
    await answer
  }

  async #close(handOverMs: number): Promise<void> {
    if (handOverMs > 0 && this.status().role === 'leader') {
      // Nobody may be there to hand over to: the group then elects a leader as it would after a crash.
      await this.transferLeadership(undefined, { signal: AbortSignal.timeout(handOverMs) }).catch(() => {})
    }
    this.#stop('the node was closed')
    await this.#puttingAway
    const { transport, storage } = this.#components
    // Whatever fails, the log is closed, and only when nothing works on it any more.
    const failures: unknown[] = []
    const ends = [
      () => transport.stop(),
      async () => this.#components.disk?.stop(),
      () => this.#snapshotter.stop(),
      () => this.#applier.stop(),
      () => this.#writer.idle(),
      () => storage.close()
    ]
    await this.#dumping
    for (const end of ends) await end().catch((error: unknown) => failures.push(error))
    if (failures.length > 0) throw failures[0]
  }

  // --- inputs, and the turn ---------------------------------------------------------------------------------------------------

  #input(input: Input): void {
    if (this.#stopped !== undefined) return
    this.#inbox.add(input)
    this.#wake()
  }

  #onHealth(health: Health): void {
    if (health === 'good') this.#components.logger?.info('This node is fit to lead again')
    else
      this.#components.logger?.warn(
        `This node is ${health}: its disk or its event loop is slow, or there is no room left`
      )
    this.#input({ type: 'health', health })
  }

  #tick(): void {
    this.#meter.onTick(this.#clock.now(), this.#options.heartbeatMs / 3)
    this.#health.tick()
    this.#input({ type: 'tick' })
  }

  #wake(): void {
    if (this.#turnPending || this.#stopped !== undefined) return
    this.#turnPending = true
    this.#clock.soon(() => {
      this.#turnPending = false
      try {
        this.#turn()
      } catch (error) {
        // A bug, or an adapter that throws: this node is no longer to be trusted, but the process is not this node's to end.
        this.#fail(`A turn failed: ${messageOf(error)}`)
      }
    })
  }

  /** Steps what has come, then what callers want, and begins what comes of it. */
  #turn(): void {
    if (this.#stopped !== undefined) return
    const effects: Effect[] = []
    const inputs = this.#inbox.take()
    const nowMs = this.#clock.now()
    this.#meter.onTurn(inputs.length)
    let count = 0
    while (count < inputs.length) {
      this.#step(inputs[count++]!, nowMs, effects)
      if (count % 64 === 0 && this.#clock.now() - nowMs > MAX_TURN_MS) break
    }
    if (count < inputs.length) {
      this.#inbox.putBack(inputs.slice(count))
      this.#wake()
    }
    while (this.#proposals.queued) {
      const payloads = this.#proposals.take(++this.#lastTicket, nowMs)
      if (payloads !== undefined) this.#step({ type: 'propose', ticket: this.#lastTicket, payloads }, nowMs, effects)
    }
    if (this.#reads.queued && this.#reads.take(++this.#lastTicket, nowMs)) {
      this.#step({ type: 'read', ticket: this.#lastTicket }, nowMs, effects)
    }
    for (const effect of effects) {
      this.#carryOut(effect)
      if (this.#stopped !== undefined) return
    }
    if (this.#outgoing.endTurn()) this.#wake()
  }

  #step(input: Input, nowMs: number, effects: Effect[]): void {
    const from = effects.length
    this.#core.step(input, nowMs, effects)
    this.#recorder?.note(input, nowMs, effects, from)
  }

  #carryOut(effect: Effect): void {
    switch (effect.type) {
      case 'send':
        this.#outgoing.send(effect.to, effect.message)
        break
      case 'persist':
        this.#writer.persist(effect)
        break
      case 'apply':
        this.#applier.apply(effect.entries)
        break
      case 'proposed':
        if (!this.#proposals.onProposed(effect.ticket, effect.first, effect.term)) {
          this.#requests.onProposed(effect.ticket, effect.first)
        }
        break
      case 'refused':
        this.#onRefused(effect)
        break
      case 'read-ready':
        this.#reads.onReady(effect.ticket, effect.index, this.#clock.now())
        break
      case 'transferred':
        this.#requests.onTransferred(effect.ticket)
        break
      case 'compact':
        this.#meter.onCompaction()
        // A failure ends the node through `onFailed`.
        this.#writer.exclusive(() => this.#components.storage.compact(effect.base)).catch(() => {})
        break
      case 'need-snapshot':
        void this.#offerSnapshot()
        break
      case 'install-snapshot':
        void this.#installSnapshot(effect.from, effect.base)
        break
      case 'role-changed':
        this.#meter.onRole(effect)
        if (effect.leader !== undefined) this.#snapshotter.leaderIs(effect.leader)
        this.#emitter.emit('role', { role: effect.role, term: effect.term, leader: effect.leader })
        break
      case 'config-changed':
        this.#followMembers()
        this.#requests.onConfig(effect.config, effect.index, effect.committed)
        this.#emitter.emit('config', { config: effect.config, index: effect.index, committed: effect.committed })
        break
      case 'alarm':
        this.#alarm(effect.code, effect.detail, effect.peer)
        break
      case 'state-diverged':
        this.#onDiverged(effect.detail)
        break
      case 'halt':
        this.#fail(effect.reason)
        break
    }
  }

  #onRefused({ ticket, reason, leader, detail }: Extract<Effect, { type: 'refused' }>): void {
    if (this.#proposals.onRefused(ticket, reason, leader, detail)) return
    if (this.#reads.onRefused(ticket, reason, detail)) return
    this.#requests.onRefused(ticket, reason, leader, detail)
  }

  #send(to: NodeId, message: Message): void {
    this.#meter.onSent(message)
    this.#components.transport.send(to, message)
  }

  // --- what the parts report --------------------------------------------------------------------------------------------------

  #onPersisted(seq: number, release: readonly Envelope[]): void {
    if (this.#stopped !== undefined) return
    for (const { to, message } of release) this.#send(to, message)
    this.#input({ type: 'persisted', seq })
  }

  #onApplied(entries: readonly Entry[], results: readonly Result[]): void {
    if (this.#stopped !== undefined) return
    const { index } = entries.at(-1)!
    this.#proposals.onApplied(entries, results, this.#clock.now())
    this.#reads.onApplied(index)
    this.#checkpointer.onApplied(entries)
    const digest = index % DIGEST_EVERY_ENTRIES === 0 ? this.#components.stateMachine.digest?.() : undefined
    this.#input({ type: 'applied', index, digest })
    this.#emitter.emit('applied', { index })
  }

  #transportHandler(): TransportHandler {
    return {
      onMessage: (from, message) => {
        if (this.#stopped !== undefined) return
        const bytes = this.#inbox.receive(from, message)
        if (bytes === undefined) {
          this.#meter.onDropped()
          return
        }
        this.#meter.onReceived(message.type, bytes)
        this.#wake()
      },
      onPeerUp: (peer, about) => {
        this.#input({ type: 'peer-up', peer, ...(about === undefined ? {} : { featureLevel: about.featureLevel }) })
      },
      onPeerDown: (peer) => {
        this.#snapshotter.peerLost(peer)
        this.#input({ type: 'peer-down', peer })
      },
      ...peerServices({
        core: this.#core,
        snapshotter: this.#snapshotter,
        meter: this.#meter,
        status: () => {
          if (this.#stopped !== undefined) throw new Error(this.#stopped)
          return this.status()
        }
      })
    }
  }

  #followMembers(): void {
    const { config } = this.status()
    this.#components.transport.setPeers(membersOf(config).filter((id) => id !== this.id))
  }

  // --- snapshots --------------------------------------------------------------------------------------------------------------

  async #offerSnapshot(): Promise<void> {
    try {
      const base = await this.#snapshotter.offer()
      this.#meter.onSnapshotOffered()
      this.#input({ type: 'snapshot-ready', base })
    } catch (error) {
      // The core gives up on the peer's transfer in time, and asks again.
      if (this.#stopped === undefined) this.#alarm('snapshot-not-made', messageOf(error))
    }
  }

  async #installSnapshot(from: NodeId, base: LogBase): Promise<void> {
    try {
      const manifest = await this.#snapshotter.fetch(from, base)
      const { storage, snapshots, stateMachine } = this.#components
      await this.#applier.exclusive(async () => {
        // The log first: a state that is older than its log is made whole at the next start, the reverse could not be (T42).
        await this.#writer.exclusive(() => storage.reset(manifest.base))
        await stateMachine.restore(manifest.base.index, storedChunks(snapshots, manifest)).catch((error: unknown) => {
          this.#fail(`The state could not be restored from the snapshot at ${base.index}: ${messageOf(error)}`)
          throw error
        })
      })
      this.#meter.onSnapshotInstalled(manifest.totalBytes)
      this.#onRestored(manifest.base)
      await snapshots.prune()
    } catch (error) {
      if (this.#stopped !== undefined) return
      this.#meter.onSnapshotFailed()
      this.#alarm('snapshot-not-fetched', messageOf(error))
      this.#input({ type: 'snapshot-failed', index: base.index })
    }
  }

  #onRestored(base: LogBase): void {
    if (this.#stopped !== undefined) return
    this.#proposals.onRestored(base.index)
    this.#reads.onApplied(base.index)
    this.#input({ type: 'snapshot-installed', base })
    this.#emitter.emit('restored', { index: base.index })
    this.#emitter.emit('applied', { index: base.index })
  }

  #alarm(code: string, detail: string, peer?: NodeId): void {
    this.#meter.onAlarm(code)
    this.#components.logger?.warn(`${code}: ${detail}`)
    this.#emitter.emit('alarm', { code, detail, ...(peer === undefined ? {} : { peer }) })
  }

  // --- the end ----------------------------------------------------------------------------------------------------------------

  /** Leaves the past of a halt behind. Never rejects: the halt is what matters. */
  async #dump(reason: string): Promise<void> {
    const { logger } = this.#components
    try {
      const place = await this.dumpFlightRecord(reason)
      logger?.error(`What led to the halt is kept in ${place}`)
    } catch (error) {
      logger?.error(`What led to the halt could not be kept: ${messageOf(error)}`)
    }
  }

  /** Stops for good: this node may no longer say anything (T51). */
  #fail(reason: string): void {
    if (this.#stopped !== undefined) return
    this.#components.logger?.error(`The node halts: ${reason}`)
    this.#stop(reason)
    if (this.#recorder !== undefined) this.#dumping = this.#dump(reason)
    void this.#components.transport.stop().catch(() => {})
    void this.#components.disk?.stop()
    this.#emitter.emit('halt', { reason })
  }

  /** Ends like a failure, except that nobody hears of it, and ends the process, before the state is put away. */
  #onDiverged(detail: string): void {
    this.#components.logger?.error(`The node halts: ${detail}`)
    this.#stop(detail)
    if (this.#recorder !== undefined) this.#dumping = this.#dump(detail)
    const { transport, stateMachine, snapshots, logger } = this.#components
    const idle = () => Promise.all([transport.stop(), this.#snapshotter.stop(), this.#applier.stop()])
    this.#puttingAway = putAway({ stateMachine, snapshots, idle }).then(
      () => this.#emitter.emit('halt', { reason: `${detail}; the state is put away, and made anew at the next start` }),
      (error: unknown) => {
        logger?.error(`The state is not put away: ${messageOf(error)}`)
        this.#emitter.emit('halt', { reason: `${detail}, and could not be put away: ${messageOf(error)}` })
      }
    )
  }

  #stop(why: string): void {
    if (this.#stopped !== undefined) return
    this.#stopped = why
    this.#inbox.clear()
    this.#ticker.stop()
    this.#checkpointer.stop()
    this.#writer.drop(new Error(why))
    this.#proposals.stop(why)
    this.#reads.stop(why)
    this.#requests.stop(why)
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
