/**
 * Comparing the states (T43, T45): each node knows, at certain indexes, a number that stands for all that was ever applied to its
 * state, and followers tell the leader theirs. Equal logs and a deterministic state machine make equal numbers; a difference means that some
 * state was changed by anything else: a command that was applied twice, or differently, or memory or disk that broke.
 *
 * If voters that make a quorum, and two members at least, hold one number at an index, whoever holds another there is wrong, and is told; a state that is wrong
 * is not to be served, kept or spread, so that node ends (`state-diverged`), whichever role it has. Without such a quorum nobody is known to be
 * right: all who differ raise the alarm, and go on.
 *
 * What is remembered is bounded: the last few of the own numbers, and fewer of each member's. Reports may come before or after the
 * leader's own number, may be lost, and are repeated. `raft.ts` calls this; the application's part is `StateMachine.digest`.
 */

import { invariant } from './invariants.ts'
import { membersOf } from './members.ts'
import type { DigestReport, DigestVerdict } from './messages.ts'
import { quorumReached } from './quorum.ts'
import type { CoreState } from './state.ts'
import type { Index, NodeId, Term } from './types.ts'

/** Own numbers that are remembered. */
const OWN_MARKS = 16
/** Numbers of each other member that a leader remembers. */
const PEER_MARKS = 4
/** The last number is reported anew after so many election timeouts, since it may have been lost. */
const REPEAT_TIMEOUTS = 20

/** What stands for the state at an index. */
export interface DigestMark {
  readonly index: Index
  readonly digest: number
}

/** Plain data, part of the state of a node. */
export interface Digests {
  /** Of this node, ascending. */
  own: DigestMark[]
  /** As a leader in `term`: of the other members. */
  reported: Map<NodeId, DigestMark[]>
  term: Term
  /** As a leader in `term`: whom the alarm was raised for already. */
  named: NodeId[]
  /** The alarm was raised up to here for numbers that differ without it being known which is right. */
  disputedIndex: Index
  /** As a follower: whom the last own number was told, and when. Milliseconds. */
  toldTo: NodeId | undefined
  toldAtMs: number
}

export function noDigests(): Digests {
  return { own: [], reported: new Map(), term: 0, named: [], disputedIndex: 0, toldTo: undefined, toldAtMs: 0 }
}

/** The state stands at `index`, and `digest` stands for it. */
export function onOwnDigest(s: CoreState, index: Index, digest: number): void {
  const { digests } = s
  digests.own.push({ index, digest })
  if (digests.own.length > OWN_MARKS) digests.own.shift()
  if (s.leading === undefined) report(s)
  else judge(s)
}

/** The state was replaced: what was said of the old one is not to be held against it. */
export function forgetOwnDigests(s: CoreState): void {
  s.digests.own = []
}

/** A follower whose leader changed, or may have missed the last report, tells it again. */
export function tickDigests(s: CoreState): void {
  const { digests, leader } = s
  if (leader === undefined) return
  const waitMs = REPEAT_TIMEOUTS * s.options.electionTimeoutMs
  if (digests.toldTo !== leader || s.nowMs - digests.toldAtMs >= waitMs) report(s)
}

function report(s: CoreState): void {
  const { digests, leader } = s
  const last = digests.own.at(-1)
  if (last === undefined || leader === undefined || leader === s.id) return
  digests.toldTo = leader
  digests.toldAtMs = s.nowMs
  s.send(leader, { type: 'digest-report', term: s.term, ...last })
}

/** A member told its number. */
export function onDigestReport(s: CoreState, from: NodeId, { index, digest }: DigestReport): void {
  // Of strangers nothing is remembered, and of nobody what cannot be applied yet.
  if (!s.leading?.peers.has(from) || index > s.log.commitIndex) return
  beginTerm(s)
  const marks = s.digests.reported.get(from) ?? []
  if (marks.some((mark) => mark.index === index && mark.digest === digest)) return
  marks.push({ index, digest })
  if (marks.length > PEER_MARKS) marks.shift()
  s.digests.reported.set(from, marks)
  judge(s)
}

/** What is remembered as a leader is of one term; members that left since are forgotten with it, at the latest. */
function beginTerm(s: CoreState): void {
  const { digests } = s
  if (digests.term === s.term) return
  digests.term = s.term
  digests.reported = new Map()
  digests.named = []
}

/** Compares what is known, wherever this leader knows its own number. */
function judge(s: CoreState): void {
  if (s.mutations.has('digests-not-compared')) return
  beginTerm(s)
  // What is told is the same almost always, and asked at every report: who is a member matters only where something differs.
  for (const mark of s.digests.own) if (isDisputed(s, mark)) compareAt(s, mark)
}

/** Whether anybody, member or not, last told another number for this index. */
function isDisputed(s: CoreState, { index, digest }: DigestMark): boolean {
  for (const marks of s.digests.reported.values()) {
    for (let at = marks.length - 1; at >= 0; at--) {
      const mark = marks[at]!
      if (mark.index !== index) continue
      if (mark.digest !== digest) return true
      break
    }
  }
  return false
}

function compareAt(s: CoreState, mark: DigestMark): void {
  const known = knownAt(s, mark)
  const differ = [...known.values()].some((digest) => digest !== mark.digest)
  if (differ) settle(s, mark.index, known)
}

/** The numbers of the members at one index. */
function knownAt(s: CoreState, { index, digest }: DigestMark): Map<NodeId, number> {
  const known = new Map<NodeId, number>()
  for (const id of membersOf(s.log.config.config)) {
    // The last word of each counts: a node whose state was rebuilt reports the same index again.
    const mark = s.digests.reported.get(id)?.findLast((reported) => reported.index === index)
    if (mark !== undefined) known.set(id, mark.digest)
  }
  known.set(s.id, digest)
  return known
}

function settle(s: CoreState, index: Index, known: ReadonlyMap<NodeId, number>): void {
  const { config } = s.log.config
  const holders = (digest: number): number => [...known.values()].filter((held) => held === digest).length
  const right = [...new Set(known.values())].find(
    (digest) => holders(digest) > 1 && quorumReached(config, (id) => (known.get(id) === digest ? 1 : 0)) === 1
  )
  if (right === undefined) {
    dispute(s, index, known)
    return
  }
  for (const [id, digest] of known) {
    if (digest === right) continue
    name(s, id, index, right)
    if (id !== s.id) s.send(id, { type: 'digest-verdict', term: s.term, index, digest: right, proven: true })
  }
  if (known.get(s.id) !== right) diverge(s, index, right)
}

/** Nobody is known to be right. */
function dispute(s: CoreState, index: Index, known: ReadonlyMap<NodeId, number>): void {
  if (index <= s.digests.disputedIndex) return
  s.digests.disputedIndex = index
  const own = known.get(s.id)
  invariant(own !== undefined, () => `no digest of this node is known at ${index}`)
  const others = [...known].filter(([, digest]) => digest !== own).map(([id]) => id)
  s.alarm(
    'state-diverged',
    `at entry ${index} the state of ${others.join(', ')} differs from that of this node, and it is not known which is right`
  )
  for (const id of others) {
    s.send(id, { type: 'digest-verdict', term: s.term, index, digest: own, proven: false })
  }
}

function name(s: CoreState, id: NodeId, index: Index, right: number): void {
  if (s.digests.named.includes(id)) return
  s.digests.named.push(id)
  if (id === s.id) return
  s.alarm('state-diverged', `at entry ${index} the state of ${id} is not ${hex(right)}, as that of a majority is`, id)
}

/** The leader compared. */
export function onDigestVerdict(s: CoreState, from: NodeId, { index, digest, proven }: DigestVerdict): void {
  if (from !== s.leader) return
  const own = s.digests.own.findLast((mark) => mark.index === index)
  if (own === undefined || own.digest === digest) return
  if (proven) diverge(s, index, digest)
  else if (index > s.digests.disputedIndex) {
    s.digests.disputedIndex = index
    s.alarm(
      'state-diverged',
      `at entry ${index} the state differs from that of ${from}, which leads, and it is not known which is right`
    )
  }
}

/** This node's state is wrong: the node ends, and whoever runs it puts the state away. */
function diverge(s: CoreState, index: Index, right: number): void {
  const detail = `at entry ${index} the state of this node is not ${hex(right)}, as that of a majority is`
  s.alarm('state-diverged', detail)
  s.out.push({ type: 'state-diverged', index, detail })
  s.halted = true
}

const hex = (digest: number): string => digest.toString(16).padStart(8, '0')
