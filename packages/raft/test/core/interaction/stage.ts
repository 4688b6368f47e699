/**
 * A few real cores on a stage: messages, writes and applies wait until a script moves them, and all that happens is written
 * down in one line each. `transcript.ts` puts a text language in front of it; the paper tests call it directly.
 *
 * Nothing is random and nothing happens by itself: links are first in, first out, and the clock moves when it is told to.
 */

import { crc32 } from 'node:zlib'
import { EMPTY_CONFIG } from '../../../src/core/members.ts'
import type { Message } from '../../../src/core/messages.ts'
import type { Mutation } from '../../../src/core/mutations.ts'
import { defaultCoreOptions } from '../../../src/core/options.ts'
import { createRaftCore } from '../../../src/core/raft.ts'
import type {
  ClusterConfig,
  CoreOptions,
  Effect,
  Entry,
  HardState,
  Index,
  Input,
  LogBase,
  NodeId,
  RaftCore
} from '../../../src/core/types.ts'
import { describeConfig, describeEntries, describeMessage } from '../../../src/sim/describe.ts'

type Persist = Extract<Effect, { type: 'persist' }>

/** One node: its core, what is on its disk, and what is under way there. */
export interface Actor {
  readonly id: NodeId
  /** Differs from start to start, as the driver's does (T47). */
  seed: number
  core: RaftCore
  up: boolean
  /** An invariant was broken: it stopped for good. */
  halted: boolean
  hardState: HardState
  base: LogBase
  entries: Entry[]
  /** What the state machine holds; survives a crash, as a snapshot or a flushed state would. */
  appliedIndex: Index
  writes: Persist[]
  applies: (readonly Entry[])[]
  diskHeld: boolean
  /** `settle` leaves what it is to apply alone. */
  applyHeld: boolean
  installing: { readonly from: NodeId; readonly base: LogBase } | undefined
}

/** What a disk held at some time. */
type Image = Pick<Actor, 'hardState' | 'base' | 'entries' | 'appliedIndex'>

interface Letter {
  readonly from: NodeId
  readonly to: NodeId
  readonly message: Message
}

/** Between the seeds of two starts of one node. */
const SEEDS_PER_START = 1000

export class Stage {
  readonly options: CoreOptions
  readonly actors = new Map<NodeId, Actor>()
  /** What happened, oldest first. */
  readonly lines: string[] = []
  /** All effects, with who made them. */
  readonly effects: { readonly node: NodeId; readonly effect: Effect }[] = []
  nowMs = 0
  readonly #mutations: ReadonlySet<Mutation>
  /** What single nodes are started with instead, by name; `version` is the feature level that they know. */
  readonly #own = new Map<NodeId, Record<string, number>>()
  #mail: Letter[] = []
  /** Under way for longer than all else: until `arrive`. */
  #late: Letter[] = []
  /** A first state of each disk, and those that a script kept. */
  readonly #images = new Map<NodeId, { readonly first: Image; kept: Image }>()
  readonly #cut = new Set<string>()
  #ticket = 0

  constructor(options: Partial<CoreOptions> = {}, mutations: ReadonlySet<Mutation> = new Set()) {
    this.options = { ...defaultCoreOptions, trailingEntries: 0, ...options }
    this.#mutations = mutations
  }

  /** Starts this node with another option than the others, from its next start on. */
  own(id: NodeId, name: string, value: number): void {
    this.#own.set(id, { ...this.#own.get(id), [name]: value })
  }

  /** Puts nodes up that all know `config`; an empty one makes joiners. */
  add(ids: readonly NodeId[], config: ClusterConfig): void {
    for (const id of ids) {
      const base: LogBase = { index: 0, term: 0, chain: 0, config }
      const hardState = { term: 0, votedFor: undefined }
      const seed = this.actors.size + 1
      const core = this.#start(id, seed, hardState, base, [], 0)
      const disk: Image = { hardState, base, entries: [], appliedIndex: 0 }
      const empty = { ...disk, base: { ...base, config: EMPTY_CONFIG } }
      this.#images.set(id, { first: empty, kept: disk })
      const idle = { writes: [], applies: [], diskHeld: false, applyHeld: false, installing: undefined }
      this.actors.set(id, { id, seed, core, up: true, halted: false, ...disk, ...idle })
      this.step(id, { type: 'tick' })
    }
  }

  #start(
    id: NodeId,
    seed: number,
    hardState: HardState,
    base: LogBase,
    entries: Entry[],
    appliedIndex: Index
  ): RaftCore {
    const { version, ...own } = this.#own.get(id) ?? {}
    const options = { ...this.options, ...own }
    const init = { id, options, checksum: crc32, seed, hardState, base, entries: [...entries], appliedIndex }
    return createRaftCore(version === undefined ? init : { ...init, supportedLevel: version }, this.#mutations)
  }

  actor(id: NodeId): Actor {
    const actor = this.actors.get(id)
    if (actor === undefined) throw new Error(`no node is called ${id}`)
    return actor
  }

  say(line: string): void {
    this.lines.push(line)
  }

  /** Gives one node one input, and writes down what comes of it. */
  step(id: NodeId, input: Input): Effect[] {
    const actor = this.actor(id)
    const out: Effect[] = []
    if (!actor.up) return out
    actor.core.step(input, this.nowMs, out)
    for (const effect of out) {
      this.effects.push({ node: id, effect })
      this.#begin(actor, effect)
    }
    return out
  }

  #begin(actor: Actor, effect: Effect): void {
    const { id } = actor
    switch (effect.type) {
      case 'send':
        this.#post(id, effect.to, effect.message)
        break
      case 'persist': {
        actor.writes.push(effect)
        const parts: string[] = []
        if (effect.hardState !== undefined) {
          parts.push(`term ${effect.hardState.term} vote ${effect.hardState.votedFor ?? '-'}`)
        }
        if (effect.truncateFrom !== undefined) parts.push(`cut from ${effect.truncateFrom}`)
        if (effect.entries.length > 0) parts.push(describeEntries(effect.entries))
        if (effect.release.length > 0) parts.push(`then ${effect.release.length} to send`)
        this.say(`${id} writes ${parts.join(', ')}`)
        break
      }
      case 'apply':
        actor.applies.push(effect.entries)
        this.say(`${id} applies ${describeEntries(effect.entries)}`)
        break
      case 'need-snapshot':
        this.say(`${id} needs a snapshot for ${effect.to}`)
        break
      case 'install-snapshot':
        actor.installing = { from: effect.from, base: effect.base }
        this.say(`${id} fetches the snapshot at ${effect.base.index} from ${effect.from}`)
        break
      case 'compact':
        actor.base = effect.base
        actor.entries = actor.entries.filter((entry) => entry.index > effect.base.index)
        this.say(`${id} compacts its log to ${effect.base.index}`)
        break
      case 'proposed':
        this.say(`${id} has ticket ${effect.ticket} at ${effect.first}..${effect.last}`)
        break
      case 'refused':
        this.say(`${id} refuses ticket ${effect.ticket}: ${effect.reason}; ${effect.detail}`)
        break
      case 'read-ready':
        this.say(`${id} may serve read ${effect.ticket} from ${effect.index}`)
        break
      case 'transferred':
        this.say(`${id} has handed over, ticket ${effect.ticket}`)
        break
      case 'role-changed':
        this.say(`${id} is ${effect.role} in term ${effect.term}, leader ${effect.leader ?? '-'}`)
        break
      case 'config-changed': {
        const state = effect.committed ? 'committed' : 'in force'
        this.say(`${id} has ${describeConfig(effect.config)} of ${effect.index} ${state}`)
        break
      }
      case 'alarm':
        this.say(`${id} ALARM ${effect.code}: ${effect.detail}`)
        break
      case 'state-diverged':
        actor.up = false
        this.say(`${id} ENDS ${effect.detail}`)
        break
      case 'halt':
        actor.up = false
        actor.halted = true
        this.say(`${id} HALT ${effect.reason}`)
        break
    }
  }

  #post(from: NodeId, to: NodeId, message: Message): void {
    if (this.#cut.has(`${from}>${to}`)) {
      this.say(`${from} ⇥ ${to} ${describeMessage(message)}`)
      return
    }
    this.say(`${from} → ${to} ${describeMessage(message)}`)
    this.#mail.push({ from, to, message })
  }

  /** Delivers what is under way now; answers go on their way, but wait for the next call. */
  deliver(wanted: (from: NodeId, to: NodeId) => boolean = () => true): boolean {
    const mail = this.#mail
    this.#mail = mail.filter((letter) => !wanted(letter.from, letter.to))
    const due = mail.filter((letter) => wanted(letter.from, letter.to))
    for (const { from, to, message } of due) {
      if (this.actors.get(to)?.up) this.step(to, { type: 'receive', from, message })
    }
    return due.length > 0
  }

  /** What is under way on some links, or a copy of it, comes late: once it is told to `arrive`. */
  delay(wanted: (from: NodeId, to: NodeId) => boolean, copies = false): void {
    for (const letter of this.#mail) if (wanted(letter.from, letter.to)) this.#late.push(letter)
    if (!copies) this.drop(wanted)
  }

  /** What came late is under way again, behind all that was sent meanwhile. */
  arrive(wanted: (from: NodeId, to: NodeId) => boolean): void {
    for (const letter of this.#late) if (wanted(letter.from, letter.to)) this.#mail.push(letter)
    this.#late = this.#late.filter((letter) => !wanted(letter.from, letter.to))
  }

  /** Loses what is under way on some links. */
  drop(wanted: (from: NodeId, to: NodeId) => boolean = () => true): void {
    this.#mail = this.#mail.filter((letter) => !wanted(letter.from, letter.to))
  }

  /** Delivers a message that nobody sent now: an old one again, or one of a stranger. */
  forge(from: NodeId, to: NodeId, message: Message): Effect[] {
    return this.step(to, { type: 'receive', from, message })
  }

  /** Separates each of `ids` from all others, those not yet known included. */
  isolate(ids: readonly NodeId[], others: readonly NodeId[]): void {
    for (const a of ids) this.cut(others.filter((b) => b !== a).flatMap((b) => [`${a}>${b}`, `${b}>${a}`]))
  }

  /** Lets links, written `A>B`, lose everything, in this direction only. */
  cut(links: readonly string[]): void {
    for (const link of links) this.#cut.add(link)
    this.drop((from, to) => this.#cut.has(`${from}>${to}`))
  }

  heal(): void {
    this.#cut.clear()
  }

  /** Completes the first `count` writes of a node, or all, as one group, and lets go what waited for them. */
  persist(id: NodeId, count = Number.POSITIVE_INFINITY): boolean {
    const actor = this.actor(id)
    const writes = actor.writes.slice(0, count)
    const last = writes.at(-1)
    if (last === undefined || !actor.up) return false
    actor.writes = actor.writes.slice(writes.length)
    for (const write of writes) {
      if (write.hardState !== undefined) actor.hardState = write.hardState
      if (write.truncateFrom !== undefined) {
        const from = write.truncateFrom
        actor.entries = actor.entries.filter((entry) => entry.index < from)
      }
      actor.entries.push(...write.entries)
    }
    for (const write of writes) for (const { to, message } of write.release) this.#post(id, to, message)
    this.step(id, { type: 'persisted', seq: last.seq })
    return true
  }

  apply(id: NodeId): boolean {
    const actor = this.actor(id)
    const entries = actor.applies.shift()
    const last = entries?.at(-1)
    if (last === undefined || !actor.up) return false
    actor.appliedIndex = last.index
    this.step(id, { type: 'applied', index: last.index })
    return true
  }

  /** Delivers, writes and applies until nothing moves among `ids`, or among all. */
  settle(ids: readonly NodeId[] = [...this.actors.keys()]): void {
    let moved = true
    while (moved) {
      moved = this.deliver((from, to) => ids.includes(from) && ids.includes(to))
      for (const id of ids) {
        if (!this.actor(id).diskHeld && this.persist(id)) moved = true
        if (!this.actor(id).applyHeld && this.apply(id)) moved = true
      }
    }
  }

  /** Moves the clock in steps of a third of a heartbeat; `ids` tick, and everything settles in between. */
  wait(ms: number, ids: readonly NodeId[] = [...this.actors.keys()]): void {
    const end = this.nowMs + ms
    while (this.nowMs < end) {
      this.nowMs = Math.min(end, this.nowMs + this.options.heartbeatMs / 3)
      for (const id of ids) this.step(id, { type: 'tick' })
      this.settle()
    }
  }

  /** Lets only this node's clock run until it campaigns: the others have lost their leader too, but are slower. */
  campaign(id: NodeId): void {
    const start = this.nowMs
    while (this.nowMs - start <= 3 * this.options.electionTimeoutMs) {
      this.nowMs += this.options.heartbeatMs / 3
      const effects = this.step(id, { type: 'tick' })
      if (effects.some((effect) => effect.type === 'role-changed' && effect.role !== 'follower')) return
    }
    this.say(`${id} does not campaign`)
  }

  /** The process dies: unfinished writes, messages to it and applies under way are lost. */
  crash(id: NodeId): void {
    const actor = this.actor(id)
    actor.up = false
    actor.writes = []
    actor.applies = []
    actor.installing = undefined
    this.drop((_, to) => to === id)
    this.say(`${id} crashes`)
  }

  /** Remembers what a node's disk holds now. */
  keepImage(id: NodeId): void {
    const { hardState, base, entries, appliedIndex } = this.actor(id)
    this.#imagesOf(id).kept = { hardState, base, entries: [...entries], appliedIndex }
  }

  /** A stopped node's disk is as it was when its image was kept. */
  putBack(id: NodeId): void {
    const { kept } = this.#imagesOf(id)
    Object.assign(this.actor(id), { ...kept, entries: [...kept.entries] })
    this.say(`the disk of ${id} is put back to log ${kept.base.index}..${kept.base.index + kept.entries.length}`)
  }

  /** A stopped node's disk is empty: it knows no configuration, as one that waits to be added. */
  wipe(id: NodeId): void {
    Object.assign(this.actor(id), { ...this.#imagesOf(id).first, entries: [] })
    this.say(`the disk of ${id} is wiped`)
  }

  #imagesOf(id: NodeId): { readonly first: Image; kept: Image } {
    const images = this.#images.get(id)
    if (images === undefined) throw new Error(`no node is called ${id}`)
    return images
  }

  restart(id: NodeId): void {
    const actor = this.actor(id)
    const { hardState, base, entries, appliedIndex } = actor
    actor.seed += SEEDS_PER_START
    try {
      actor.core = this.#start(id, actor.seed, hardState, base, entries, Math.max(appliedIndex, base.index))
    } catch (error) {
      actor.halted = true
      this.say(`${id} HALT at its start: ${error instanceof Error ? error.message : String(error)}`)
      return
    }
    actor.up = true
    const last = base.index + entries.length
    this.say(`${id} starts in term ${hardState.term}, vote ${hardState.votedFor ?? '-'}, log ${base.index}..${last}`)
    this.step(id, { type: 'tick' })
  }

  /** The snapshot that was being fetched is there. */
  install(id: NodeId): void {
    const actor = this.actor(id)
    const { installing } = actor
    if (installing === undefined) throw new Error(`${id} fetches no snapshot`)
    actor.installing = undefined
    actor.base = installing.base
    actor.entries = []
    actor.appliedIndex = installing.base.index
    this.step(id, { type: 'snapshot-installed', base: installing.base })
  }

  ticket(): number {
    return ++this.#ticket
  }

  leader(): NodeId | undefined {
    const leaders = [...this.actors.values()].filter((actor) => actor.up && this.status(actor.id).role === 'leader')
    return leaders.sort((a, b) => this.status(b.id).term - this.status(a.id).term)[0]?.id
  }

  status(id: NodeId): ReturnType<RaftCore['status']> {
    return this.actor(id).core.status(this.nowMs)
  }
}
