/**
 * Every interleaving of a small group of real cores, up to a number of events: what the simulator samples, this exhausts. Breadth first, so
 * that the first violation is a shortest one; states are told apart by hash (53 bits), up to the names of the nodes.
 *
 * What can happen: a node campaigns; a message arrives, in any order, now and then twice; a write becomes durable; the leader takes a
 * proposal, a change of members or a heartbeat; a node crashes, losing what is not durable, and starts again. A message that never arrives is a
 * lost one, and a write that never ends a hung disk, so that neither needs an event. How often each may happen is bounded; bounds are part of a state.
 *
 * Two things are taken in one piece, since nothing depends on what comes in between: pre-votes are asked for and given at once, as they change
 * nothing on the voter, and what is committed is applied at once.
 */

import type { Mutation } from '../../src/core/mutations.ts'
import type { ClusterConfig, Term } from '../../src/core/types.ts'
import { describeMessage } from '../../src/sim/history.ts'
import { Violation } from '../../src/sim/judges/violation.ts'
import { emptyGhost, type Ghost, ghostAfter } from './ghost.ts'
import { type Flying, type NodeState, Nodes, type Outcome, type Stored } from './nodes.ts'

/** How often each kind of event may happen on one way through the search. */
export interface Bounds {
  /** No campaign goes beyond this term. */
  readonly maxTerm: Term
  readonly campaigns: number
  readonly proposals: number
  readonly changes: number
  readonly crashes: number
  readonly duplicates: number
  readonly heartbeats: number
}

export interface SearchInit {
  readonly voters: number
  /** What the disks hold at first. @default nothing */
  readonly disks?: (config: ClusterConfig) => readonly Stored[]
  readonly bounds: Bounds
  /** Most events on one way. */
  readonly depth: number
  /** Ends the search after so many states, so that it ends. @default none */
  readonly maxStates?: number
  readonly mutations?: ReadonlySet<Mutation>
  /** Leave out the rules that one step keeps by itself, so that only harm is found. @default false */
  readonly consequencesOnly?: boolean
}

export interface SearchResult {
  /** Distinct states of the group, up to the names of the nodes. */
  readonly states: number
  /** Steps from one state to another. */
  readonly transitions: number
  /** Distinct states of a single node, with its disk. */
  readonly nodeStates: number
  /** All ways of up to so many events were taken. */
  readonly depth: number
  /** Whether there was nothing left to do within the bounds at that depth. */
  readonly exhausted: boolean
  readonly violation:
    | { readonly judge: string; readonly message: string; readonly events: readonly string[] }
    | undefined
}

const BUDGETS = ['campaigns', 'proposals', 'changes', 'crashes', 'duplicates', 'heartbeats'] as const
type Budget = (typeof BUDGETS)[number]

interface State {
  readonly group: readonly NodeState[]
  /** In order of their numbers. */
  readonly flying: readonly Flying[]
  readonly left: Readonly<Record<Budget, number>>
  readonly ghost: Ghost
  readonly before: State | undefined
  readonly event: string
}

/** Runs to the depth, the number of states or the first violation. */
export function search(init: SearchInit): SearchResult {
  return new Search(init).run()
}

class Search {
  readonly #init: SearchInit
  readonly #nodes: Nodes
  readonly #seen = new Set<number>()
  #transitions = 0
  #next: State[] = []
  #found: { violation: Violation; state: State; event: string } | undefined
  #full = false

  constructor(init: SearchInit) {
    this.#init = init
    this.#nodes = new Nodes(this.#config, permutations(init.voters), init.mutations ?? new Set())
  }

  get #config(): ClusterConfig {
    return { voters: Array.from({ length: this.#init.voters }, (_, slot) => `n${slot}`), outgoing: [], learners: [] }
  }

  run(): SearchResult {
    const { voters, disks, bounds, depth } = this.#init
    const empty: Stored = { hardState: { term: 0, votedFor: undefined }, entries: [] }
    const stored = disks?.(this.#config) ?? Array.from({ length: voters }, () => empty)
    const group = stored.map((disk, slot) => this.#nodes.start(slot, disk))
    const { maxTerm: _, ...left } = bounds
    this.#visit({ group, flying: [], left, ghost: emptyGhost(this.#nodes), before: undefined, event: '' })
    let level = 0
    while (level < depth && this.#next.length > 0 && this.#found === undefined && !this.#full) {
      const states = this.#next
      this.#next = []
      for (const state of states) {
        this.#expand(state)
        if (this.#found !== undefined || this.#full) break
      }
      if (!this.#full) level++
    }
    return {
      states: this.#seen.size,
      transitions: this.#transitions,
      nodeStates: this.#nodes.count,
      depth: level,
      exhausted: this.#next.length === 0 && this.#found === undefined && !this.#full,
      violation: this.#found && {
        judge: this.#found.violation.judge,
        message: this.#found.violation.message,
        events: [...story(this.#found.state), this.#found.event]
      }
    }
  }

  #visit(state: State): void {
    const hash = this.#hash(state)
    if (this.#seen.has(hash)) return
    this.#seen.add(hash)
    this.#next.push(state)
    if (this.#seen.size >= (this.#init.maxStates ?? Number.POSITIVE_INFINITY)) this.#full = true
  }

  /** The least of the hashes under all renamings: the same for all states that differ in names alone. */
  #hash({ group, flying, left, ghost }: State): number {
    const counts = BUDGETS.reduce((sum, budget) => sum * 16 + left[budget], 0)
    let least = Number.POSITIVE_INFINITY
    this.#nodes.renamings.forEach((renaming, r) => {
      const parts: number[] = []
      for (const node of group) parts[renaming[node.slot] as number] = node.shapes[r] as number
      parts.push(ghost.shapes[r] as number, counts)
      const messages = flying.map(({ shapes }) => shapes[r] as number).sort((a, b) => a - b)
      least = Math.min(least, hash53(parts, messages))
    })
    return least
  }

  // ---- what can happen

  #expand(state: State): void {
    const { group, flying, left } = state
    for (const node of group) {
      if (node.writes.length > 0) this.#take(state, `n${node.slot} write durable`, node, this.#nodes.finishWrite(node))
      if (left.crashes > 0) this.#crash(state, node)
      if (node.role === 'leader') this.#lead(state, node)
      else if (left.campaigns > 0 && node.term < this.#init.bounds.maxTerm) this.#campaign(state, node)
    }
    for (const message of flying) this.#deliver(state, message)
  }

  #deliver(state: State, { id, from, to, message }: Flying): void {
    const node = state.group[to] as NodeState
    const input = { type: 'receive', from: this.#nodes.ids[from] as string, message } as const
    const outcome = this.#nodes.step(node, `m${id}`, input)
    const event = `n${to} hears n${from}: ${describeMessage(message)}`
    this.#take(state, event, node, outcome, { landed: id })
    if (state.left.duplicates > 0)
      this.#take(state, `${event}, and a copy stays`, node, outcome, { spend: 'duplicates' })
  }

  #crash(state: State, node: NodeState): void {
    this.#take(state, `n${node.slot} crashes`, node, this.#nodes.crash(node, 0), { spend: 'crashes', crashed: true })
    if (node.writes.length === 0) return
    const event = `n${node.slot} crashes, its oldest write just durable`
    this.#take(state, event, node, this.#nodes.crash(node, 1), { spend: 'crashes', crashed: true })
  }

  #lead(state: State, node: NodeState): void {
    const { left } = state
    const name = `n${node.slot}`
    if (left.proposals > 0) {
      const outcome = this.#nodes.step(node, `p${left.proposals}`, {
        type: 'propose',
        ticket: 1,
        payloads: [Uint8Array.of(left.proposals)]
      })
      this.#take(state, `${name} proposes`, node, outcome, { spend: 'proposals' })
    }
    if (left.heartbeats > 0) {
      const outcome = this.#nodes.step(node, 'h', { type: 'tick' }, 75)
      this.#take(state, `${name} heartbeats`, node, outcome, { spend: 'heartbeats' })
    }
    if (left.changes === 0) return
    for (const gone of node.config.voters) {
      if (node.config.voters.length === 1) continue
      const change = { voters: node.config.voters.filter((id) => id !== gone), learners: [] }
      const outcome = this.#nodes.step(node, `-${gone}`, { type: 'change-members', ticket: 1, change })
      this.#take(state, `${name} removes ${gone}`, node, outcome, { spend: 'changes' })
    }
  }

  /** The node was silent for long, and one other (or nobody, if it is the only voter) grants it a pre-vote. */
  #campaign(state: State, node: NodeState): void {
    const asking = this.#nodes.ask(node)
    if (asking.next.role === 'candidate') {
      this.#take(state, `n${node.slot} campaigns`, node, asking, { spend: 'campaigns' })
      return
    }
    for (const { to, message } of asking.sent) {
      if (message.type !== 'pre-vote-request') continue
      const helper = state.group[to] as NodeState
      const answering = this.#nodes.grant(helper, node.slot, message)
      if (answering === undefined) continue
      const campaigning = this.#nodes.step(asking.next, `g${to}`, {
        type: 'receive',
        from: this.#nodes.ids[to] as string,
        message: { type: 'pre-vote-response', term: message.term, granted: true }
      })
      if (campaigning.next.role !== 'candidate') continue
      const group = state.group.slice()
      group[to] = answering.next
      const event = `n${node.slot} campaigns, with a pre-vote of n${to}`
      this.#take({ ...state, group }, event, node, campaigning, { spend: 'campaigns', from: state })
    }
  }

  // ---- what it leads to

  #take(
    state: State,
    event: string,
    node: NodeState,
    { next, sent, violation }: Outcome,
    how: { spend?: Budget; landed?: number; crashed?: boolean; from?: State } = {}
  ): void {
    this.#transitions++
    const before = how.from ?? state
    if (violation !== undefined && !(this.#init.consequencesOnly && violation.judge !== 'halt')) {
      this.#found ??= { violation, state: before, event }
      return
    }
    const group = state.group.slice()
    group[node.slot] = next
    let ghost: Ghost
    try {
      ghost = ghostAfter(this.#nodes, state.ghost, node, next, group, sent, how.crashed === true)
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      this.#found ??= { violation: error, state: before, event }
      return
    }
    const left = how.spend === undefined ? state.left : { ...state.left, [how.spend]: state.left[how.spend] - 1 }
    const flying = this.#flyingAfter(state.flying, sent, how.landed, group)
    this.#visit({ group, flying, left, ghost, before, event })
  }

  /** Answers of a term that the receiver has left for good can do nothing more, and are forgotten. */
  #flyingAfter(
    flying: readonly Flying[],
    sent: readonly Flying[],
    landed: number | undefined,
    group: readonly NodeState[]
  ): readonly Flying[] {
    const result = landed === undefined ? flying.slice() : flying.filter(({ id }) => id !== landed)
    for (const message of sent) {
      if (!message.message.type.startsWith('pre-vote') && !result.includes(message)) result.push(message)
    }
    const matters = ({ to, message }: Flying): boolean =>
      !message.type.endsWith('-response') ||
      message.term >= (group[to] as NodeState).disk.hardState.term ||
      this.#init.mutations?.has('answers-of-old-terms-counted') === true
    return result.filter(matters).sort((a, b) => a.id - b.id)
  }
}

function story(state: State): string[] {
  const events: string[] = []
  for (let at: State | undefined = state; at?.before !== undefined; at = at.before) events.push(at.event)
  return events.reverse()
}

/** All ways to rename `count` nodes, the one that changes nothing first. */
function permutations(count: number): number[][] {
  if (count === 0) return [[]]
  return permutations(count - 1).flatMap((rest) =>
    Array.from({ length: count }, (_, at) => [
      ...rest.slice(0, count - 1 - at),
      count - 1,
      ...rest.slice(count - 1 - at)
    ])
  )
}

/** Two multiplicative hashes of 32 bits, 53 of their bits as one number. */
function hash53(first: readonly number[], second: readonly number[]): number {
  let low = 0x9e37_79b9
  let high = 0x85eb_ca6b
  for (const list of [first, second]) {
    for (const value of list) {
      low = Math.imul(low ^ value, 0x0100_0193)
      low ^= low >>> 15
      high = Math.imul(high ^ value, 0xc2b2_ae35)
      high ^= high >>> 13
    }
    low = Math.imul(low ^ 0x7f4a_7c15, 0x0100_0193)
    high = Math.imul(high ^ 0x1656_67b1, 0xc2b2_ae35)
  }
  return (high >>> 0) * 0x20_0000 + ((low >>> 0) % 0x20_0000)
}
