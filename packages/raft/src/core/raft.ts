/**
 * The core, assembled: a table of contents. `step` takes one input, gives it to the file that holds the rule, and ends with what
 * every step ends with. Which rule is where:
 *
 * | file | rules |
 * | --- | --- |
 * | `election.ts` | who campaigns, pre-vote, vote, stickiness |
 * | `following.ts` | accepting, cutting, acknowledging entries |
 * | `leading.ts` | taking office, proposals, commit, check-quorum |
 * | `replication.ts`, `progress.ts` | what is sent to whom |
 * | `membership.ts`, `members.ts` | changes of the configuration |
 * | `transfer.ts`, `fitness.ts` | handing over, and who should rather lead |
 * | `stalls.ts` | pauses of this very node |
 * | `reads.ts`, `lease.ts` | linearizable reads |
 * | `levels.ts`, `announcements.ts` | feature levels |
 * | `digests.ts` | whether all states are the same |
 * | `snapshots.ts` | snapshots and compaction |
 * | `state.ts` | hard state, durability, what may leave when |
 * | `checkpoint.ts` | the whole of it as plain data |
 * | `log.ts`, `quorum.ts`, `roles.ts` | the log, majorities, stepping down |
 *
 * Called by `../driver` and `../sim`; calls nothing outside this folder.
 */

import { checkSupportedLevel, logFault, SUPPORTED_LEVEL } from './announcements.ts'
import { captureState, restoreState, type StateCheckpoint } from './checkpoint.ts'
import { forgetOwnDigests, onDigestReport, onDigestVerdict, onOwnDigest, tickDigests } from './digests.ts'
import {
  countOwnVote,
  isSticky,
  onLeaderStreamLost,
  onPreVoteRequest,
  onPreVoteResponse,
  onTimeoutNow,
  onVoteRequest,
  onVoteResponse,
  tickElection
} from './election.ts'
import { onHealth } from './fitness.ts'
import { onAppendEntriesRequest } from './following.ts'
import { checkState, invariant } from './invariants.ts'
import { finishLeading, onAppendEntriesResponse, propose, tickLeader } from './leading.ts'
import { leaseRemainingMs } from './lease.ts'
import { peerLeft, peerSaysLevel } from './levels.ts'
import { Log } from './log.ts'
import { configFault, EMPTY_CONFIG, sameConfig } from './members.ts'
import { changeMembers } from './membership.ts'
import type { Message } from './messages.ts'
import { type Mutation, NO_MUTATIONS } from './mutations.ts'
import { checkCoreOptions } from './options.ts'
import { askLeader, onReadIndexRequest, onReadIndexResponse, read, tickFollowerReads } from './reads.ts'
import { becomeFollower } from './roles.ts'
import {
  onCompactable,
  onInstallSnapshotRequest,
  onInstallSnapshotResponse,
  onSnapshotFailed,
  onSnapshotInstalled,
  onSnapshotReady
} from './snapshots.ts'
import { excuseFollower } from './stalls.ts'
import { CoreState } from './state.ts'
import { beginTransfer, settleTransfer } from './transfer.ts'
import type {
  Checksum,
  ClusterConfig,
  CoreInit,
  CoreStatus,
  Effect,
  Entry,
  Index,
  Input,
  LogBase,
  NodeId,
  PeerStatus,
  RaftCore,
  Role,
  Term
} from './types.ts'

/**
 * Makes a node from what its disk holds. It is a follower, and does nothing before its first `tick`.
 *
 * @param mutations - for tests only: known bugs to put back (`mutations.ts`)
 * @throws {RangeError} when an option, or the supported level, is out of its range
 * @throws {BrokenInvariant} when the stored log, state and hard state do not fit together: nothing can be told from them
 */
export function createRaftCore(init: CoreInit, mutations: ReadonlySet<Mutation> = NO_MUTATIONS): RaftCore {
  const { supportedLevel = SUPPORTED_LEVEL } = init
  checkCoreOptions(init.options)
  checkSupportedLevel(supportedLevel)
  // A joiner knows no configuration until it reads the entry that added it; until then its log begins at 0.
  const joiner = init.base.index === 0 && sameConfig(init.base.config, EMPTY_CONFIG)
  const fault = joiner ? undefined : configFault(init.base.config)
  invariant(fault === undefined, () => `the configuration at ${init.base.index} cannot be worked with: ${fault}`)
  const unknown = logFault(init.base, init.entries, supportedLevel)
  invariant(unknown === undefined, () => `the stored log cannot be worked with: ${unknown}`)
  const log = new Log(init.base, init.entries, init.appliedIndex, mutations)
  invariant(
    log.lastTerm <= init.hardState.term,
    () => `the log ends in term ${log.lastTerm}, past the term ${init.hardState.term} of the hard state`
  )
  return new Core(new CoreState(init, log, mutations))
}

/** A core between two steps, as plain data (`checkpoint.ts`). */
export interface CoreCheckpoint extends StateCheckpoint {
  readonly reported: { readonly role: Role; readonly term: Term; readonly leader: NodeId | undefined }
  readonly reportedConfig: { readonly config: ClusterConfig; readonly index: Index; readonly committed: boolean }
}

/** @returns undefined for a core that has halted, since what it holds is of a step that was broken off, and for one that is not made here */
export function captureCore(core: RaftCore): CoreCheckpoint | undefined {
  return Core.capture(core)
}

/**
 * A core that goes on as the captured one would.
 *
 * @param checksum - the one that the captured core was given
 */
export function restoreCore(checkpoint: CoreCheckpoint, checksum: Checksum): RaftCore {
  return Core.restore(checkpoint, checksum)
}

/** FOR TESTS ONLY: what a node holds in memory, so that a search over all its states can tell them apart. Not to be written to. */
export function stateOf(core: RaftCore): CoreState {
  return Core.stateOf(core as Core)
}

class Core implements RaftCore {
  readonly #s: CoreState
  /** What was last reported, so that each change is reported once. */
  #reported: { role: Role; term: Term; leader: NodeId | undefined }
  #reportedConfig: { config: ClusterConfig; index: Index; committed: boolean }

  constructor(state: CoreState) {
    this.#s = state
    this.#reported = { role: state.role, term: state.term, leader: state.leader }
    this.#reportedConfig = configStatus(state)
  }

  static stateOf(core: Core): CoreState {
    return core.#s
  }

  static capture(core: RaftCore): CoreCheckpoint | undefined {
    if (!(#s in core) || core.#s.halted) return undefined
    return { ...captureState(core.#s), reported: { ...core.#reported }, reportedConfig: { ...core.#reportedConfig } }
  }

  static restore(checkpoint: CoreCheckpoint, checksum: Checksum): Core {
    const core = new Core(restoreState(checkpoint, checksum))
    core.#reported = { ...checkpoint.reported }
    core.#reportedConfig = { ...checkpoint.reportedConfig }
    return core
  }

  step(input: Input, nowMs: number, out: Effect[]): void {
    const s = this.#s
    if (s.halted) return
    s.out = out
    try {
      invariant(nowMs >= s.nowMs, () => `time went back from ${s.nowMs} to ${nowMs}`)
      s.nowMs = nowMs
      if (s.electionDeadlineMs === undefined) s.resetElectionDeadline()
      handle(s, input)
      this.#finish()
      checkState(s)
    } catch (error) {
      s.halted = true
      out.push({ type: 'halt', reason: error instanceof Error ? error.message : String(error) })
    }
  }

  /** What every step ends with. The order is that in which the driver begins the effects: send, then write, then apply. */
  #finish(): void {
    const s = this.#s
    if (s.leading !== undefined) finishLeading(s, s.leading)
    else askLeader(s)
    settleTransfer(s)
    s.flushPersist()
    this.#report()
    applyCommitted(s)
  }

  #report(): void {
    const s = this.#s
    const last = this.#reported
    if (last.role !== s.role || last.term !== s.term || last.leader !== s.leader) {
      this.#reported = { role: s.role, term: s.term, leader: s.leader }
      s.out.push({ type: 'role-changed', ...this.#reported })
    }
    const known = this.#reportedConfig
    const placed = s.log.config
    const committed = placed.index <= s.log.commitIndex
    if (known.index !== placed.index || known.committed !== committed || !sameConfig(known.config, placed.config)) {
      this.#reportedConfig = configStatus(s)
      s.out.push({ type: 'config-changed', ...this.#reportedConfig })
    }
  }

  status(nowMs: number): CoreStatus {
    const s = this.#s
    const { config, index, committed } = configStatus(s)
    return {
      id: s.id,
      role: s.role,
      term: s.term,
      votedFor: s.votedFor,
      leader: s.leader,
      baseIndex: s.log.base.index,
      lastIndex: s.log.lastIndex,
      logBytes: s.log.bytes,
      lastTerm: s.log.lastTerm,
      durableIndex: s.log.durableIndex,
      commitIndex: s.log.commitIndex,
      appliedIndex: s.log.appliedIndex,
      config,
      configIndex: index,
      configCommitted: committed,
      health: s.health,
      priority: s.options.priority,
      leaseRemainingMs: leaseRemainingMs(s, nowMs),
      level: s.log.levels.at(s.log.commitIndex),
      supportedLevel: s.supportedLevel,
      peers: peerStatuses(s, nowMs)
    }
  }

  entry(index: Index): Entry | undefined {
    return this.#s.log.entry(index)
  }

  baseAt(index: Index): LogBase | undefined {
    return this.#s.log.baseAt(index)
  }

  leaseIndex(nowMs: number): Index | undefined {
    return leaseRemainingMs(this.#s, nowMs) > 0 ? this.#s.log.commitIndex : undefined
  }

  holdsLease(nowMs: number): boolean {
    return this.#s.mutations.has('lease-not-checked-again') || leaseRemainingMs(this.#s, nowMs) > 0
  }
}

function configStatus(s: CoreState): { config: ClusterConfig; index: Index; committed: boolean } {
  const { config, index } = s.log.config
  return { config, index, committed: index <= s.log.commitIndex }
}

function peerStatuses(s: CoreState, nowMs: number): PeerStatus[] {
  const { voters, outgoing } = s.log.config.config
  return [...(s.leading?.peers.values() ?? [])].map((peer) => ({
    id: peer.id,
    voter: voters.includes(peer.id) || outgoing.includes(peer.id),
    state: peer.state,
    matchIndex: peer.matchIndex,
    nextIndex: peer.nextIndex,
    inflightMessages: peer.inflight.count,
    inflightBytes: peer.inflight.bytes,
    lastContactAgoMs: nowMs - peer.contactAtMs,
    health: peer.health,
    priority: peer.priority,
    supportedLevel: s.peerLevels.get(peer.id)
  }))
}

function handle(s: CoreState, input: Input): void {
  switch (input.type) {
    case 'tick':
      tick(s)
      break
    case 'receive':
      receive(s, input.from, input.message)
      break
    case 'propose':
      propose(s, input.ticket, input.payloads)
      break
    case 'change-members':
      changeMembers(s, input.ticket, input.change)
      break
    case 'read':
      read(s, input.ticket)
      break
    case 'transfer':
      beginTransfer(s, input.ticket, input.to)
      break
    case 'persisted':
      s.persisted(input.seq)
      countOwnVote(s)
      break
    case 'applied':
      applied(s, input.index)
      // What is told late of a place below the log is told of a state that a snapshot has replaced.
      if (input.digest !== undefined && input.index >= s.log.base.index) onOwnDigest(s, input.index, input.digest)
      break
    case 'compactable':
      onCompactable(s, input.index)
      break
    case 'snapshot-ready':
      onSnapshotReady(s, input.base)
      break
    case 'snapshot-installed':
      onSnapshotInstalled(s, input.base)
      forgetOwnDigests(s)
      break
    case 'snapshot-failed':
      onSnapshotFailed(s, input.index)
      break
    case 'health':
      onHealth(s, input.health)
      break
    case 'peer-up':
      peerSaysLevel(s, input.peer, input.featureLevel)
      peerUp(s, input.peer)
      break
    case 'peer-down':
      peerLeft(s, input.peer)
      peerDown(s, input.peer)
      break
  }
}

/**
 * Time passed. After a pause of this very node (a stopped process, a blocked event loop) the messages that came meanwhile are
 * still to be handled, so that nobody's silence is held against him (T26, `stalls.ts`).
 */
function tick(s: CoreState): void {
  const gapMs = s.lastTickMs === undefined ? 0 : s.nowMs - s.lastTickMs
  const stalled = gapMs > s.options.electionTimeoutMs / 2 && !s.mutations.has('stall-counted-as-silence')
  s.lastTickMs = s.nowMs
  if (s.leading !== undefined) {
    tickLeader(s, s.leading, stalled ? gapMs : 0)
    return
  }
  if (stalled) excuseFollower(s)
  tickElection(s)
  if (s.leading !== undefined) return
  tickFollowerReads(s)
  tickDigests(s)
}

/** A message, terms first (paper §5.1): a higher one is followed, a lower one is told so or ignored. */
function receive(s: CoreState, from: NodeId, message: Message): void {
  if (from === s.id) return
  if (message.type === 'pre-vote-request') {
    // Its term is the one the sender would like, not one that exists.
    onPreVoteRequest(s, from, message)
    return
  }
  const wishedTerm = message.type === 'pre-vote-response' && message.granted
  if (!wishedTerm && message.term > s.term) {
    if (message.type === 'vote-request' && !message.transfer && isSticky(s, from)) return
    const fromLeader = message.type === 'append-entries-request' || message.type === 'install-snapshot-request'
    becomeFollower(s, message.term, fromLeader ? from : undefined)
  }
  if (!wishedTerm && message.term < s.term) {
    answerStale(s, from, message)
    return
  }
  deliver(s, from, message)
}

/** A message from a term that is over: who asks is told the term that is, and answers to old questions are nothing to anybody. */
function answerStale(s: CoreState, from: NodeId, message: Message): void {
  const { term } = s
  switch (message.type) {
    case 'append-entries-request':
    case 'install-snapshot-request':
      s.send(from, {
        type: 'append-entries-response',
        term,
        success: false,
        index: 0,
        hintIndex: 0,
        hintTerm: 0,
        readPosition: 0,
        health: s.health,
        priority: s.options.priority
      })
      break
    case 'vote-request':
      s.send(from, { type: 'vote-response', term, granted: false })
      break
    case 'read-index-request':
      s.send(from, { type: 'read-index-response', term, id: message.id, index: undefined })
      break
    case 'pre-vote-response':
      // A refusal by a node that is behind is a refusal all the same.
      onPreVoteResponse(s, from, message)
      break
    case 'append-entries-response':
      if (s.mutations.has('answers-of-old-terms-counted')) peerAnswered(s, from, message)
      break
    case 'pre-vote-request':
    case 'vote-response':
    case 'install-snapshot-response':
    case 'timeout-now':
    case 'read-index-response':
    case 'digest-report':
    case 'digest-verdict':
      break
  }
}

/** A message of this node's own term. */
function deliver(s: CoreState, from: NodeId, message: Message): void {
  switch (message.type) {
    case 'append-entries-request':
      requireOneLeader(s, from)
      onAppendEntriesRequest(s, from, message)
      break
    case 'install-snapshot-request':
      requireOneLeader(s, from)
      onInstallSnapshotRequest(s, from, message)
      break
    case 'append-entries-response':
    case 'install-snapshot-response':
      peerAnswered(s, from, message)
      break
    case 'pre-vote-response':
      onPreVoteResponse(s, from, message)
      break
    case 'vote-request':
      onVoteRequest(s, from, message)
      break
    case 'vote-response':
      onVoteResponse(s, from, message)
      break
    case 'timeout-now':
      onTimeoutNow(s, from, message)
      break
    case 'read-index-request':
      onReadIndexRequest(s, from, message)
      break
    case 'read-index-response':
      onReadIndexResponse(s, message)
      break
    case 'digest-report':
      onDigestReport(s, from, message)
      break
    case 'digest-verdict':
      onDigestVerdict(s, from, message)
      break
    case 'pre-vote-request':
      break
  }
}

/** Election safety, seen from one node (paper §5.2): a term has one leader. */
function requireOneLeader(s: CoreState, from: NodeId): void {
  invariant(s.leader === undefined || s.leader === from, () => `${from} leads term ${s.term}, and so does ${s.leader}`)
}

/** Every answer of a peer in this term says that it is alive, and that it still followed when it answered (T21, T47). */
function peerAnswered(
  s: CoreState,
  from: NodeId,
  message: Extract<Message, { type: 'append-entries-response' | 'install-snapshot-response' }>
): void {
  const peer = s.leading?.peers.get(from)
  if (peer === undefined) return
  peer.contactAtMs = s.nowMs
  const echoed = s.mutations.has('any-answer-confirms-reads') ? s.leading!.readPosition : message.readPosition
  peer.readPosition = Math.max(peer.readPosition, echoed)
  if (message.type === 'append-entries-response') onAppendEntriesResponse(s, peer, message)
  else onInstallSnapshotResponse(s, peer, message)
}

/** Hands out what is committed and on this disk, as much as may be under way. Not while the state is about to be replaced. */
function applyCommitted(s: CoreState): void {
  const log = s.log
  if (s.installing !== undefined) return
  const room = log.appliedIndex + s.options.maxApplyEntries
  const durable = s.mutations.has('apply-before-durable') ? log.lastIndex : log.durableIndex
  const to = Math.min(log.commitIndex, durable, room)
  if (to <= log.applyingIndex) return
  s.out.push({ type: 'apply', entries: log.range(log.applyingIndex + 1, to) })
  log.applyingIndex = to
}

function applied(s: CoreState, index: Index): void {
  const log = s.log
  invariant(
    index <= log.applyingIndex,
    () => `${index} was reported applied, but only ${log.applyingIndex} was handed out`
  )
  // A report from before a snapshot was installed may come late.
  if (index <= log.appliedIndex) return
  log.applied(index)
}

/** A stream came up: what was sent before may be lost, so the peer is asked where it stands, now. */
function peerUp(s: CoreState, id: NodeId): void {
  s.leading?.peers.get(id)?.streamChanged()
}

function peerDown(s: CoreState, id: NodeId): void {
  s.leading?.peers.get(id)?.streamChanged()
  if (s.role === 'follower' && s.leader === id) onLeaderStreamLost(s)
}
