/**
 * Every state that a node can be in, each once. A node state is the real core together with its disk; two are the same if nothing that the core
 * holds, and nothing that is on disk or on its way there, tells them apart. The core runs once for each pair of a node state and an input: the result
 * is remembered, so that the search over all interleavings (`search.ts`) is made of look-ups.
 *
 * A core cannot be copied. It is made anew from the disk of its last start and given the inputs that it had since, which are few. Its state
 * after a step is read by `stateOf`. Times are kept as ages, and an age beyond the election timeout is as good as any other.
 *
 * Unless the search is a plain one, states of which the core cannot tell one from the other are taken for one:
 * - A write of nothing but messages ends with the write before it, as a driver may do that syncs once for both (group commit). The messages leave
 *   sooner, but may still arrive as late as before, and nothing else is decided in between.
 * - A commit index in a message counts as far as the message proves the log (T10), so that beyond that all are the same.
 * - When a leader sent, heard and was outpaced is asked by its clock alone, and by the choice of an heir: without heartbeats, and without changes of
 *   members, nobody asks. Where nobody takes leases, nobody asks either whether they are over.
 * - A node draws the time of its next election in its first step, if it did not before; when it comes is up to the search.
 * Refusals of what was acknowledged are counted by a leader and mean nothing below a hundred, more than one way of the search has.
 */

import { crc32 } from 'node:zlib'
import { decodeConfig } from '../../src/core/members.ts'
import type { Message } from '../../src/core/messages.ts'
import type { Mutation } from '../../src/core/mutations.ts'
import { defaultCoreOptions } from '../../src/core/options.ts'
import { createRaftCore, stateOf } from '../../src/core/raft.ts'
import { payloadOf } from '../../src/core/record.ts'
import {
  type ClusterConfig,
  type CoreOptions,
  type Effect,
  type Entry,
  EntryKind,
  type Envelope,
  type HardState,
  type Index,
  type Input,
  type LogBase,
  type NodeId,
  type RaftCore,
  type Role,
  type Term
} from '../../src/core/types.ts'
import type { PersistEffect } from '../../src/sim/disk.ts'
import { Violation } from '../../src/sim/judges/violation.ts'
import { checkStep } from './step-rules.ts'

/** What is on a disk. */
export interface Stored {
  readonly hardState: HardState
  readonly entries: readonly Entry[]
}

/** A message on its way, each once. */
export interface Flying {
  readonly id: number
  readonly from: number
  readonly to: number
  readonly message: Message
}

interface Given {
  readonly before: Given | undefined
  readonly input: Input
  readonly atMs: number
}

export interface NodeState {
  readonly id: number
  readonly slot: number
  readonly role: Role
  readonly term: Term
  readonly leader: NodeId | undefined
  readonly commitIndex: Index
  /** The log in memory. */
  readonly log: readonly Entry[]
  /** The same for the same log. */
  readonly logId: number
  readonly config: ClusterConfig
  /** How far a leader knows its peers to have come. */
  readonly peers: ReadonlyMap<NodeId, { readonly matchIndex: Index }>
  readonly disk: Stored
  /** Asked for and not durable yet, in order. */
  readonly writes: readonly PersistEffect[]
  readonly clockMs: number
  /** The disk that this life began with, and all that came in since. */
  readonly boot: Stored
  readonly given: Given | undefined
  /** The core in just this state, until a step takes it further. */
  live: RaftCore | undefined
  /** The same for two states that differ in nothing but the messages that leave with their writes. */
  readonly bareId: number
  /** Per renaming of the nodes: two hashes of 32 bits for what it then is. */
  readonly hashes: Int32Array
  /** By message number, of what was received in this state. */
  readonly received: Map<number, Outcome>
  /** By name, of all else. */
  readonly outcomes: Map<string, Outcome>
}

/** What a step of a node led to. */
export interface Outcome {
  readonly id: number
  readonly before: NodeState
  readonly next: NodeState
  readonly sent: readonly Flying[]
  /** A rule that concerns this node alone is broken. */
  readonly violation: Violation | undefined
  /** It was a crash, in which what was not durable is lost by right. */
  readonly crashed: boolean
}

export interface NodesInit {
  readonly config: ClusterConfig
  /** The one that changes nothing first. */
  readonly renamings: readonly Renaming[]
  readonly mutations: ReadonlySet<Mutation>
  /** Tell apart what the core cannot. */
  readonly plain: boolean
  /** Writes of nothing but messages end with the write before them. */
  readonly groupsWrites: boolean
  /** Leaders have a clock: there are heartbeats. */
  readonly ticks: boolean
  /** Members change, so that a leader may have to choose an heir. */
  readonly changes: boolean
}

const OPTIONS: CoreOptions = { ...defaultCoreOptions, maxAppendBytes: 1 }
const TIMEOUT_MS = OPTIONS.electionTimeoutMs

/** Ticks a third of an election timeout apart, after which a node has asked for votes; closer than what it takes for a stall. */
const MOST_TICKS = 8

/** A numbering of texts, the same for the same text. */
class Numbers {
  readonly #ids = new Map<string, number>()

  of(text: string): number {
    let id = this.#ids.get(text)
    if (id === undefined) {
      id = this.#ids.size + 1
      this.#ids.set(text, id)
    }
    return id
  }
}

/** 64 bits that look like chance, for each number: hashes of what a state is made of are added up. */
function hashInto(hashes: Int32Array, at: number, number: number): void {
  for (let half = 0; half < 2; half++) {
    let mixed = Math.imul(number, 0x9e37_79b1) ^ (half === 0 ? 0x243f_6a88 : 0x85a3_08d3)
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13) ^ (half === 0 ? 0 : number), 0xc2b2_ae35)
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x27d4_eb2f)
    hashes[at + half] = mixed ^ (mixed >>> 15)
  }
}

/** How nodes are called under a renaming: `renaming[slot]` is the new slot. */
export type Renaming = readonly number[]

export class Nodes {
  readonly ids: readonly NodeId[]
  readonly renamings: readonly Renaming[]
  /** Of all messages, by number: per renaming of the nodes two hashes of 32 bits for what it then is. */
  flyingHashes: Int32Array
  readonly #init: NodesInit
  readonly #base: LogBase
  readonly #states = new Map<string, NodeState>()
  readonly #byId: NodeState[] = []
  readonly #flying = new Map<string, Flying>()
  readonly #flyingById: Flying[] = []
  readonly #numbers = new Numbers()
  readonly #labels = new WeakMap<Entry, (name: (id: NodeId) => string) => string>()
  /** By the chain of an entry: the entry, and the chain of the one before it. */
  readonly #history = new Map<number, { readonly entry: Entry; readonly chainBefore: number }>()
  #outcomes = 0

  constructor(init: NodesInit) {
    const { config, renamings } = init
    this.#init = init
    this.ids = (renamings[0] as Renaming).map((slot) => `n${slot}`)
    this.renamings = renamings
    this.flyingHashes = new Int32Array(2 * renamings.length * 1024)
    this.#base = { index: 0, term: 0, chain: 0, config }
  }

  byId(id: number): NodeState {
    return this.#byId[id] as NodeState
  }

  flyingById(id: number): Flying {
    return this.#flyingById[id] as Flying
  }

  get count(): number {
    return this.#states.size
  }

  slotOf(id: NodeId): number {
    return this.ids.indexOf(id)
  }

  // ---- steps

  /** A node that starts from a disk. */
  start(slot: number, disk: Stored): NodeState {
    return this.#intern(slot, this.#create(slot, disk), { disk, writes: [], clockMs: 0, boot: disk, given: undefined })
  }

  #create(slot: number, disk: Stored): RaftCore {
    const init = {
      id: this.ids[slot] as NodeId,
      options: OPTIONS,
      checksum: (bytes: Uint8Array, seed: number) => crc32(bytes, seed),
      seed: slot + 1,
      hardState: disk.hardState,
      base: this.#base,
      entries: disk.entries.slice(),
      appliedIndex: 0
    }
    return createRaftCore(init, this.#init.mutations)
  }

  /** A message arrives. */
  receive(state: NodeState, { id, from, message }: Flying): Outcome {
    let outcome = state.received.get(id)
    if (outcome === undefined) {
      const input = { type: 'receive', from: this.ids[from] as NodeId, message } as const
      outcome = this.#run(state, input, 0, state.disk, state.writes, [])
      state.received.set(id, outcome)
    }
    return outcome
  }

  /** Gives a node an input, `afterMs` after the last. */
  step(state: NodeState, key: string, input: Input, afterMs = 0): Outcome {
    return this.#remember(state, key, () => this.#run(state, input, afterMs, state.disk, state.writes, []))
  }

  /** The oldest write becomes durable, and its messages leave. */
  finishWrite(state: NodeState): Outcome {
    return this.#remember(state, 'w', () => {
      const [write, ...rest] = state.writes as [PersistEffect, ...PersistEffect[]]
      const disk = written(state.disk, write)
      return this.#run(state, { type: 'persisted', seq: write.seq }, 0, disk, rest, write.release)
    })
  }

  /** Dies and starts again: of the writes under way the first `kept` had reached the disk, and nobody had heard of it. */
  crash(state: NodeState, kept: number): Outcome {
    return this.#remember(state, `x${kept}`, () => {
      const disk = state.writes.slice(0, kept).reduce(written, state.disk)
      try {
        return this.#outcome(state, this.start(state.slot, disk), [], undefined, true)
      } catch (error) {
        // What is on disk does not make a log: the node cannot start.
        return this.#outcome(state, state, [], new Violation('disk', `n${state.slot}: ${String(error)}`), true)
      }
    })
  }

  #outcome(
    before: NodeState,
    next: NodeState,
    sent: readonly Flying[],
    violation: Violation | undefined,
    crashed: boolean
  ): Outcome {
    return { id: this.#outcomes++, before, next, sent, violation, crashed }
  }

  /** Hears nobody until it asks for pre-votes; if it is the only voter, it is a candidate then. */
  ask(state: NodeState): Outcome {
    return this.#remember(state, 'ask', () =>
      this.#run(state, { type: 'tick' }, TIMEOUT_MS / 3, state.disk, state.writes, [], MOST_TICKS)
    )
  }

  /** Loses the stream to its leader, and is asked for a pre-vote; undefined if it does not grant it at once. */
  grant(state: NodeState, from: number, request: Message): Outcome | undefined {
    let node = state
    if (node.leader !== undefined && node.role === 'follower') {
      node = this.step(node, `d${node.leader}`, { type: 'peer-down', peer: node.leader }).next
    }
    const outcome = this.receive(node, this.flying(from, node.slot, request))
    const granted = outcome.sent.some(({ message }) => message.type === 'pre-vote-response' && message.granted)
    return granted ? outcome : undefined
  }

  /** The configurations that a commit may rest on: the one in force, and the one in force at the commit index. */
  configsOf(state: NodeState): readonly ClusterConfig[] {
    const configs = state.log
      .filter(({ kind, index }) => kind === EntryKind.config && index <= state.commitIndex)
      .map((entry) => decodeConfig(payloadOf(entry)) as ClusterConfig)
    return [state.config, configs.at(-1) ?? this.#base.config]
  }

  #remember(state: NodeState, key: string, make: () => Outcome): Outcome {
    let outcome = state.outcomes.get(key)
    if (outcome === undefined) {
      outcome = make()
      state.outcomes.set(key, outcome)
    }
    return outcome
  }

  #core(state: NodeState): RaftCore {
    if (state.live !== undefined) {
      const core = state.live
      state.live = undefined
      return core
    }
    const core = this.#create(state.slot, state.boot)
    const inputs: Given[] = []
    for (let given = state.given; given !== undefined; given = given.before) inputs.push(given)
    for (let i = inputs.length - 1; i >= 0; i--) {
      const { input, atMs } = inputs[i] as Given
      core.step(input, atMs, [])
    }
    return core
  }

  #run(
    state: NodeState,
    input: Input,
    afterMs: number,
    disk: Stored,
    writesBefore: readonly PersistEffect[],
    released: readonly { readonly to: NodeId; readonly message: Message }[],
    times = 1
  ): Outcome {
    const core = this.#core(state)
    let clockMs = state.clockMs
    const writes = writesBefore.slice()
    const sends = released.slice()
    let given: Given | undefined = state.given
    let violation: Violation | undefined
    for (let time = 0; time < times && (time === 0 || !asks(core, sends)); time++) {
      clockMs += afterMs
      const inputs: Input[] = [input]
      for (let next = inputs.shift(); next !== undefined; next = inputs.shift()) {
        const out: Effect[] = []
        core.step(next, clockMs, out)
        given = { before: given, input: next, atMs: clockMs }
        for (const effect of out) {
          if (effect.type === 'send') sends.push(effect)
          else if (effect.type === 'persist') this.#write(writes, effect)
          else if (effect.type === 'halt') violation = new Violation('halt', `n${state.slot} halted: ${effect.reason}`)
          // Applying takes no time here: nothing that is judged depends on when it is done.
          else if (effect.type === 'apply') inputs.push({ type: 'applied', index: effect.entries.at(-1)!.index })
        }
      }
    }
    const next = this.#intern(state.slot, core, { disk, writes, clockMs, boot: state.boot, given })
    violation ??= checkStep(this.ids[state.slot] as NodeId, state, next, sends, this.#base)
    const sent = sends.map(({ to, message }) => this.flying(state.slot, this.slotOf(to), message))
    return this.#outcome(state, next, sent, violation, false)
  }

  #write(writes: PersistEffect[], write: PersistEffect): void {
    const last = writes.at(-1)
    const isEmpty = write.hardState === undefined && write.truncateFrom === undefined && write.entries.length === 0
    if (!this.#init.groupsWrites || !isEmpty || last === undefined) {
      writes.push(write)
      return
    }
    const same = ({ to, message }: Envelope): string => `${to} ${this.#describeMessage(message, (id) => id)}`
    const leaving = new Set(last.release.map(same))
    const release = [...last.release, ...write.release.filter((envelope) => !leaving.has(same(envelope)))]
    writes[writes.length - 1] = { ...last, seq: write.seq, release }
  }

  // ---- sameness

  #intern(
    slot: number,
    core: RaftCore,
    rest: Pick<NodeState, 'disk' | 'writes' | 'clockMs' | 'boot' | 'given'>
  ): NodeState {
    const s = stateOf(core)
    const log = s.log.range(1, s.log.lastIndex)
    for (const [i, entry] of log.entries()) {
      if (!this.#history.has(entry.chain))
        this.#history.set(entry.chain, { entry, chainBefore: log[i - 1]?.chain ?? 0 })
    }
    const same = this.#describe(slot, core, rest.disk, rest.writes, rest.clockMs, (id) => id)
    const known = this.#states.get(same)
    if (known !== undefined) return known
    const state: NodeState = {
      ...rest,
      id: this.#states.size,
      slot,
      role: s.role,
      term: s.term,
      leader: s.leader,
      commitIndex: s.log.commitIndex,
      log,
      logId: this.#numbers.of(`log ${log.at(-1)?.chain}`),
      config: s.log.config.config,
      peers: new Map([...(s.leading?.peers ?? [])].map(([id, { matchIndex }]) => [id, { matchIndex }])),
      live: core,
      bareId: this.#numbers.of(
        `bare ${slot} ${this.#describe(slot, core, rest.disk, rest.writes.map(withoutRelease), rest.clockMs, (id) => id)}`
      ),
      hashes: this.hashesOf(
        (name, of) => `${of(slot)}${this.#describe(slot, core, rest.disk, rest.writes, rest.clockMs, name)}`
      ),
      received: new Map(),
      outcomes: new Map()
    }
    this.#byId.push(state)
    this.#states.set(same, state)
    return state
  }

  #renamer(renaming: Renaming): (id: NodeId) => string {
    return (id) => `n${renaming[this.slotOf(id)]}`
  }

  /** Hashes of any text about nodes under each renaming. */
  hashesOf(describe: (name: (id: NodeId) => string, slot: (slot: number) => number) => string): Int32Array {
    const hashes = new Int32Array(2 * this.renamings.length)
    for (const [r, renaming] of this.renamings.entries()) {
      const text = describe(this.#renamer(renaming), (slot) => renaming[slot] as number)
      hashInto(hashes, 2 * r, this.#numbers.of(text))
    }
    return hashes
  }

  flying(from: number, to: number, message: Message): Flying {
    const text = (name: (id: NodeId) => string): string => this.#describeMessage(message, name)
    const same = `${from}>${to} ${text((id) => id)}`
    let flying = this.#flying.get(same)
    if (flying === undefined) {
      const hashes = this.hashesOf((name, slot) => `${slot(from)}>${slot(to)} ${text(name)}`)
      const at = this.#flying.size * hashes.length
      if (at === this.flyingHashes.length) {
        const more = new Int32Array(at * 2)
        more.set(this.flyingHashes)
        this.flyingHashes = more
      }
      this.flyingHashes.set(hashes, at)
      flying = { id: this.#flying.size, from, to, message }
      this.#flying.set(same, flying)
      this.#flyingById.push(flying)
    }
    return flying
  }

  #describeMessage(message: Message, name: (id: NodeId) => string): string {
    if (message.type !== 'append-entries-request') return JSON.stringify(message)
    const { term, prevIndex, prevChain, entries, commitIndex, readPosition } = message
    const commit = this.#init.plain ? commitIndex : Math.min(commitIndex, prevIndex + entries.length)
    return `append ${term} ${this.#before(prevChain, name)} [${this.#entries(entries, name)}] ${commit} ${readPosition}`
  }

  /** All entries up to the one with this chain. */
  #before(chain: number, name: (id: NodeId) => string): string {
    const labels: string[] = []
    for (let at = this.#history.get(chain); at !== undefined; at = this.#history.get(at.chainBefore)) {
      labels.push(this.label(at.entry, name))
    }
    return labels.reverse().join()
  }

  #entries(entries: readonly Entry[], name: (id: NodeId) => string): string {
    return entries.map((entry) => this.label(entry, name)).join()
  }

  /** An entry by what it is. Not by its chain, which a renaming would change. */
  label(entry: Entry, name: (id: NodeId) => string = (id) => id): string {
    let label = this.#labels.get(entry)
    if (label === undefined) {
      const head = `${entry.index}/${entry.term}`
      const payload = payloadOf(entry)
      if (entry.kind === EntryKind.config) {
        const config = decodeConfig(payload) as ClusterConfig
        label = (called) => `${head}${describeConfig(config, called)}`
      } else {
        // A command is the slot of the node that proposed it.
        label = entry.kind === EntryKind.noop ? () => head : (called) => `${head}=${called(this.ids[payload[0]!]!)}`
      }
      this.#labels.set(entry, label)
    }
    return label(name)
  }

  /** All that can make a difference to what the node does next. Randomness cannot: when an election comes is up to the search. */
  #describe(
    slot: number,
    core: RaftCore,
    disk: Stored,
    writes: readonly PersistEffect[],
    clockMs: number,
    name: (id: NodeId) => string
  ): string {
    const s = stateOf(core)
    const { log } = s
    const called = (id: NodeId | undefined): string => (id === undefined ? '-' : name(id))
    const age = (atMs: number): number => Math.min(clockMs - atMs, TIMEOUT_MS)
    const votes = [...s.votes].map(([id, granted]) => `${name(id)}${granted ? '+' : '-'}`).sort()
    const { plain, ticks, changes } = this.#init
    const drawn = plain ? `${s.electionDeadlineMs === undefined ? 'new' : ''} ${s.leasesOverInTerm}` : ''
    const parts = [
      name(this.ids[slot] as NodeId),
      `${s.halted ? 'halted' : s.role} ${s.term} ${called(s.votedFor)} ${called(s.leader)} ${votes.join('')}`,
      `${age(s.leaderContactMs)} ${drawn} ${s.health}`,
      `${s.transfer === undefined ? '-' : `${name(s.transfer.to)} ${s.transfer.sent} ${s.transfer.deadlineMs - clockMs}`}`,
      `${this.#entries(log.range(1, log.lastIndex), name)}`,
      `${log.durableIndex} ${log.stagedIndex} ${log.commitIndex} ${log.applyingIndex} ${log.appliedIndex} ${log.config.index}`,
      `${disk.hardState.term} ${called(disk.hardState.votedFor)} ${this.#entries(disk.entries, name)}`
    ]
    for (const { hardState, truncateFrom, entries, release } of writes) {
      const messages = release.map(({ to, message }) => `${name(to)}:${this.#describeMessage(message, name)}`).sort()
      parts.push(
        `w ${hardState?.term} ${called(hardState?.votedFor)} ${truncateFrom} ${this.#entries(entries, name)} ${messages.join()}`
      )
    }
    if (s.leading !== undefined) {
      const { noopIndex, quorumFloorMs, leaseGivenUp, outpaced } = s.leading
      const clock = plain || ticks
      const behind = outpaced === undefined ? '-' : `${outpaced.index} ${age(outpaced.sinceMs)}`
      const peers = [...s.leading.peers.values()].map(
        (p) =>
          `${name(p.id)} ${p.state} ${p.matchIndex} ${p.nextIndex} ${p.probeSent} ${p.inflight.count} ${p.sentCommitIndex} ${p.health} ${p.priority} ` +
          `${clock || changes ? `${age(p.contactAtMs)} ${(p.farewellUntilMs ?? 0) - clockMs}` : ''} ` +
          `${clock ? `${age(p.sentAtMs)} ${age(p.knownSinceMs)}` : ''}`
      )
      parts.push(`${noopIndex} ${leaseGivenUp} ${clock ? `${age(quorumFloorMs)} ${behind}` : ''}`, ...peers.sort())
    }
    return parts.join('|')
  }
}

/** Whether a node that hears nobody has come to the point where it asks for votes. */
function asks(core: RaftCore, sends: readonly { readonly message: Message }[]): boolean {
  return stateOf(core).role === 'candidate' || sends.some(({ message }) => message.type === 'pre-vote-request')
}

/** @returns the disk after a write is durable */
function written(disk: Stored, { hardState, truncateFrom, entries }: PersistEffect): Stored {
  const kept = truncateFrom === undefined ? disk.entries : disk.entries.slice(0, truncateFrom - 1)
  return { hardState: hardState ?? disk.hardState, entries: entries.length === 0 ? kept : [...kept, ...entries] }
}

function describeConfig({ voters, outgoing, learners }: ClusterConfig, name: (id: NodeId) => string): string {
  return [voters, outgoing, learners].map((list) => `{${list.map(name).sort().join()}}`).join('')
}

const withoutRelease = (write: PersistEffect): PersistEffect => ({ ...write, release: [] })
