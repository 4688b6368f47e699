/**
 * One node: the real core, driven as the real driver drives it, on a simulated disk, network and state machine. It carries out
 * effects in order; nothing here is fast-forwarded: every completion is an event of its own, so that a crash, a message or another effect can come in
 * between any two.
 *
 * Called by `simulate.ts` with events, by `nemesis.ts` and `workload.ts`; reports everything to the judges' panel. Never corrects the core.
 */

import type { Message } from '../core/messages.ts'
import type { Mutation } from '../core/mutations.ts'
import { createRaftCore } from '../core/raft.ts'
import {
  type Checksum,
  type CoreOptions,
  type CoreStatus,
  type Effect,
  EntryKind,
  type Health,
  type Index,
  type Input,
  type LogBase,
  type NodeId,
  type RaftCore,
  type RefusalReason,
  type Term
} from '../core/types.ts'
import type { SimActor } from './actor.ts'
import { SimApplier } from './applier.ts'
import { type Disk, type PersistEffect, type SnapshotImage, type StateImage, stateOf } from './disk.ts'
import { type History, messageDigest, TraceCode } from './history.ts'
import type { ElectionConduct } from './judges/election-conduct.ts'
import { intakeBounded } from './judges/intake.ts'
import type { Panel } from './judges/panel.ts'
import type { NodeView } from './judges/view.ts'
import { Violation } from './judges/violation.ts'
import type { Network } from './network.ts'
import type { Prng } from './prng.ts'
import { drawOptions, NEWEST_VERSION } from './standing.ts'
import type { SwarmProfile } from './swarm.ts'
import { EventKind, type World } from './world.ts'

/** What all nodes of a run share. */
export interface NodeSurroundings {
  readonly world: World
  readonly network: Network
  readonly history: History
  readonly checksum: Checksum
  readonly mutations: ReadonlySet<Mutation>
  /** Changes once, when the liveness phase begins. */
  profile: SwarmProfile
  readonly panel: Panel
  readonly nodes: readonly SimNode[]
  /** A node asks for votes, took the lead, or committed for the first time since it leads. */
  readonly onElection: (slot: number, stage: ElectionStage) => void
  /** A write failed: the process ends, as the real driver ends it (T51). */
  readonly onDiskFailure: (slot: number) => void
}

export type ElectionStage = 'asks' | 'leads' | 'commits'

/** How a client's request ended. `unknown`: the node died, or its state jumped past the place. */
export type Outcome =
  | { readonly type: 'acknowledged'; readonly index: Index; readonly term: Term }
  | { readonly type: 'lost' }
  | { readonly type: 'refused'; readonly reason: RefusalReason; readonly leader: NodeId | undefined }
  | { readonly type: 'read'; readonly index: Index; readonly registers: readonly number[] }
  | { readonly type: 'transferred' }
  /** The command's session is not known any more, or needs it no more: this copy changed nothing. */
  | { readonly type: 'expired' }
  | { readonly type: 'unknown' }

export type Settle = (outcome: Outcome) => void

interface Fetch {
  readonly from: number
  readonly base: LogBase
}

/** No write takes longer for the slowness of its disk alone. */
export const SLOWEST_WRITE_US = 3_000_000

/** Reports taken from a node: one in so many steps. */
const REPORT_EVERY_STEPS = 64

export class SimNode implements SimActor {
  readonly slot: number
  readonly id: NodeId
  readonly disk: Disk
  readonly view: NodeView
  /** Lives so far; events of an earlier life are stale. */
  boot = 0
  paused = false
  core: RaftCore | undefined
  readonly applier: SimApplier
  readonly #around: NodeSurroundings
  readonly #prng: Prng
  readonly #out: Effect[] = []
  readonly #clockRate: number
  readonly #failures: Prng
  readonly #transfers: Prng
  /** Whether this is the node with the slowest disk. */
  readonly #slowest: boolean
  #held: (() => void)[] = []
  #steps = 0
  /** The commit index that the node knows. */
  readonly #known = (): Index => this.status()?.commitIndex ?? 0
  /** The last term in which this node led and committed. */
  #committedInTerm: Term = 0
  #ticket = 0
  readonly #tickets = new Map<number, { settle: Settle; knownAtStart: Index; askedAt: number }>()
  #snapshotting = false
  #fetch: Fetch | undefined
  /** When each write that is not durable yet was asked for. */
  readonly #writesMs: number[] = []
  /** Of its own: priority and lease differ from node to node. */
  readonly #options: CoreOptions
  readonly #versions: Prng
  readonly #leaseReads: Prng
  /** Its version, which knows the feature level of that number. */
  version = 1

  constructor(view: NodeView, disk: Disk, prng: Prng, around: NodeSurroundings) {
    this.slot = view.slot
    this.id = view.id
    this.disk = disk
    this.view = view
    this.#prng = prng
    this.#around = around
    this.#failures = prng.fork('failures')
    this.#transfers = prng.fork('transfers')
    this.#slowest = view.slot === 0
    this.applier = new SimApplier(this, prng.fork('applier'), around)
    const { clockSkew } = around.profile.node
    this.#clockRate = clockSkew === 0 ? 1 : 1 + (prng.between(0, 2 * clockSkew) - clockSkew) / 1000
    this.#options = drawOptions(prng.fork('options'), around.profile.core, around.profile.standing)
    this.#versions = prng.fork('versions')
    this.#leaseReads = prng.fork('lease reads')
    view.priority = this.#options.priority
  }

  get up(): boolean {
    return this.core !== undefined
  }

  /** Starts, from what is on disk. */
  start(): void {
    const { world, history, panel, profile, checksum, mutations } = this.#around
    const { image } = this.disk
    // A group is upgraded one node at a time, each when it starts again.
    if (this.boot > 0 && this.#versions.chance(profile.standing.upgrade)) {
      this.version = Math.min(this.version + 1, NEWEST_VERSION)
    }
    this.boot++
    history.note(world.nowUs, TraceCode.start, this.slot, image.log.base.index, image.log.lastIndex, undefined)
    if (image.state.index < image.log.base.index) this.#recoverState()
    this.applier.started()
    panel.started(this.view, this.nowMs)
    this.#writesMs.length = 0
    this.core = createRaftCore(
      {
        id: this.id,
        options: this.#options,
        supportedLevel: this.version,
        checksum,
        seed: this.#prng.u32(),
        hardState: image.hardState,
        base: image.log.base,
        entries: this.disk.loadEntries(),
        appliedIndex: image.state.index
      },
      mutations
    )
    this.#scheduleTick(this.#prng.below(this.#tickUs()))
  }

  /** The crash came between the log's reset and the state's restore: the snapshot, durable before both, completes it. */
  #recoverState(): void {
    const { image } = this.disk
    const snapshot = image.snapshots[image.snapshots.length - 1]
    if (snapshot === undefined || snapshot.base.index < image.log.base.index) {
      throw new Violation('disk', `n${this.slot} has neither the log nor a snapshot from ${image.state.index} on`)
    }
    image.state = stateOf(snapshot)
  }

  /** Dies: memory is gone, the disk keeps what was synced, and a beginning of what was being written. */
  crash(): void {
    const { world, history, panel, network } = this.#around
    history.note(world.nowUs, TraceCode.crash, this.slot, this.boot, 0, undefined)
    this.core = undefined
    this.boot++
    this.paused = false
    this.#held = []
    this.disk.crash(this.#prng)
    network.processDied(this.slot)
    this.#snapshotting = false
    this.#fetch = undefined
    const settles = [...this.#tickets.values(), ...this.applier.crashed()]
    this.#tickets.clear()
    panel.crashed(this.view)
    for (const { settle } of settles) settle({ type: 'unknown' })
  }

  pause(): void {
    this.paused = true
  }

  /** All that came meanwhile happens now, in order. */
  resume(): void {
    this.paused = false
    const held = this.#held
    this.#held = []
    const { boot } = this
    for (const happen of held) if (this.boot === boot && this.core !== undefined) happen()
  }

  get nowMs(): number {
    return (this.#around.world.nowUs * this.#clockRate) / 1000
  }

  status(): CoreStatus | undefined {
    return this.core?.status(this.nowMs)
  }

  // ---- requests of clients and of the nemesis

  propose(payloads: readonly Uint8Array[], settle: Settle): void {
    this.#request(settle, (ticket) => ({ type: 'propose', ticket, payloads }))
  }

  read(settle: Settle): void {
    this.#request(settle, (ticket) => ({ type: 'read', ticket }))
  }

  changeMembers(voters: readonly NodeId[], learners: readonly NodeId[], settle: Settle): void {
    this.#request(settle, (ticket) => ({ type: 'change-members', ticket, change: { voters, learners } }))
  }

  /** As the driver's `leaseRead`: a look at the lease, the state when it stands there, and the lease again before the answer leaves. */
  leaseRead(settle: Settle): void {
    this.#whenAwake(() => {
      const index = this.core?.leaseIndex(this.nowMs)
      if (index === undefined) this.read(settle)
      else this.applier.readable(index, (outcome) => this.#answerByLease(outcome, settle))
    })
  }

  #answerByLease(outcome: Outcome, settle: Settle): void {
    const { world, panel, profile } = this.#around
    const { boot } = this
    const answer = (): void => {
      if (this.boot !== boot || this.core === undefined) settle({ type: 'unknown' })
      else if (!this.core.holdsLease(this.nowMs)) this.read(settle)
      else {
        panel.readByLease(this.view)
        settle(outcome)
      }
    }
    if (outcome.type !== 'read') {
      settle(outcome)
      return
    }
    const pauseUs = 1 + this.#leaseReads.exponential(profile.standing.meanReadPauseUs)
    world.schedule(pauseUs, EventKind.call, this.slot, 0, 0, () => this.#whenAwake(answer))
  }

  feels(health: Health): void {
    if (this.core === undefined) return
    this.#whenAwake(() => {
      this.view.health = health
      this.#around.panel.conduct?.feels(this.view, this.nowMs)
      this.step({ type: 'health', health })
    })
  }

  transfer(to: NodeId | undefined, settle: Settle): void {
    if (to !== undefined) this.#around.panel.conduct?.wants(this.view, to)
    this.#request(settle, (ticket) => ({ type: 'transfer', ticket, to }))
  }

  #request(settle: Settle, make: (ticket: number) => Input): void {
    if (this.core === undefined) {
      settle({ type: 'unknown' })
      return
    }
    const { panel } = this.#around
    const ticket = ++this.#ticket
    this.#tickets.set(ticket, {
      settle,
      knownAtStart: panel.promises.known,
      askedAt: panel.confirmations?.asked() ?? 0
    })
    this.#whenAwake(() => this.step(make(ticket)))
  }

  /** Does it now, or when the node wakes up. */
  #whenAwake(happen: () => void): void {
    if (this.paused) this.#held.push(happen)
    else happen()
  }

  // ---- events

  tick(boot: number): void {
    if (boot !== this.boot) return
    if (!this.paused) {
      const { conduct } = this.#around.panel
      const { nowMs } = this
      conduct?.ticks(this.view, nowMs)
      this.step(tickInput)
      if (this.core !== undefined) conduct?.ticked(this.view, nowMs, this.#known)
    }
    this.#scheduleTick(this.#tickUs())
  }

  #tickUs(): number {
    return Math.floor((this.#around.profile.core.heartbeatMs * 1000) / 3)
  }

  #scheduleTick(delayUs: number): void {
    this.#around.world.schedule(delayUs, EventKind.tick, this.slot, this.boot, 0, undefined)
  }

  deliver(from: number, connection: number, message: Message): void {
    const { world, network, history, nodes } = this.#around
    if (this.core === undefined || !network.arrives(from, this.slot, connection)) {
      history.note(world.nowUs, TraceCode.lost, this.slot, from, messageDigest(message), message)
      return
    }
    history.note(world.nowUs, TraceCode.deliver, this.slot, from, messageDigest(message), message)
    const { id } = nodes[from] as SimNode
    if (this.paused) this.#held.push(() => this.#receive(id, message))
    else this.#receive(id, message)
  }

  #receive(from: NodeId, message: Message): void {
    const { panel } = this.#around
    panel.conduct?.receives(this.view, from, message, this.nowMs)
    panel.confirmations?.receives(this.view, from, message)
    this.step({ type: 'receive', from, message })
  }

  peerHint(boot: number, peer: NodeId, up: boolean): void {
    if (boot !== this.boot || this.core === undefined) return
    this.#whenAwake(() => {
      if (!up) this.#around.panel.conduct?.losesStream(this.view, peer)
      if (!up) this.step({ type: 'peer-down', peer })
      else this.step({ type: 'peer-up', peer, featureLevel: this.#versionOf(peer) })
    })
  }

  #versionOf(peer: NodeId): number {
    const { nodes, panel } = this.#around
    return nodes[panel.slotOf.get(peer) ?? -1]?.version ?? 1
  }

  diskDone(boot: number): void {
    if (boot !== this.boot) return
    this.#whenAwake(() => this.#finishWrite())
  }

  applyDone(boot: number): void {
    if (boot !== this.boot) return
    this.#whenAwake(() => this.applier.finishApply())
  }

  flushDone(boot: number, flushed: StateImage): void {
    if (boot !== this.boot) return
    // The flush reaches the disk whether or not the process is awake to hear of it, unless a snapshot replaced the state meanwhile.
    if (flushed.index > this.disk.image.state.index) this.disk.image.state = flushed
    this.#whenAwake(() => this.applier.finishFlush(flushed.index))
  }

  snapshotDone(boot: number, snapshot: SnapshotImage): void {
    if (boot !== this.boot) return
    this.disk.saveSnapshot(snapshot)
    this.#whenAwake(() => {
      this.#snapshotting = false
      this.step({ type: 'snapshot-ready', base: snapshot.base })
    })
  }

  fetchDone(boot: number, breaks: boolean, fetch: Fetch): void {
    if (boot !== this.boot) return
    this.#whenAwake(() => {
      if (this.#fetch !== fetch) return
      this.#fetch = undefined
      const { network, nodes } = this.#around
      const peer = nodes[fetch.from] as SimNode
      const reachable = peer.core !== undefined && !network.isBlocked(fetch.from, this.slot)
      const found = peer.disk.image.snapshots.find(
        ({ base }) => base.index === fetch.base.index && base.chain === fetch.base.chain
      )
      if (!reachable || found === undefined || breaks) {
        this.view.installing = false
        this.step({ type: 'snapshot-failed', index: fetch.base.index })
        return
      }
      this.disk.enqueue({ type: 'install', snapshot: found })
      this.#beginWrite()
    })
  }

  // ---- the core

  step(input: Input): void {
    const core = this.core
    if (core === undefined) return
    const { panel } = this.#around
    const out = this.#out
    out.length = 0
    panel.steps(this.view)
    const { nowMs } = this
    core.step(input, nowMs, out)
    // Most steps are ticks, of which nothing comes.
    if (out.length > 0) this.#takeEffects(out)
    panel.stepped(this.view)
    if (++this.#steps % REPORT_EVERY_STEPS === 0) panel.reports(this.view, core.status(nowMs))
    this.applier.beginApply()
    this.#beginWrite()
  }

  #takeEffects(out: readonly Effect[]): void {
    const { panel } = this.#around
    // What a step appends is in force for what the same step sends, so the picture takes the log first.
    for (let i = 0; i < out.length; i++) {
      const effect = out[i] as Effect
      if (effect.type === 'persist') panel.persists(this.view, effect, this.#known)
    }
    if (panel.conduct !== undefined) this.#judgeDecisions(panel.conduct, out)
    for (let i = 0; i < out.length; i++) this.#carryOut(out[i] as Effect)
  }

  /** What is decided now counts by the time of now, though it may leave later. */
  #judgeDecisions(conduct: ElectionConduct, out: readonly Effect[]): void {
    const { nowMs } = this
    for (const effect of out) {
      if (effect.type !== 'role-changed') continue
      conduct.roleChanged(this.view, effect.role, effect.term, nowMs)
      if (effect.role === 'leader') this.#around.panel.confirmations?.begins(this.view)
    }
    for (const effect of out) {
      if (effect.type === 'send') conduct.decides(this.view, effect.to, effect.message, nowMs)
      else if (effect.type === 'persist') {
        for (const { to, message } of effect.release) conduct.decides(this.view, to, message, nowMs)
      }
    }
  }

  #carryOut(effect: Effect): void {
    const { world, history, panel } = this.#around
    switch (effect.type) {
      case 'send':
        this.#send(effect.to, effect.message)
        return
      case 'persist':
        history.note(world.nowUs, TraceCode.persist, this.slot, effect.seq, this.view.log.lastIndex, undefined)
        this.disk.enqueue(effect)
        this.#writesMs.push(this.nowMs)
        this.view.oldestWriteMs = this.#writesMs[0]
        return
      case 'apply': {
        panel.handsToApply(this.view, effect.entries)
        if (this.view.role === 'leader' && this.#committedInTerm !== this.view.hardState.term) {
          this.#committedInTerm = this.view.hardState.term
          this.#around.onElection(this.slot, 'commits')
        }
        this.applier.enqueue(effect.entries)
        history.note(world.nowUs, TraceCode.apply, this.slot, this.view.handedToApply, effect.entries.length, undefined)
        return
      }
      case 'role-changed':
        history.note(world.nowUs, TraceCode.role, this.slot, effect.term, effect.role.length, effect.role)
        panel.roleChanged(this.view, effect.role, effect.term)
        if (effect.role === 'leader') this.#around.onElection(this.slot, 'leads')
        else if (effect.role === 'candidate') this.#around.onElection(this.slot, 'asks')
        return
      case 'config-changed':
        history.note(
          world.nowUs,
          TraceCode.config,
          this.slot,
          effect.index,
          effect.committed ? 1 : 0,
          JSON.stringify(effect.config)
        )
        return
      case 'need-snapshot':
        this.#offerSnapshot()
        return
      case 'install-snapshot':
        this.view.installing = true
        this.#beginFetch(effect.from, effect.base)
        return
      case 'compact':
        history.note(world.nowUs, TraceCode.compact, this.slot, effect.base.index, 0, undefined)
        this.view.log.compact(effect.base)
        this.disk.enqueue(effect)
        return
      case 'alarm':
        history.note(world.nowUs, TraceCode.alarm, this.slot, 0, 0, `${effect.code}: ${effect.detail}`)
        return
      case 'halt':
        throw new Violation('halt', `n${this.slot} halted: ${effect.reason}`)
      case 'state-diverged':
        if (!this.view.broken)
          throw new Violation('state-diverged', `n${this.slot} ended, and was right: ${effect.detail}`)
        this.#makeStateAnew()
        return
      default:
        this.#answer(effect)
    }
  }

  /** The process ends, puts its state away, and is started again: as the driver and its next start do together. */
  #makeStateAnew(): void {
    const { world, profile } = this.#around
    const { boot } = this
    world.schedule(1, EventKind.call, this.slot, 0, 0, () => {
      if (this.boot !== boot) return
      this.crash()
      const { image } = this.disk
      image.state = { ...image.state, broken: false }
      const down = this.boot
      const downUs = 1 + this.#prng.below(profile.core.electionTimeoutMs * 1000)
      world.schedule(downUs, EventKind.call, this.slot, 0, 0, () => {
        if (this.boot === down && !this.up) this.start()
      })
    })
  }

  #send(to: NodeId, message: Message): void {
    const { world, history, panel, network } = this.#around
    const slot = panel.slotOf.get(to)
    if (slot === undefined || slot === this.slot)
      throw new Violation('send', `n${this.slot} sends ${message.type} to ${to}`)
    history.note(world.nowUs, TraceCode.send, this.slot, slot, messageDigest(message), message)
    panel.sends(this.view, to, message)
    network.send(this.slot, slot, message)
  }

  #answer(effect: Extract<Effect, { ticket: number }>): void {
    const { world, history, panel } = this.#around
    const request = this.#tickets.get(effect.ticket)
    if (request === undefined) {
      throw new Violation(
        'answers',
        `n${this.slot} answers request ${effect.ticket} twice, or never heard of it: ${effect.type}`
      )
    }
    this.#tickets.delete(effect.ticket)
    switch (effect.type) {
      case 'proposed':
        history.note(world.nowUs, TraceCode.proposed, this.slot, effect.first, effect.last, undefined)
        // A change of members may always be appended: it can be what brings a group out of trouble.
        if (panel.conduct !== undefined && this.core?.entry(effect.last)?.kind === EntryKind.command) {
          intakeBounded(this.view, effect, this.core.status(this.nowMs).appliedIndex, this.#around.profile.core)
        }
        this.applier.proposed(effect.last, effect.term, request.settle)
        return
      case 'refused':
        history.note(world.nowUs, TraceCode.refused, this.slot, effect.ticket, effect.reason.length, effect.reason)
        request.settle({ type: 'refused', reason: effect.reason, leader: effect.leader })
        return
      case 'read-ready':
        history.note(world.nowUs, TraceCode.readReady, this.slot, effect.index, request.knownAtStart, undefined)
        panel.promises.readReady(this.slot, effect.index, request.knownAtStart)
        panel.confirmations?.confirmed(this.view, request.askedAt, this.view.log.config(0, panel.decode))
        this.applier.readable(effect.index, request.settle)
        return
      case 'transferred':
        request.settle({ type: 'transferred' })
    }
  }

  // ---- disk

  #beginWrite(): void {
    if (!this.disk.begin()) return
    const { world, profile } = this.#around
    const { minWriteUs, meanWriteUs, stall, stallUs, slowestFactor } = profile.disk
    let delayUs = minWriteUs + this.#prng.exponential(meanWriteUs)
    if (this.#slowest) delayUs = Math.max(delayUs, Math.min(delayUs * slowestFactor, SLOWEST_WRITE_US))
    if (this.#prng.chance(stall)) delayUs += this.#prng.below(stallUs)
    world.schedule(delayUs, EventKind.diskDone, this.slot, this.boot, 0, undefined)
  }

  #finishWrite(): void {
    const { world, history, panel, profile } = this.#around
    if (this.#failures.chance(profile.disk.failure)) {
      this.#around.onDiskFailure(this.slot)
      return
    }
    const { write, fault } = this.disk.finish()
    if (fault !== undefined) throw new Violation('disk', `n${this.slot}: ${fault}`)
    panel.diskChanged(this.view)
    if (write.type === 'persist') {
      this.#writesMs.splice(0, write.effects.length)
      this.view.oldestWriteMs = this.#writesMs[0]
      let last: PersistEffect | undefined
      for (const effect of write.effects) {
        last = effect
        for (const { to, message } of effect.release) this.#send(to, message)
      }
      history.note(world.nowUs, TraceCode.durable, this.slot, last?.seq ?? 0, this.disk.image.log.lastIndex, undefined)
      if (last !== undefined) this.step({ type: 'persisted', seq: last.seq })
    } else if (write.type === 'install') {
      const { base } = write.snapshot
      history.note(world.nowUs, TraceCode.install, this.slot, base.index, base.term, undefined)
      panel.installed(this.view)
      this.applier.restored(stateOf(write.snapshot))
      this.view.installing = false
      this.step({ type: 'snapshot-installed', base })
      if (this.core !== undefined) panel.reports(this.view, this.core.status(this.nowMs))
    }
    this.#beginWrite()
  }

  // ---- snapshots

  /** Names the newest snapshot if the log continues it; otherwise makes one of the state as it stands. */
  #offerSnapshot(): void {
    if (this.#snapshotting || this.core === undefined) return
    const { world, profile, history } = this.#around
    const newest = this.disk.image.snapshots[this.disk.image.snapshots.length - 1]
    let snapshot: SnapshotImage | undefined = newest
    let delayUs = 1
    if (newest === undefined || newest.base.index < this.view.log.base.index) {
      const base = this.core.baseAt(this.applier.state.index)
      if (base === undefined) return
      const { digest, registers, sessions } = this.applier.stored()
      const lost = this.#around.mutations.has('session-not-in-snapshot')
      snapshot = { base, digest, registers, sessions: lost ? undefined : sessions }
      delayUs += this.#prng.exponential(profile.node.meanSnapshotUs)
    }
    if (snapshot === undefined) return
    this.#snapshotting = true
    history.note(world.nowUs, TraceCode.snapshot, this.slot, snapshot.base.index, snapshot.base.term, undefined)
    world.schedule(delayUs, EventKind.snapshotDone, this.slot, this.boot, 0, snapshot)
  }

  #beginFetch(from: NodeId, base: LogBase): void {
    const { world, profile, panel } = this.#around
    const slot = panel.slotOf.get(from)
    if (slot === undefined) throw new Violation('send', `n${this.slot} fetches a snapshot from ${from}`)
    const fetch: Fetch = { from: slot, base }
    this.#fetch = fetch
    let delayUs = 1 + this.#prng.exponential(profile.node.meanTransferUs)
    // A transfer that breaks off does so anywhere between its first byte and its last.
    const breaks = this.#transfers.chance(profile.node.transferFailure)
    if (breaks) delayUs = 1 + this.#transfers.below(delayUs)
    world.schedule(delayUs, EventKind.fetchDone, this.slot, this.boot, breaks ? 1 : 0, fetch)
  }
}

const tickInput: Input = { type: 'tick' }
