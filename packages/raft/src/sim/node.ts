/**
 * One node: the real core, driven as the real driver drives it, on a simulated disk, network and state machine. It carries out
 * effects in order; nothing here is fast-forwarded: every completion is an event of its own, so that a crash, a message or another effect can come in
 * between any two.
 *
 * Called by `simulate.ts` with events, by `nemesis.ts` and `workload.ts`; reports everything to the judges' panel. Never corrects the core.
 */

import type { Message } from '../core/messages.ts'
import { createRaftCore } from '../core/raft.ts'
import type { CoreOptions, CoreStatus, Effect, Health, Index, Input, NodeId, RaftCore, Term } from '../core/types.ts'
import type { SimActor } from './actor.ts'
import { SimApplier } from './applier.ts'
import { type Disk, type PersistEffect, type SnapshotImage, type StateImage, stateOf } from './disk.ts'
import { messageDigest, TraceCode } from './history.ts'
import type { ElectionConduct } from './judges/election-conduct.ts'
import type { NodeView } from './judges/view.ts'
import { Violation } from './judges/violation.ts'
import type { Prng } from './prng.ts'
import { Requests } from './requests.ts'
import { type Fetch, NodeSnapshots } from './snapshots.ts'
import { drawOptions, upgraded } from './standing.ts'
import type { NodeSurroundings, Settle } from './surroundings.ts'
import { EventKind } from './world.ts'

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
  readonly #snapshots: NodeSnapshots
  /** Whether this is the node with the slowest disk. */
  readonly #slowest: boolean
  #held: (() => void)[] = []
  #steps = 0
  /** The commit index that the node knows. */
  readonly #known = (): Index => this.status()?.commitIndex ?? 0
  /** The last term in which this node led and committed. */
  #committedInTerm: Term = 0
  /** When each write that is not durable yet was asked for. */
  readonly #writesMs: number[] = []
  /** Of its own: priority and lease differ from node to node. */
  readonly #options: CoreOptions
  readonly #finishWriteLater = (): void => this.#finishWrite()
  readonly #finishApplyLater = (): void => this.applier.finishApply()
  readonly #versions: Prng
  readonly #requests: Requests

  constructor(view: NodeView, disk: Disk, prng: Prng, around: NodeSurroundings) {
    this.slot = view.slot
    this.id = view.id
    this.disk = disk
    this.view = view
    this.#prng = prng
    this.#around = around
    this.#failures = prng.fork('failures')
    this.#snapshots = new NodeSnapshots(this, prng, around)
    this.#slowest = view.slot === 0
    this.applier = new SimApplier(this, prng.fork('applier'), around)
    const { clockSkew } = around.profile.node
    this.#clockRate = clockSkew === 0 ? 1 : 1 + (prng.between(0, 2 * clockSkew) - clockSkew) / 1000
    this.#options = drawOptions(prng.fork('options'), around.profile.core, around.profile.standing)
    this.#versions = prng.fork('versions')
    this.#requests = new Requests(this, prng.fork('lease reads'), around)
    view.priority = this.#options.priority
  }

  get up(): boolean {
    return this.core !== undefined
  }

  /** Starts, from what is on disk. */
  start(): void {
    const { world, history, panel, profile, checksum, mutations } = this.#around
    const { image } = this.disk
    if (this.boot > 0) this.view.version = upgraded(this.view.version, this.#versions, profile.standing)
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
        supportedLevel: this.view.version,
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
    this.#snapshots.crashed()
    const settles = [...this.#requests.crashed(), ...this.applier.crashed()]
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
    this.#requests.propose(payloads, settle)
  }

  read(settle: Settle): void {
    this.#requests.read(settle)
  }

  changeMembers(voters: readonly NodeId[], learners: readonly NodeId[], settle: Settle): void {
    this.#requests.changeMembers(voters, learners, settle)
  }

  leaseRead(settle: Settle): void {
    this.#requests.leaseRead(settle)
  }

  transfer(to: NodeId | undefined, settle: Settle): void {
    this.#requests.transfer(to, settle)
  }

  feels(health: Health): void {
    if (this.core === undefined) return
    this.whenAwake(() => {
      this.view.health = health
      this.#around.panel.conduct?.feels(this.view, this.nowMs)
      this.step({ type: 'health', health })
    })
  }

  /** Does it now, or when the node wakes up. */
  whenAwake(happen: () => void): void {
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
    if (this.paused) this.#holdMessage(id, message)
    else this.#receive(id, message)
  }

  #holdMessage(from: NodeId, message: Message): void {
    this.#held.push(() => this.#receive(from, message))
  }

  #receive(from: NodeId, message: Message): void {
    const { panel } = this.#around
    panel.conduct?.receives(this.view, from, message, this.nowMs)
    panel.confirmations?.receives(this.view, from, message)
    this.step({ type: 'receive', from, message })
  }

  peerHint(boot: number, peer: NodeId, up: boolean): void {
    if (boot !== this.boot || this.core === undefined) return
    this.whenAwake(() => {
      if (!up) this.#around.panel.conduct?.losesStream(this.view, peer)
      if (!up) this.step({ type: 'peer-down', peer })
      else this.step({ type: 'peer-up', peer, featureLevel: this.#around.panel.levels.knownBy(peer) })
    })
  }

  diskDone(boot: number): void {
    if (boot !== this.boot) return
    if (this.paused) this.#held.push(this.#finishWriteLater)
    else this.#finishWrite()
  }

  applyDone(boot: number): void {
    if (boot !== this.boot) return
    if (this.paused) this.#held.push(this.#finishApplyLater)
    else this.applier.finishApply()
  }

  flushDone(boot: number, flushed: StateImage): void {
    if (boot !== this.boot) return
    // The flush reaches the disk whether or not the process is awake to hear of it, unless a snapshot replaced the state meanwhile.
    if (flushed.index > this.disk.image.state.index) this.disk.image.state = flushed
    this.whenAwake(() => this.applier.finishFlush(flushed.index))
  }

  snapshotDone(boot: number, snapshot: SnapshotImage): void {
    if (boot === this.boot) this.#snapshots.made(snapshot)
  }

  fetchDone(boot: number, breaks: boolean, fetch: Fetch): void {
    if (boot === this.boot) this.whenAwake(() => this.#snapshots.fetched(breaks, fetch))
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
    this.beginWrite()
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
    const { nowMs, view } = this
    for (let i = 0; i < out.length; i++) {
      const effect = out[i] as Effect
      if (effect.type !== 'role-changed') continue
      conduct.roleChanged(view, effect.role, effect.term, nowMs)
      if (effect.role === 'leader') this.#around.panel.confirmations?.begins(view)
    }
    for (let i = 0; i < out.length; i++) {
      const effect = out[i] as Effect
      if (effect.type === 'send') conduct.decides(view, effect.to, effect.message, nowMs)
      else if (effect.type === 'persist') {
        for (const { to, message } of effect.release) conduct.decides(view, to, message, nowMs)
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
        this.#snapshots.offer()
        return
      case 'install-snapshot':
        this.view.installing = true
        this.#snapshots.fetch(effect.from, effect.base)
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
        this.#requests.answer(effect)
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

  // ---- disk

  beginWrite(): void {
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
    this.beginWrite()
  }
}

const tickInput: Input = { type: 'tick' }
