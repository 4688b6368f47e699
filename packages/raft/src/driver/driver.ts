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
 * | `need-snapshot`, `install-snapshot` | `snapshot-exchange.ts` |
 * | answers to tickets | `proposals.ts`, `reads.ts`, `requests.ts` |
 * | `halt`, `state-diverged` | `ending.ts` |
 *
 * The parts are put together in `parts.ts`. `openRaft` is called by the application with its adapters (`../ports.ts`). Time and chance come
 * only from them and from `init`.
 */

import type { AbortOptions, Committed, Raft, RaftComponents, RaftEvents, RaftInit } from '../api.ts'
import { membersOf } from '../core/members.ts'
import type { Message } from '../core/messages.ts'
import { defaultCoreOptions } from '../core/options.ts'
import { createRaftCore } from '../core/raft.ts'
import type {
  CoreInit,
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
import type { TransportHandler } from '../ports.ts'
import { DIGEST_EVERY_ENTRIES } from './applier.ts'
import { Connection } from './connection.ts'
import { Ending } from './ending.ts'
import { encodeFlightRecord } from './flight-record.ts'
import type { SpaceLeft } from './health.ts'
import { messageOf } from './message-of.ts'
import type { RaftMetrics } from './metrics.ts'
import { makeParts, type Parts } from './parts.ts'
import { peerServices } from './peer-services.ts'
import { prepareStart, type StartingPoint } from './startup.ts'

/** A turn that took so long leaves the rest of the inbox to the next, so that the event loop can do other things. */
const MAX_TURN_MS = 20

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
  readonly #parts: Parts<Result>
  readonly #ending: Ending<Result>
  #turnPending = false
  #lastTicket = 0
  /** On the disk of the log. */
  #space: SpaceLeft = 'enough'

  constructor(
    createCore: (init: CoreInit) => RaftCore,
    components: RaftComponents<Result>,
    init: RaftInit,
    start: StartingPoint
  ) {
    this.id = init.id
    this.#components = components
    this.#parts = makeParts(createCore, components, init, start, {
      wake: () => this.#wake(),
      input: (input) => this.#input(input),
      send: (to, message) => this.#send(to, message),
      onHealth: (health) => this.#onHealth(health),
      onPersisted: (seq, release) => this.#onPersisted(seq, release),
      onApplied: (entries, results) => this.#onApplied(entries, results),
      onRestored: (base) => this.#onRestored(base),
      alarm: (code, detail) => this.#alarm(code, detail),
      halt: (reason) => this.#ending.halt(reason),
      isStopped: () => this.#stopped !== undefined
    })
    this.#ending = new Ending(components, this.#parts, (reason) => this.dumpFlightRecord(reason))
  }

  /** Why nothing happens any more, once it does not. */
  get #stopped(): string | undefined {
    return this.#ending.why
  }

  async start(connection: Connection): Promise<void> {
    await connection.handOver(this.#transportHandler())
    this.#followMembers()
    this.#parts.ticker.start()
    this.#parts.checkpointer.start()
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
    return this.#parts.proposals.add(commands, options.signal)
  }

  readBarrier(options: AbortOptions = {}): Promise<Index> {
    return this.#parts.reads.barrier(options.signal)
  }

  async waitApplied(index: Index, options: AbortOptions = {}): Promise<void> {
    await this.#parts.reads.applied(index, options.signal)
  }

  async leaseRead<T>(read: () => T | Promise<T>, options: AbortOptions = {}): Promise<T> {
    const index = this.#stopped === undefined ? this.#parts.core.leaseIndex(this.#parts.clock.now()) : undefined
    if (index !== undefined) {
      await this.#parts.reads.applied(index, options.signal)
      const answer = await read()
      // The process may have stood still since: then another may lead by now (T49).
      if (this.#stopped === undefined && this.#parts.core.holdsLease(this.#parts.clock.now())) return answer
    }
    await this.readBarrier(options)
    return read()
  }

  reportSpace(space: SpaceLeft): void {
    this.#space = space
    this.#parts.health.setSpace(space)
  }

  changeMembers(change: MembershipChange, options: AbortOptions = {}): Promise<void> {
    return this.#request((ticket) => ({ type: 'change-members', ticket, change }), change, options.signal)
  }

  transferLeadership(to?: NodeId, options: AbortOptions = {}): Promise<void> {
    return this.#request((ticket) => ({ type: 'transfer', ticket, to }), undefined, options.signal)
  }

  status(): CoreStatus {
    return this.#parts.core.status(this.#parts.clock.now())
  }

  metrics(): RaftMetrics {
    return this.#parts.meter.snapshot(this.status(), this.#parts.clock.now())
  }

  on<K extends keyof RaftEvents>(event: K, listener: (event: RaftEvents[K]) => void): () => void {
    return this.#parts.emitter.on(event, listener)
  }

  async dumpFlightRecord(reason: string): Promise<string> {
    const record = this.#parts.recorder?.record(reason)
    if (record === undefined) throw new Error('Nothing is recorded: the node has no place for flight records')
    return await this.#components.flightRecords!.save(encodeFlightRecord(record))
  }

  checkpoint(): Promise<void> {
    return this.#parts.checkpointer.run()
  }

  close(options: { handOverMs?: number } = {}): Promise<void> {
    const { handOverMs = 0 } = options
    const handsOver = handOverMs > 0 && this.status().role === 'leader'
    return this.#ending.close(handsOver ? () => this.#handOver(handOverMs) : undefined)
  }

  async #request(
    input: (ticket: number) => Input,
    change: MembershipChange | undefined,
    signal: AbortSignal | undefined
  ): Promise<void> {
    if (this.#stopped !== undefined) throw new ProposalRefusedError('stopped', this.#stopped)
    signal?.throwIfAborted()
    const ticket = ++this.#lastTicket
    const answer = this.#parts.requests.add(ticket, change, signal)
    this.#input(input(ticket))
    await answer
  }

  /** Nobody may be there to hand over to: the group then elects a leader as it would after a crash. */
  async #handOver(withinMs: number): Promise<void> {
    const late = new AbortController()
    const cancel = this.#parts.clock.after(withinMs, () => late.abort(new Error('nobody took over in time')))
    await this.transferLeadership(undefined, { signal: late.signal }).catch(() => {})
    cancel()
  }

  // --- inputs, and the turn ---------------------------------------------------------------------------------------------------

  #input(input: Input): void {
    if (this.#stopped !== undefined) return
    this.#parts.inbox.add(input)
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

  #wake(): void {
    if (this.#turnPending || this.#stopped !== undefined) return
    this.#turnPending = true
    this.#parts.clock.soon(() => {
      this.#turnPending = false
      try {
        this.#turn()
      } catch (error) {
        // A bug, or an adapter that throws: this node is no longer to be trusted, but the process is not this node's to end.
        this.#ending.halt(`A turn failed: ${messageOf(error)}`)
      }
    })
  }

  /** Steps what has come, then what callers want, and begins what comes of it. */
  #turn(): void {
    if (this.#stopped !== undefined) return
    const effects: Effect[] = []
    const inputs = this.#parts.inbox.take()
    const nowMs = this.#parts.clock.now()
    this.#parts.meter.onTurn(inputs.length)
    let count = 0
    while (count < inputs.length) {
      this.#step(inputs[count++]!, nowMs, effects)
      if (count % 64 === 0 && this.#parts.clock.now() - nowMs > MAX_TURN_MS) break
    }
    if (count < inputs.length) {
      this.#parts.inbox.putBack(inputs.slice(count))
      this.#wake()
    }
    while (this.#parts.proposals.queued) {
      const payloads = this.#parts.proposals.take(++this.#lastTicket, nowMs)
      if (payloads !== undefined) this.#step({ type: 'propose', ticket: this.#lastTicket, payloads }, nowMs, effects)
    }
    if (this.#parts.reads.queued && this.#parts.reads.take(++this.#lastTicket, nowMs)) {
      this.#step({ type: 'read', ticket: this.#lastTicket }, nowMs, effects)
    }
    for (const effect of effects) {
      this.#carryOut(effect)
      if (this.#stopped !== undefined) return
    }
    if (this.#parts.outgoing.endTurn()) this.#wake()
  }

  #step(input: Input, nowMs: number, effects: Effect[]): void {
    const from = effects.length
    this.#parts.core.step(input, nowMs, effects)
    this.#parts.recorder?.note(input, nowMs, effects, from)
  }

  #carryOut(effect: Effect): void {
    switch (effect.type) {
      case 'send':
        this.#parts.outgoing.send(effect.to, effect.message)
        break
      case 'persist':
        this.#parts.writer.persist(effect)
        break
      case 'apply':
        this.#parts.applier.apply(effect.entries)
        break
      case 'proposed':
        if (!this.#parts.proposals.onProposed(effect.ticket, effect.first, effect.term)) {
          this.#parts.requests.onProposed(effect.ticket, effect.first)
        }
        break
      case 'refused':
        this.#onRefused(effect)
        break
      case 'read-ready':
        this.#parts.reads.onReady(effect.ticket, effect.index, this.#parts.clock.now())
        break
      case 'transferred':
        this.#parts.requests.onTransferred(effect.ticket)
        break
      case 'compact':
        this.#parts.meter.onCompaction()
        // A failure ends the node through `onFailed`.
        this.#parts.writer.exclusive(() => this.#components.storage.compact(effect.base)).catch(() => {})
        break
      case 'need-snapshot':
        void this.#parts.exchange.offer()
        break
      case 'install-snapshot':
        void this.#parts.exchange.install(effect.from, effect.base)
        break
      case 'role-changed':
        this.#parts.meter.onRole(effect)
        if (effect.leader !== undefined) this.#parts.snapshotter.leaderIs(effect.leader)
        this.#parts.emitter.emit('role', { role: effect.role, term: effect.term, leader: effect.leader })
        break
      case 'config-changed':
        this.#followMembers()
        this.#parts.requests.onConfig(effect.config, effect.index, effect.committed)
        this.#parts.emitter.emit('config', { config: effect.config, index: effect.index, committed: effect.committed })
        break
      case 'alarm':
        this.#alarm(effect.code, effect.detail, effect.peer)
        break
      case 'state-diverged':
        this.#ending.haltDiverged(effect.detail)
        break
      case 'halt':
        this.#ending.halt(effect.reason)
        break
    }
  }

  #onRefused({ ticket, reason, leader, detail }: Extract<Effect, { type: 'refused' }>): void {
    if (this.#parts.proposals.onRefused(ticket, reason, leader, detail)) return
    if (this.#parts.reads.onRefused(ticket, reason, detail)) return
    this.#parts.requests.onRefused(ticket, reason, leader, detail)
  }

  #send(to: NodeId, message: Message): void {
    this.#parts.meter.onSent(message)
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
    this.#parts.proposals.onApplied(entries, results, this.#parts.clock.now())
    this.#parts.reads.onApplied(index)
    this.#parts.checkpointer.onApplied(entries)
    const digest = index % DIGEST_EVERY_ENTRIES === 0 ? this.#components.stateMachine.digest?.() : undefined
    this.#input({ type: 'applied', index, digest })
    this.#parts.emitter.emit('applied', { index })
  }

  #transportHandler(): TransportHandler {
    return {
      onMessage: (from, message) => {
        if (this.#stopped !== undefined) return
        const bytes = this.#parts.inbox.receive(from, message)
        if (bytes === undefined) {
          this.#parts.meter.onDropped()
          return
        }
        this.#parts.meter.onReceived(message.type, bytes)
        this.#wake()
      },
      onPeerUp: (peer, about) => {
        this.#input({ type: 'peer-up', peer, ...(about === undefined ? {} : { featureLevel: about.featureLevel }) })
      },
      onPeerDown: (peer) => {
        this.#parts.snapshotter.peerLost(peer)
        this.#input({ type: 'peer-down', peer })
      },
      ...peerServices({
        core: this.#parts.core,
        snapshotter: this.#parts.snapshotter,
        meter: this.#parts.meter,
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

  #onRestored(base: LogBase): void {
    if (this.#stopped !== undefined) return
    this.#parts.proposals.onRestored(base.index)
    this.#parts.reads.onApplied(base.index)
    this.#input({ type: 'snapshot-installed', base })
    this.#parts.emitter.emit('restored', { index: base.index })
    this.#parts.emitter.emit('applied', { index: base.index })
  }

  #alarm(code: string, detail: string, peer?: NodeId): void {
    this.#parts.meter.onAlarm(code)
    this.#components.logger?.warn(`${code}: ${detail}`)
    this.#parts.emitter.emit('alarm', { code, detail, ...(peer === undefined ? {} : { peer }) })
  }
}
