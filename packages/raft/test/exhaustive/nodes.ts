/**
 * Every state that a node can be in, each once. A node state is the real core together with its disk; two are the same if nothing that the core
 * holds, and nothing that is on disk or on its way there, tells them apart. The core runs once for each pair of a node state and an input: the result
 * is remembered, so that the search over all interleavings (`search.ts`) is made of look-ups.
 *
 * A core cannot be copied. It is made anew from the disk of its last start and given the inputs that it had since, which are few. Its state
 * after a step is read by `stateOf`. Times are kept as ages, and an age beyond the election timeout is as good as any other.
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
  /** Per renaming of the nodes: a number for what it then is. */
  readonly shapes: number[]
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
  readonly config: ClusterConfig
  readonly disk: Stored
  /** Asked for and not durable yet, in order. */
  readonly writes: readonly PersistEffect[]
  readonly clockMs: number
  /** The disk that this life began with, and all that came in since. */
  readonly boot: Stored
  readonly given: Given | undefined
  /** The core in just this state, until a step takes it further. */
  live: RaftCore | undefined
  readonly shapes: number[]
  readonly outcomes: Map<string, Outcome>
}

/** What a step of a node led to. */
export interface Outcome {
  readonly next: NodeState
  readonly sent: readonly Flying[]
  /** A rule that concerns this node alone is broken. */
  readonly violation: Violation | undefined
}

const OPTIONS: CoreOptions = { ...defaultCoreOptions, maxAppendBytes: 1 }
const TIMEOUT_MS = OPTIONS.electionTimeoutMs

/** Ticks a third of an election timeout apart, after which a node has asked for votes; closer than what it takes for a stall. */
const MOST_TICKS = 8

/** A numbering of names that come up. */
class Names {
  readonly #ids = new Map<string, number>()

  idOf(name: string): number {
    let id = this.#ids.get(name)
    if (id === undefined) {
      id = this.#ids.size
      this.#ids.set(name, id)
    }
    return id
  }
}

/** How nodes are called under a renaming: `renaming[slot]` is the new slot. */
export type Renaming = readonly number[]

export class Nodes {
  readonly ids: readonly NodeId[]
  readonly renamings: readonly Renaming[]
  /** Steps that a core was made to take, repetitions included. */
  coreSteps = 0
  readonly #base: LogBase
  readonly #mutations: ReadonlySet<Mutation>
  readonly #states = new Map<string, NodeState>()
  readonly #flying = new Map<string, Flying>()
  readonly #shapes = new Names()
  readonly #labels = new WeakMap<Entry, (name: (id: NodeId) => string) => string>()

  constructor(config: ClusterConfig, renamings: readonly Renaming[], mutations: ReadonlySet<Mutation>) {
    this.ids = (renamings[0] as Renaming).map((slot) => `n${slot}`)
    this.renamings = renamings
    this.#base = { index: 0, term: 0, chain: 0, config }
    this.#mutations = mutations
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
    return createRaftCore(init, this.#mutations)
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
        return { next: this.start(state.slot, disk), sent: [], violation: undefined }
      } catch (error) {
        // What is on disk does not make a log: the node cannot start.
        return { next: state, sent: [], violation: new Violation('disk', `n${state.slot}: ${String(error)}`) }
      }
    })
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
    const key = `a${this.flying(from, node.slot, request).id}`
    const outcome = this.step(node, key, { type: 'receive', from: this.ids[from] as NodeId, message: request })
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
      this.coreSteps++
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
        this.coreSteps++
        given = { before: given, input: next, atMs: clockMs }
        for (const effect of out) {
          if (effect.type === 'send') sends.push(effect)
          else if (effect.type === 'persist') writes.push(effect)
          else if (effect.type === 'halt') violation = new Violation('halt', `n${state.slot} halted: ${effect.reason}`)
          // Applying takes no time here: nothing that is judged depends on when it is done.
          else if (effect.type === 'apply') inputs.push({ type: 'applied', index: effect.entries.at(-1)!.index })
        }
      }
    }
    const next = this.#intern(state.slot, core, { disk, writes, clockMs, boot: state.boot, given })
    violation ??= checkStep(this.ids[state.slot] as NodeId, state, next, sends, this.#base)
    const sent = sends.map(({ to, message }) => this.flying(state.slot, this.slotOf(to), message))
    return { next, sent, violation }
  }

  // ---- sameness

  #intern(
    slot: number,
    core: RaftCore,
    rest: Pick<NodeState, 'disk' | 'writes' | 'clockMs' | 'boot' | 'given'>
  ): NodeState {
    const same = this.#describe(slot, core, rest.disk, rest.writes, rest.clockMs, (id) => id)
    const known = this.#states.get(same)
    if (known !== undefined) return known
    const s = stateOf(core)
    const state: NodeState = {
      ...rest,
      id: this.#states.size,
      slot,
      role: s.role,
      term: s.term,
      leader: s.leader,
      commitIndex: s.log.commitIndex,
      log: s.log.range(1, s.log.lastIndex),
      config: s.log.config.config,
      live: core,
      shapes: this.renamings.map((renaming) => {
        const name = this.#renamer(renaming)
        return this.#shapes.idOf(
          `${renaming[slot]}${this.#describe(slot, core, rest.disk, rest.writes, rest.clockMs, name)}`
        )
      }),
      outcomes: new Map()
    }
    this.#states.set(same, state)
    return state
  }

  #renamer(renaming: Renaming): (id: NodeId) => string {
    return (id) => `n${renaming[this.slotOf(id)]}`
  }

  /** A number for any text about nodes under each renaming; the same number for the same text. */
  shapesOf(describe: (name: (id: NodeId) => string, slot: (slot: number) => number) => string): number[] {
    return this.renamings.map((renaming) =>
      this.#shapes.idOf(describe(this.#renamer(renaming), (slot) => renaming[slot] as number))
    )
  }

  flying(from: number, to: number, message: Message): Flying {
    const text = (name: (id: NodeId) => string): string => this.#describeMessage(message, name)
    const same = `${from}>${to} ${text((id) => id)}`
    let flying = this.#flying.get(same)
    if (flying === undefined) {
      const shapes = this.shapesOf((name, slot) => `${slot(from)}>${slot(to)} ${text(name)}`)
      flying = { id: this.#flying.size, from, to, message, shapes }
      this.#flying.set(same, flying)
    }
    return flying
  }

  #describeMessage(message: Message, name: (id: NodeId) => string): string {
    if (message.type !== 'append-entries-request') return JSON.stringify(message)
    const { term, prevIndex, prevTerm, prevChain, entries, commitIndex, readPosition } = message
    // The chain stands for all that came before. (A change of members makes it differ between renamings, which only costs states.)
    return `append ${term} ${prevIndex}/${prevTerm} ${prevChain} [${this.#entries(entries, name)}] ${commitIndex} ${readPosition}`
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
        const text = entry.kind === EntryKind.noop ? head : `${head}=${payload.join('.')}`
        label = () => text
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
    const parts = [
      name(this.ids[slot] as NodeId),
      `${s.halted ? 'halted' : s.role} ${s.term} ${called(s.votedFor)} ${called(s.leader)} ${votes.join('')}`,
      `${age(s.leaderContactMs)} ${s.electionDeadlineMs === undefined ? 'new' : ''} ${s.leasesOverInTerm} ${s.health}`,
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
      const behind = outpaced === undefined ? '-' : `${outpaced.index} ${age(outpaced.sinceMs)}`
      const peers = [...s.leading.peers.values()].map(
        (p) =>
          `${name(p.id)} ${p.state} ${p.matchIndex} ${p.nextIndex} ${p.probeSent} ${p.inflight.count} ${p.sentCommitIndex} ${age(p.sentAtMs)} ` +
          `${age(p.contactAtMs)} ${age(p.knownSinceMs)} ${(p.farewellUntilMs ?? 0) - clockMs} ${p.health} ${p.priority} ${p.brokenPromises}`
      )
      parts.push(`${noopIndex} ${age(quorumFloorMs)} ${leaseGivenUp} ${behind}`, ...peers.sort())
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
