/**
 * What has happened, as far as safety depends on it: who led in which term, who voted for whom, what was committed. It is part of a state of the
 * search, so that two ways to the same state of the nodes are one only if their histories are worth the same. Immutable: `after` answers the ghost
 * of the next state, or throws what is broken. Votes of terms that the voter's disk has left are forgotten, unless the search is a plain one (`votesAfter`).
 *
 * The simulator's judges of these rules keep one history that only grows; a search takes back its steps, so the rules are written once more.
 */

import type { Entry, Index, NodeId, Term } from '../../src/core/types.ts'
import { Violation } from '../../src/sim/judges/violation.ts'
import type { NodeState, Nodes, Outcome } from './nodes.ts'
import { firstDropped } from './step-rules.ts'

interface CommittedEntry {
  readonly entry: Entry
  /** The term of the node that was first to take it for committed. */
  readonly term: Term
}

interface Facts {
  readonly committed: readonly CommittedEntry[]
  /** term → slot */
  readonly leaders: ReadonlyMap<Term, number>
  /** `slot@term` → candidate */
  readonly votes: ReadonlyMap<string, NodeId>
}

export interface Ghost extends Facts {
  readonly id: number
  readonly hashes: Int32Array
  /** By the number of an outcome: what follows from it, as far as the other nodes have no part in it. */
  readonly after: Map<number, Ghost | Violation>
}

/** All ghosts, each once. */
export class Ghosts {
  readonly #nodes: Nodes
  readonly #plain: boolean
  readonly #byText = new Map<string, Ghost>()
  readonly #byId: Ghost[] = []
  /** Pairs of logs that match. */
  readonly #matching = new Set<number>()

  /** @param plain - keep votes of terms that are over */
  constructor(nodes: Nodes, plain: boolean) {
    this.#nodes = nodes
    this.#plain = plain
  }

  get empty(): Ghost {
    return this.#ghost({ committed: [], leaders: new Map(), votes: new Map() })
  }

  byId(id: number): Ghost {
    return this.#byId[id] as Ghost
  }

  /**
   * Judges the step of one node.
   *
   * @param group - all nodes after the step
   * @throws {Violation}
   */
  after(ghost: Ghost, outcome: Outcome, group: readonly NodeState[]): Ghost {
    const { before, next } = outcome
    let result = ghost.after.get(outcome.id)
    if (result === undefined) {
      result = this.#alone(ghost, outcome)
      ghost.after.set(outcome.id, result)
    }
    if (result instanceof Violation) throw result
    if (next.logId !== before.logId) this.#checkMatching(next, group)
    if (result.committed.length > ghost.committed.length) {
      checkQuorum(this.#nodes, next, group)
      for (const node of group) if (node.role === 'leader') checkComplete(result.committed, node)
    }
    return result
  }

  #alone(ghost: Ghost, { before, next, sent, crashed }: Outcome): Ghost | Violation {
    try {
      const votes = votesAfter(this.#nodes, ghost, before, next, sent, this.#plain)
      const leads = next.role === 'leader' && ghost.leaders.get(next.term) !== next.slot
      if (leads) checkLeader(ghost, next)
      if (!crashed) checkKept(ghost, before, next)
      const committed = committedAfter(ghost, next)
      if (votes === undefined && !leads && committed === undefined) return ghost
      return this.#ghost({
        committed: committed ?? ghost.committed,
        leaders: leads ? new Map([...ghost.leaders, [next.term, next.slot]]) : ghost.leaders,
        votes: votes ?? ghost.votes
      })
    } catch (error) {
      if (error instanceof Violation) return error
      throw error
    }
  }

  #ghost(facts: Facts): Ghost {
    const text = (name: (id: NodeId) => string, slot: (slot: number) => number): string => {
      const committed = facts.committed.map(({ entry, term }) => `${this.#nodes.label(entry, name)}c${term}`)
      const leaders = [...facts.leaders].map(([term, leader]) => `${term}:${slot(leader)}`).sort()
      const votes = [...facts.votes].map(([key, candidate]) => {
        const [voter, term] = key.split('@')
        return `${slot(Number(voter))}@${term}:${name(candidate)}`
      })
      return `ghost ${committed} ${leaders} ${votes.sort()}`
    }
    const same = text(
      (id) => id,
      (slot) => slot
    )
    let ghost = this.#byText.get(same)
    if (ghost === undefined) {
      ghost = { ...facts, id: this.#byId.length, hashes: this.#nodes.hashesOf(text), after: new Map() }
      this.#byText.set(same, ghost)
      this.#byId.push(ghost)
    }
    return ghost
  }

  /** Paper §5.3, Log Matching. An entry's chain covers all entries before it. */
  #checkMatching(after: NodeState, group: readonly NodeState[]): void {
    for (const other of group) {
      if (other.slot === after.slot) continue
      const pair = after.logId * 0x1_0000_0000 + other.logId
      if (this.#matching.has(pair)) continue
      checkMatching(after, other)
      this.#matching.add(pair)
    }
  }
}

/**
 * Paper §5.2: one vote a term, seen by what is said and by what is on disk. A vote of a term that the voter's disk has left stays what it was: who votes in
 * such a term is wrong whomever it votes for, so it need not be known for whom it did before.
 */
function votesAfter(
  nodes: Nodes,
  ghost: Ghost,
  before: NodeState,
  after: NodeState,
  sent: Outcome['sent'],
  plain: boolean
): ReadonlyMap<string, NodeId> | undefined {
  const cast: [Term, NodeId][] = []
  for (const { to, message } of sent) {
    if (message.type === 'vote-response' && message.granted) cast.push([message.term, nodes.ids[to] as NodeId])
    if (message.type === 'vote-request') cast.push([message.term, nodes.ids[after.slot] as NodeId])
  }
  const { term, votedFor } = after.disk.hardState
  if (votedFor !== undefined) cast.push([term, votedFor])
  let votes: Map<string, NodeId> | undefined
  for (const [inTerm, candidate] of cast) {
    const key = `${after.slot}@${inTerm}`
    const known = (votes ?? ghost.votes).get(key)
    if (known === candidate) continue
    if (known !== undefined) {
      throw new Violation('single-vote', `n${after.slot} votes for ${known} and for ${candidate} in term ${inTerm}`)
    }
    if (!plain && inTerm < before.disk.hardState.term) {
      throw new Violation('single-vote', `n${after.slot} votes for ${candidate} in term ${inTerm}, which it had left`)
    }
    votes ??= new Map(ghost.votes)
    votes.set(key, candidate)
  }
  if (plain || term === before.disk.hardState.term) return votes
  for (const key of (votes ?? ghost.votes).keys()) {
    const [voter, inTerm] = key.split('@')
    if (Number(voter) !== after.slot || Number(inTerm) >= term) continue
    votes ??= new Map(ghost.votes)
    votes.delete(key)
  }
  return votes
}

/** Paper §5.2, Election Safety, and §5.4, Leader Completeness. */
function checkLeader(ghost: Ghost, after: NodeState): void {
  const other = ghost.leaders.get(after.term)
  if (other !== undefined) {
    throw new Violation('election-safety', `n${other} and n${after.slot} both lead in term ${after.term}`)
  }
  checkComplete(ghost.committed, after)
}

function checkComplete(committed: readonly CommittedEntry[], leader: NodeState): void {
  for (const { entry, term } of committed) {
    if (term < leader.term && leader.log[entry.index - 1]?.chain !== entry.chain) {
      throw new Violation(
        'leader-completeness',
        `n${leader.slot} leads in term ${leader.term} without entry ${entry.index}, committed in term ${term}`
      )
    }
  }
}

/** Nobody of the term of a commit, or of a later one, drops what was committed. */
function checkKept(ghost: Ghost, before: NodeState, after: NodeState): void {
  const dropped = firstDropped(before.log, after.log)
  if (dropped === 0) return
  for (const { entry, term } of ghost.committed) {
    if (entry.index < dropped || after.term < term) continue
    if (before.log[entry.index - 1]?.chain !== entry.chain) continue
    throw new Violation(
      'committed',
      `n${after.slot}, in term ${after.term}, drops entry ${entry.index}, committed in term ${term}`
    )
  }
}

function checkMatching(after: NodeState, other: NodeState): void {
  const shared = Math.min(after.log.length, other.log.length)
  for (let i = 0; i < shared; i++) {
    const mine = after.log[i] as Entry
    const theirs = other.log[i] as Entry
    if (mine.term === theirs.term && mine.chain !== theirs.chain) {
      throw new Violation('log-matching', `n${after.slot} and n${other.slot} differ at ${i + 1} of term ${mine.term}`)
    }
  }
}

/** One history: what is committed here is what was, and perhaps more; undefined if it is not more. */
function committedAfter(
  ghost: Ghost,
  { slot, commitIndex, log, term }: NodeState
): readonly CommittedEntry[] | undefined {
  const shared = Math.min(commitIndex, ghost.committed.length)
  const last = ghost.committed[shared - 1]
  if (last !== undefined && log[shared - 1]?.chain !== last.entry.chain) {
    throw new Violation('committed', `n${slot} takes another entry ${shared} for committed than the group did`)
  }
  if (commitIndex <= ghost.committed.length) return undefined
  const added = log.slice(ghost.committed.length, commitIndex).map((entry) => ({ entry, term }))
  return [...ghost.committed, ...added]
}

/** Each entry is on the disks of a majority of every set of voters in force when it is first seen committed (T9). */
function checkQuorum(nodes: Nodes, after: NodeState, group: readonly NodeState[]): void {
  const { slot, commitIndex, log, term } = after
  const newest = log[commitIndex - 1] as Entry
  if (standsOnQuorum(nodes, after, newest, commitIndex, group)) return
  const holders = group.filter(({ disk }) => disk.entries[commitIndex - 1]?.chain === newest.chain)
  throw new Violation(
    'committed',
    `n${slot} takes entry ${commitIndex} for committed in term ${term}, durable only on [${holders.map((node) => `n${node.slot}`)}]`
  )
}

/** By the configuration in force, or, since a leader may have appended one in the same step, by that of the commit index. */
function standsOnQuorum(
  nodes: Nodes,
  after: NodeState,
  newest: Entry,
  commitIndex: Index,
  group: readonly NodeState[]
): boolean {
  const holds = (id: NodeId): boolean => group[nodes.slotOf(id)]?.disk.entries[commitIndex - 1]?.chain === newest.chain
  const majority = (voters: readonly NodeId[]): boolean =>
    voters.length === 0 || voters.filter(holds).length * 2 > voters.length
  return nodes
    .configsOf(after)
    .some(({ voters, outgoing }) => majority(voters) && majority(outgoing) && voters.length > 0)
}
