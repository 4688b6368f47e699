/**
 * Every interleaving of a small group of real cores: what the simulator samples, this exhausts, if the bounds are small enough to come to an end. Breadth first, so
 * that the first violation is a shortest one; states are told apart by hash (64 bits), up to the names of the nodes.
 *
 * What can happen: a node campaigns; a message arrives, in any order and any number of times; a write becomes durable; the leader takes a
 * proposal, a change of members or a heartbeat; a node crashes, losing what is not durable, and starts again. A message that never arrives is a
 * lost one, and a write that never ends a hung disk, so that neither needs an event. How often each may happen is bounded; bounds are part of a state.
 *
 * Two things are taken in one piece, since nothing depends on what comes in between: pre-votes are asked for and given at once, as they change
 * nothing on the voter, and what is committed is applied at once.
 *
 * Many states are not worth looking at, since others can do all that they can: what is left out, and why nothing is lost by it, is said in `network.ts` for messages,
 * in `nodes.ts` for nodes and in `ghost.ts` for votes. A plain search leaves nothing out; `reductions.sim.ts` holds the one against the other.
 */

import type { Mutation } from '../../src/core/mutations.ts'
import type { ClusterConfig, Term } from '../../src/core/types.ts'
import { describeMessage } from '../../src/sim/history.ts'
import { Violation } from '../../src/sim/judges/violation.ts'
import { type Ghost, Ghosts } from './ghost.ts'
import { Network } from './network.ts'
import { type Flying, type NodeState, Nodes, type Outcome, type Stored } from './nodes.ts'
import { HashSet, Queue, Ways } from './seen.ts'

/** How often each kind of event may happen on one way through the search. */
export interface Bounds {
  /** No campaign goes beyond this term. */
  readonly maxTerm: Term
  readonly campaigns: number
  readonly proposals: number
  readonly changes: number
  readonly crashes: number
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
  /**
   * For comparison: leave nothing out, with each message arriving once at most, or as often as one likes (then a write of nothing but
   * messages still ends with the one before it, since without end they would gather). @default neither
   */
  readonly plain?: 'once' | 'often'
  /** Called for each state that is found. */
  readonly onState?: (group: readonly NodeState[]) => void
  /** Called when all ways of up to so many events were taken. */
  readonly onLevel?: (level: Level) => void
}

export interface Level {
  readonly depth: number
  readonly states: number
  /** Found, and not looked at yet. */
  readonly waiting: number
  readonly transitions: number
  readonly nodeStates: number
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

const BUDGETS = ['campaigns', 'proposals', 'changes', 'crashes', 'heartbeats'] as const
type Budget = (typeof BUDGETS)[number]
type Left = Readonly<Record<Budget, number>>

interface State {
  /** In the order in which they were found, from 0 on. */
  readonly number: number
  readonly group: readonly NodeState[]
  /** Numbers of messages. */
  readonly flying: ArrayLike<number>
  readonly left: Left
  readonly ghost: Ghost
}

/** A step that is looked for again, to tell the way to a violation. */
interface Sought {
  readonly step: number
  found: { readonly state: State; readonly events: readonly string[] } | undefined
}

/** Runs to the depth, the number of states or the first violation. */
export function search(init: SearchInit): SearchResult {
  return new Search(init).run()
}

class Search {
  readonly #init: SearchInit
  readonly #nodes: Nodes
  readonly #ghosts: Ghosts
  readonly #network: Network
  readonly #seen = new HashSet()
  readonly #ways = new Ways()
  readonly #waiting = new Queue()
  readonly #lefts = new Map<number, Left>()
  #transitions = 0
  /** Steps taken from the state at hand. */
  #steps = 0
  #sought: Sought | undefined
  #found: { violation: Violation; state: number; event: string } | undefined
  #full = false

  constructor(init: SearchInit) {
    const { voters, mutations = new Set(), plain, bounds } = init
    this.#init = init
    this.#nodes = new Nodes({
      config: this.#config,
      renamings: permutations(voters),
      mutations,
      plain: plain !== undefined,
      groupsWrites: plain !== 'once',
      ticks: bounds.heartbeats > 0,
      changes: bounds.changes > 0
    })
    this.#ghosts = new Ghosts(this.#nodes, plain !== undefined)
    // An answer of an old term that is counted all the same is never spent.
    this.#network = new Network(
      this.#nodes,
      bounds.maxTerm,
      plain !== undefined || mutations.has('answers-of-old-terms-counted')
    )
  }

  get #config(): ClusterConfig {
    return { voters: Array.from({ length: this.#init.voters }, (_, slot) => `n${slot}`), outgoing: [], learners: [] }
  }

  run(): SearchResult {
    const { depth } = this.#init
    this.#visit(this.#first(), 0)
    let number = 0
    let level = 0
    while (level < depth && this.#waiting.length > 0 && this.#found === undefined && !this.#full) {
      for (let left = this.#waiting.length; left > 0 && this.#found === undefined && !this.#full; left--) {
        this.#expand(this.#unpack(number++))
      }
      if (this.#full || this.#found !== undefined) break
      level++
      const { size: states } = this.#seen
      const { count: nodeStates } = this.#nodes
      this.#init.onLevel?.({
        depth: level,
        states,
        waiting: this.#waiting.length,
        transitions: this.#transitions,
        nodeStates
      })
    }
    const found = this.#found
    return {
      states: this.#seen.size,
      transitions: this.#transitions,
      nodeStates: this.#nodes.count,
      depth: level,
      exhausted: this.#waiting.length === 0 && found === undefined && !this.#full,
      violation: found && {
        judge: found.violation.judge,
        message: found.violation.message,
        events: [...this.#story(found.state), found.event]
      }
    }
  }

  #first(): State {
    const { voters, disks, bounds } = this.#init
    const empty: Stored = { hardState: { term: 0, votedFor: undefined }, entries: [] }
    const stored = disks?.(this.#config) ?? Array.from({ length: voters }, () => empty)
    const group = stored.map((disk, slot) => this.#nodes.start(slot, disk))
    const { maxTerm: _, ...left } = bounds
    return { number: 0, group, flying: [], left, ghost: this.#ghosts.empty }
  }

  /** @param from - the number of the state before */
  #visit(state: State, from: number): void {
    if (this.#full || !this.#add(state)) return
    this.#ways.add(from, this.#steps)
    this.#init.onState?.(state.group)
    this.#waiting.push(this.#pack(state))
    if (this.#seen.size >= (this.#init.maxStates ?? Number.POSITIVE_INFINITY)) this.#full = true
  }

  /**
   * By the least of the hashes under all renamings: the same for all states that differ in names alone. A hash is the sum of the hashes of what a state
   * is made of, each of which looks like chance and says where it belongs.
   */
  #add({ group, flying, left, ghost }: State): boolean {
    const counts = codeOf(left) + 1
    const { flyingHashes, renamings } = this.#nodes
    const width = 2 * renamings.length
    let high = 0
    let low = 0
    for (let r = 0; r < renamings.length; r++) {
      const at = 2 * r
      let sumHigh = ghost.hashes[at]! + Math.imul(counts, 0x9e37_79b1)
      let sumLow = ghost.hashes[at + 1]! + Math.imul(counts, 0x85eb_ca6b)
      for (let n = 0; n < group.length; n++) {
        const { hashes } = group[n]!
        sumHigh = (sumHigh + hashes[at]!) | 0
        sumLow = (sumLow + hashes[at + 1]!) | 0
      }
      for (let i = 0; i < flying.length; i++) {
        const of = flying[i]! * width + at
        sumHigh = (sumHigh + flyingHashes[of]!) | 0
        sumLow = (sumLow + flyingHashes[of + 1]!) | 0
      }
      if (r === 0 || sumHigh < high || (sumHigh === high && sumLow < low)) {
        high = sumHigh
        low = sumLow
      }
    }
    return this.#seen.add(high, low)
  }

  #pack({ group, flying, left, ghost }: State): number[] {
    const code = codeOf(left)
    if (!this.#lefts.has(code)) this.#lefts.set(code, left)
    const list = [code, ghost.id]
    for (const { id } of group) list.push(id)
    for (let i = 0; i < flying.length; i++) list.push(flying[i]!)
    return list
  }

  #unpack(number: number): State {
    const list = this.#waiting.shift()
    const { voters } = this.#init
    const group: NodeState[] = []
    for (let n = 0; n < voters; n++) group.push(this.#nodes.byId(list[2 + n]!))
    const left = this.#lefts.get(list[0]!) as Left
    return { number, group, flying: list.subarray(2 + voters), left, ghost: this.#ghosts.byId(list[1]!) }
  }

  /** The events from the first state to this one: the same steps, taken once more. */
  #story(number: number): string[] {
    let state = this.#first()
    return this.#ways.to(number).flatMap((step) => {
      const sought: Sought = { step, found: undefined }
      this.#sought = sought
      this.#expand(state)
      this.#sought = undefined
      const { found } = sought as { found: NonNullable<Sought['found']> }
      state = found.state
      return found.events
    })
  }

  // ---- what can happen

  #expand(state: State): void {
    this.#steps = 0
    const { group, flying, left } = state
    for (const node of group) {
      if (node.writes.length > 0) this.#take(state, () => `n${node.slot} write durable`, this.#nodes.finishWrite(node))
      if (left.crashes > 0) this.#crash(state, node)
      if (node.role === 'leader') this.#lead(state, node)
      else if (left.campaigns > 0 && node.term < this.#init.bounds.maxTerm) this.#campaign(state, node)
    }
    for (let i = 0; i < flying.length; i++) this.#deliver(state, this.#nodes.flyingById(flying[i]!))
  }

  #deliver(state: State, flying: Flying): void {
    const node = state.group[flying.to] as NodeState
    this.#take(state, () => heard(flying), this.#nodes.receive(node, flying), undefined, flying.id)
  }

  #crash(state: State, node: NodeState): void {
    this.#take(state, () => `n${node.slot} crashes`, this.#nodes.crash(node, 0), 'crashes')
    if (node.writes.length === 0) return
    this.#take(
      state,
      () => `n${node.slot} crashes, its oldest write just durable`,
      this.#nodes.crash(node, 1),
      'crashes'
    )
  }

  #lead(state: State, node: NodeState): void {
    const { left } = state
    const name = `n${node.slot}`
    if (left.proposals > 0) {
      // Whoever proposes says who it is, so that what two leaders make of one index and term is not the same by chance.
      const outcome = this.#nodes.step(node, 'p', {
        type: 'propose',
        ticket: 1,
        payloads: [Uint8Array.of(node.slot)]
      })
      this.#take(state, () => `${name} proposes`, outcome, 'proposals')
    }
    if (left.heartbeats > 0) {
      const outcome = this.#nodes.step(node, 'h', { type: 'tick' }, 75)
      this.#take(state, () => `${name} heartbeats`, outcome, 'heartbeats')
    }
    if (left.changes === 0) return
    for (const gone of node.config.voters) {
      if (node.config.voters.length === 1) continue
      const change = { voters: node.config.voters.filter((id) => id !== gone), learners: [] }
      const outcome = this.#nodes.step(node, `-${gone}`, { type: 'change-members', ticket: 1, change })
      this.#take(state, () => `${name} removes ${gone}`, outcome, 'changes')
    }
  }

  /** The node was silent for long, and one other (or nobody, if it is the only voter) grants it a pre-vote. */
  #campaign(state: State, node: NodeState): void {
    const asking = this.#nodes.ask(node)
    if (asking.next.role === 'candidate') {
      this.#take(state, () => `n${node.slot} campaigns`, asking, 'campaigns')
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
      const event = (): string => `n${node.slot} campaigns, with a pre-vote of n${to}`
      this.#take(state, event, campaigning, 'campaigns', undefined, answering.next)
    }
  }

  // ---- what it leads to

  /**
   * @param spend - what there is one less of afterwards
   * @param landed - the message that arrived
   * @param helper - who gave its pre-vote, after it did
   */
  #take(
    state: State,
    event: () => string,
    outcome: Outcome,
    spend?: Budget,
    landed?: number,
    helper?: NodeState
  ): void {
    const { plain } = this.#init
    const { next, sent, before } = outcome
    // What changes nothing and costs nothing leads back to where it began: what it sends is on its way already.
    const isIdle = next === before && spend === undefined && state.group[next.slot] === next
    if (isIdle && plain === undefined && outcome.violation === undefined) return
    this.#transitions++
    const step = ++this.#steps
    const sought = this.#sought
    if (sought !== undefined && sought.step !== step) return
    const group = state.group.slice()
    if (helper !== undefined) group[helper.slot] = helper
    group[next.slot] = next
    const left = spend === undefined ? state.left : { ...state.left, [spend]: state.left[spend] - 1 }
    try {
      this.#judge(outcome)
      let ghost = this.#ghosts.after(state.ghost, outcome, group)
      const before = plain === 'once' ? Array.from(state.flying).filter((id) => id !== landed) : state.flying
      const told: string[] = []
      const changed = spend === 'crashes' ? -1 : (1 << next.slot) | (helper === undefined ? 0 : 1 << helper.slot)
      const flying = this.#network.after(before, sent, changed, group, left.crashes, (message, answer, isNew) => {
        this.#judge(answer)
        ghost = this.#ghosts.after(ghost, answer, group)
        if (sought !== undefined && isNew) told.push(heard(message))
      })
      const after = { number: 0, group, flying, left, ghost }
      if (sought === undefined) this.#visit(after, state.number)
      else sought.found = { state: { ...after, flying: flying.slice() }, events: [event(), ...told] }
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      this.#found ??= { violation: error, state: state.number, event: event() }
    }
  }

  /** @throws {Violation} if the step breaks a rule that concerns one node alone */
  #judge({ violation }: Outcome): void {
    if (violation !== undefined && !(this.#init.consequencesOnly && violation.judge !== 'halt')) throw violation
  }
}

const heard = ({ from, to, message }: Flying): string => `n${to} hears n${from}: ${describeMessage(message)}`

/** What is left of each budget as one number. */
function codeOf(left: Left): number {
  let code = 0
  for (const budget of BUDGETS) code = code * 16 + left[budget]
  return code
}

/** All ways to rename `count` nodes, the one that changes nothing first. */
export function permutations(count: number): number[][] {
  if (count === 0) return [[]]
  return permutations(count - 1).flatMap((rest) =>
    Array.from({ length: count }, (_, at) => [
      ...rest.slice(0, count - 1 - at),
      count - 1,
      ...rest.slice(count - 1 - at)
    ])
  )
}
