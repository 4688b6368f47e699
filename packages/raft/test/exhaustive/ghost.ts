/**
 * What has happened, as far as safety depends on it: who led in which term, who voted for whom, what was committed. It is part of a state of the
 * search, so that two ways to the same state of the nodes are one only if their histories are worth the same. Immutable: `after` answers the ghost
 * of the next state, or throws what is broken.
 *
 * The simulator's judges of these rules keep one history that only grows; a search takes back its steps, so the rules are written once more.
 */

import type { Entry, Index, NodeId, Term } from '../../src/core/types.ts'
import { Violation } from '../../src/sim/judges/violation.ts'
import type { Flying, NodeState, Nodes } from './nodes.ts'
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
  readonly shapes: number[]
}

export function emptyGhost(nodes: Nodes): Ghost {
  return shaped(nodes, { committed: [], leaders: new Map(), votes: new Map() })
}

function shaped(nodes: Nodes, facts: Facts): Ghost {
  const shapes = nodes.shapesOf((name, slot) => {
    const committed = facts.committed.map(({ entry, term }) => `${nodes.label(entry, name)}c${term}`)
    const leaders = [...facts.leaders].map(([term, leader]) => `${term}:${slot(leader)}`).sort()
    const votes = [...facts.votes].map(([key, candidate]) => {
      const [voter, term] = key.split('@')
      return `${slot(Number(voter))}@${term}:${name(candidate)}`
    })
    return `ghost ${committed} ${leaders} ${votes.sort()}`
  })
  return { ...facts, shapes }
}

/**
 * Judges the step of one node.
 *
 * @param group - all nodes after the step
 * @param crashed - the step was a crash, in which what was not durable is lost by right
 * @throws {Violation}
 */
export function ghostAfter(
  nodes: Nodes,
  ghost: Ghost,
  before: NodeState,
  after: NodeState,
  group: readonly NodeState[],
  sent: readonly Flying[],
  crashed: boolean
): Ghost {
  const votes = newVotes(nodes, ghost, after, sent)
  const leads = after.role === 'leader' && ghost.leaders.get(after.term) !== after.slot
  if (leads) checkLeader(ghost, after)
  if (!crashed) checkKept(ghost, before, after)
  checkMatching(after, group)
  const committed = newlyCommitted(nodes, ghost, after, group)
  if (votes === undefined && !leads && committed === undefined) return ghost
  const next: Facts = {
    committed: committed ?? ghost.committed,
    leaders: leads ? new Map([...ghost.leaders, [after.term, after.slot]]) : ghost.leaders,
    votes: votes ?? ghost.votes
  }
  if (committed !== undefined) {
    for (const node of group) if (node.role === 'leader') checkComplete(next.committed, node)
  }
  return shaped(nodes, next)
}

/** Paper §5.2: one vote a term, seen by what is said and by what is on disk. */
function newVotes(
  nodes: Nodes,
  ghost: Ghost,
  after: NodeState,
  sent: readonly Flying[]
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
    votes ??= new Map(ghost.votes)
    votes.set(key, candidate)
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

/** Paper §5.3, Log Matching. An entry's chain covers all entries before it. */
function checkMatching(after: NodeState, group: readonly NodeState[]): void {
  for (const other of group) {
    if (other.slot === after.slot) continue
    const shared = Math.min(after.log.length, other.log.length)
    for (let i = 0; i < shared; i++) {
      const mine = after.log[i] as Entry
      const theirs = other.log[i] as Entry
      if (mine.term === theirs.term && mine.chain !== theirs.chain) {
        throw new Violation('log-matching', `n${after.slot} and n${other.slot} differ at ${i + 1} of term ${mine.term}`)
      }
    }
  }
}

/** One history, and each entry of it on the disks of a majority of every set of voters in force when it is first seen committed (T9). */
function newlyCommitted(
  nodes: Nodes,
  ghost: Ghost,
  after: NodeState,
  group: readonly NodeState[]
): readonly CommittedEntry[] | undefined {
  const { commitIndex, log, term } = after
  const shared = Math.min(commitIndex, ghost.committed.length)
  const last = ghost.committed[shared - 1]
  if (last !== undefined && log[shared - 1]?.chain !== last.entry.chain) {
    throw new Violation('committed', `n${after.slot} takes another entry ${shared} for committed than the group did`)
  }
  if (commitIndex <= ghost.committed.length) return undefined
  const newest = log[commitIndex - 1] as Entry
  if (!standsOnQuorum(nodes, after, newest, commitIndex, group)) {
    const holders = group.filter(({ disk }) => disk.entries[commitIndex - 1]?.chain === newest.chain)
    throw new Violation(
      'committed',
      `n${after.slot} takes entry ${commitIndex} for committed in term ${term}, durable only on [${holders.map(({ slot }) => `n${slot}`)}]`
    )
  }
  const added = log.slice(ghost.committed.length, commitIndex).map((entry) => ({ entry, term }))
  return [...ghost.committed, ...added]
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
