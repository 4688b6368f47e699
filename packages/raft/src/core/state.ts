/**
 * The state of one node, and the two ways in which it speaks: effects, and the persist effect that a step ends with.
 *
 * The rules live in the files beside this one, as functions over `CoreState`; `raft.ts` calls them. What they share is here:
 * who the node is, what it remembers, and what of that is on disk. A step gathers all that is to become durable, and all
 * messages that may not leave before it is, into one `persist` (T1, T3).
 */

import { SUPPORTED_LEVEL } from './announcements.ts'
import { noDigests } from './digests.ts'
import { campaignDelayMs, jitterShare } from './fitness.ts'
import { invariant } from './invariants.ts'
import type { Log } from './log.ts'
import { isOnlyVoter } from './members.ts'
import type { Message } from './messages.ts'
import type { Mutation } from './mutations.ts'
import { Prng } from './prng.ts'
import type { Progress } from './progress.ts'
import type {
  Checksum,
  CoreInit,
  CoreOptions,
  Effect,
  Envelope,
  Health,
  Index,
  LogBase,
  NodeId,
  RefusalReason,
  Role,
  Term
} from './types.ts'

/** How many questions for a read index one start has for itself; later ones could only meet answers that are that late as well. */
const QUESTIONS_PER_START = 0x1_0000

/**
 * Most writes under way. What waits for the disk alone is dropped beyond that, as the network may do: else a disk that hangs would
 * let messages gather without end.
 */
const MAX_PENDING_PERSISTS = 16_384

/** A persist effect that is not durable yet. */
interface PendingPersist {
  readonly seq: number
  /** With it, entries up to here are durable; lowered when they are cut, so that it never vouches for their successors (T14). */
  throughIndex: Index
  /** The hard state in it, if any. */
  readonly hardState: { readonly term: Term; readonly votedFor: NodeId | undefined } | undefined
  readonly atMs: number
}

/** What is on disk and on its way there between two steps, as plain data (`checkpoint.ts`). */
export interface WritesCheckpoint {
  readonly durableTerm: Term
  readonly durableVote: NodeId | undefined
  readonly pending: readonly PendingPersist[]
  readonly lastSeq: number
}

/** A read that waits on the leader: of this node (`ticket`), or of a follower (`from`, `id`). */
export interface LeaderRead {
  readonly ticket: number | undefined
  readonly from: NodeId | undefined
  readonly id: number
  readonly position: number
  /** The commit index when it arrived; 0 if nothing of the leader's term was committed then. */
  readonly index: Index
}

/** A tick of a leader that takes leases: messages with this read position, or a higher one, were sent no earlier (T49). */
export interface LeaseMark {
  readonly position: number
  readonly atMs: number
}

/** What a node has while it leads, and only then. */
export interface Leading {
  readonly peers: Map<NodeId, Progress>
  /** The no-op that opened the term. At or below the commit index: this leader has committed in its own term (T29, T46). */
  readonly noopIndex: Index
  /** Silence of peers counts from here at the earliest: the start of the term, or the end of a stall of this node. Milliseconds. */
  quorumFloorMs: number
  /** Reads in order of their position. */
  reads: LeaderRead[]
  /** Counts reads; every message to a peer carries it (T47). */
  readPosition: number
  /** Stalls of this node in a row since which no quorum was heard (T26). */
  stallsExcused: number
  /** The commit index when it got ahead of what this node's disk holds, and since when it is; undefined while it is not (T23). */
  outpaced: { readonly index: Index; sinceMs: number } | undefined
  /** The position up to which a round of heartbeats was sent. */
  roundPosition: number
  /** From here on the leader has been left in peace: after an attempt to hand over this lies ahead. Milliseconds. */
  settledFromMs: number
  /** How often it tried to hand over of its own accord. */
  handOvers: number
  /** Nothing is committed before: leases of earlier leaders may be in force (T49). Milliseconds. */
  readonly commitNotBeforeMs: number
  /** The ticks of as long as a lease takes, oldest first; empty without leases. */
  leaseMarks: LeaseMark[]
  /** Leadership was handed over, or was to be: no lease in this term any more. */
  leaseGivenUp: boolean
}

/** Reads of this node while another leads. */
export interface FollowerReads {
  /** Arrived since the last question. */
  waiting: { readonly ticket: number; readonly atMs: number }[]
  /** The question that is out, and the reads that wait for its answer. */
  asked:
    | { readonly id: number; readonly reads: { readonly ticket: number; readonly atMs: number }[]; sentAtMs: number }
    | undefined
  lastId: number
}

/** A hand-over under way; outlives the leadership until it is known who leads. */
export interface Transfer {
  /** Whom to answer; undefined if the leader began it of its own accord. */
  readonly ticket: number | undefined
  to: NodeId
  /** Somebody wants this very node to lead, well or not. */
  readonly named: boolean
  readonly deadlineMs: number
  sent: boolean
}

/** Where the questions of this start are numbered from. */
function firstQuestion(init: CoreInit, mutations: ReadonlySet<Mutation>): number {
  return mutations.has('question-numbers-reused') ? 0 : (init.seed >>> 1) * QUESTIONS_PER_START
}

export class CoreState {
  readonly id: NodeId
  readonly options: CoreOptions
  readonly checksum: Checksum
  readonly mutations: ReadonlySet<Mutation>
  readonly prng: Prng
  readonly log: Log

  /** Where the running step puts its effects. */
  out: Effect[] = []
  /** The time of the running step. */
  nowMs = 0
  lastTickMs: number | undefined
  halted = false

  term: Term
  votedFor: NodeId | undefined
  role: Role = 'follower'
  /** Who leads `term`, if known. */
  leader: NodeId | undefined
  /** When the leader was last heard. Milliseconds. */
  leaderContactMs = Number.NEGATIVE_INFINITY
  /** A node that is well, and of no low priority, campaigns at this time; undefined before the first step. Milliseconds. */
  electionDeadlineMs: number | undefined
  /** Stalls of this node in a row for which it waited anew (T26). */
  stallsExcused = 0
  /** Tries to be elected that need not wait for an election timeout, since the stream to the leader broke. */
  hurriedTries = 0
  /** Until when it waits for the last stall that it excused. Milliseconds. */
  stallWaitEndMs = Number.NEGATIVE_INFINITY
  /** Votes, or pre-votes, of the election under way. */
  readonly votes = new Map<NodeId, boolean>()
  /** Set exactly while `role` is `leader`. */
  leading: Leading | undefined
  /**
   * Questions are numbered from a place of this start's own, so that an answer to a question which this node asked before it was
   * restarted is not taken for one to a new question (T47). Begins below 2^47, which leaves 2^47 questions below the 2^48 of the wire.
   */
  readonly followerReads: FollowerReads
  transfer: Transfer | undefined
  /** What stands for the states of the members. */
  readonly digests = noDigests()
  /** How fit this node is to lead, as its driver sees it. */
  health: Health = 'good'
  /** Since when. Milliseconds. */
  healthSinceMs = Number.NEGATIVE_INFINITY
  /** The term for which a leader that handed over to this node said that no lease is in force any more (T49). */
  leasesOverInTerm: Term | undefined
  /** The highest feature level that this version knows (T59). */
  readonly supportedLevel: number
  /** What connected peers said of theirs. */
  readonly peerLevels = new Map<NodeId, number>()
  /** The snapshot that is being fetched. While it is, the log takes no entries, since it is about to be replaced. */
  installing: LogBase | undefined

  /** The hard state that is on disk. */
  #durableTerm: Term
  #durableVote: NodeId | undefined
  #hardStateChanged = false
  #truncateFrom: Index | undefined
  #release: Envelope[] = []
  /** In order of `seq`. Short: as many as a driver lets gather while one write runs. */
  readonly #pending: PendingPersist[] = []
  #lastSeq = 0

  constructor(init: CoreInit, log: Log, mutations: ReadonlySet<Mutation>) {
    this.id = init.id
    this.options = init.options
    this.checksum = init.checksum
    this.mutations = mutations
    this.prng = new Prng(init.seed)
    this.followerReads = { waiting: [], asked: undefined, lastId: firstQuestion(init, mutations) }
    this.supportedLevel = init.supportedLevel ?? SUPPORTED_LEVEL
    this.log = log
    this.term = init.hardState.term
    this.votedFor = init.hardState.votedFor
    this.#durableTerm = this.term
    this.#durableVote = this.votedFor
  }

  /** Moves to a term, or records a vote in it. Both leave as one record (T1); a new term begins without a vote (T4). */
  setHardState(term: Term, votedFor: NodeId | undefined): void {
    invariant(term >= this.term, () => `the term would fall from ${this.term} to ${term}`)
    invariant(
      term > this.term || this.votedFor === undefined || this.votedFor === votedFor,
      () => `a second vote in term ${term}: ${votedFor} after ${this.votedFor}`
    )
    this.term = term
    this.votedFor = votedFor
    this.#hardStateChanged = true
  }

  /** Whether the vote of this node for itself in this term is on disk; only then does it count (T5). */
  get ownVoteDurable(): boolean {
    if (this.mutations.has('own-vote-counted-early')) return this.votedFor === this.id
    return this.#durableTerm === this.term && this.#durableVote === this.id
  }

  /**
   * Sends a message that promises no more than the term and the vote of this node, and that entries up to `throughIndex` are durable: at once
   * if that is so on disk already, else with the persist effect that makes it so. The only place where this is decided (T3).
   */
  send(to: NodeId, message: Message, throughIndex: Index = 0): void {
    const remembered = this.#durableTerm === this.term && this.#durableVote === this.votedFor
    if (remembered && throughIndex <= this.log.durableIndex) {
      this.out.push({ type: 'send', to, message })
    } else {
      this.#release.push({ to, message })
    }
  }

  /** Sends a message with nothing to wait for: a promise that is broken on purpose, under a mutation. */
  sendUnsafely(to: NodeId, message: Message): void {
    this.out.push({ type: 'send', to, message })
  }

  /** Cuts the log where it conflicts with the leader's. Writes under way no longer vouch for what was cut (T14). */
  truncateLog(from: Index): void {
    this.log.truncate(from)
    this.#truncateFrom = from
    if (!this.mutations.has('write-vouches-for-successors')) this.#lowerPending(from - 1)
  }

  /** The log was replaced on disk by a snapshot at `base`. */
  resetLog(base: LogBase): void {
    this.#lowerPending(base.index)
    this.log.reset(base)
  }

  #lowerPending(index: Index): void {
    for (const persist of this.#pending) persist.throughIndex = Math.min(persist.throughIndex, index)
  }

  /** Ends a step: all that is to become durable leaves as one effect. */
  flushPersist(): void {
    const log = this.log
    const hasEntries = log.stagedIndex < log.lastIndex
    if (!this.#hardStateChanged && this.#truncateFrom === undefined && !hasEntries) {
      if (this.#pending.length >= MAX_PENDING_PERSISTS) this.#release = []
      if (this.#release.length === 0) return
    }
    const seq = ++this.#lastSeq
    const { term, votedFor } = this
    const hardState = this.#hardStateChanged ? { term, votedFor: this.#voteToWrite } : undefined
    const entries = hasEntries ? log.range(log.stagedIndex + 1, log.lastIndex) : []
    this.out.push({
      type: 'persist',
      seq,
      hardState,
      truncateFrom: this.mutations.has('truncation-not-written') ? undefined : this.#truncateFrom,
      entries,
      release: this.#release
    })
    this.#pending.push({
      seq,
      throughIndex: log.lastIndex,
      hardState: hardState && { term, votedFor },
      atMs: this.nowMs
    })
    log.stagedIndex = log.lastIndex
    this.#hardStateChanged = false
    this.#truncateFrom = undefined
    this.#release = []
  }

  /** The vote as it goes to disk (T2): the one in memory, except under the mutation that forgets votes for others. */
  get #voteToWrite(): NodeId | undefined {
    return this.mutations.has('vote-not-persisted') && this.votedFor !== this.id ? undefined : this.votedFor
  }

  /** All persist effects up to `seq` are durable. */
  persisted(seq: number): void {
    invariant(seq <= this.#lastSeq, () => `persist ${seq} was reported durable, but ${this.#lastSeq} is the last one`)
    let done = 0
    while (done < this.#pending.length && this.#pending[done]!.seq <= seq) {
      const persist = this.#pending[done++]!
      this.log.durableIndex = Math.max(this.log.durableIndex, persist.throughIndex)
      if (persist.hardState !== undefined) {
        this.#durableTerm = persist.hardState.term
        this.#durableVote = persist.hardState.votedFor
      }
    }
    this.#pending.splice(0, done)
  }

  /** Between two steps, when nothing is gathered for a write that is not handed out. */
  captureWrites(): WritesCheckpoint {
    invariant(
      !this.#hardStateChanged && this.#truncateFrom === undefined && this.#release.length === 0,
      () => 'a state is captured in the middle of a step'
    )
    return {
      durableTerm: this.#durableTerm,
      durableVote: this.#durableVote,
      pending: this.#pending.map((persist) => ({ ...persist })),
      lastSeq: this.#lastSeq
    }
  }

  restoreWrites({ durableTerm, durableVote, pending, lastSeq }: WritesCheckpoint): void {
    this.#durableTerm = durableTerm
    this.#durableVote = durableVote
    this.#pending.splice(0, this.#pending.length, ...pending.map((persist) => ({ ...persist })))
    this.#lastSeq = lastSeq
  }

  /** Whether a write has been under way for longer than an election timeout: the disk hangs (T23). */
  get diskStalled(): boolean {
    const oldest = this.#pending[0]
    return oldest !== undefined && this.nowMs - oldest.atMs > this.options.electionTimeoutMs
  }

  /** Whether there is nobody to wait for, and nobody to hand over to (T24). */
  get isOnlyVoter(): boolean {
    return isOnlyVoter(this.log.config.config, this.id) && !this.mutations.has('only-voter-waits')
  }

  /** How much longer than others this node waits before it campaigns. Milliseconds. */
  get campaignDelayMs(): number {
    if (this.mutations.has('eager-campaign') || this.isOnlyVoter) return 0
    return campaignDelayMs(this.options, this.health)
  }

  /** When this node campaigns unless it hears from somebody before. Milliseconds. */
  get campaignMs(): number {
    if (this.electionDeadlineMs === undefined) return Number.POSITIVE_INFINITY
    return Math.max(this.electionDeadlineMs + this.campaignDelayMs, this.stallWaitEndMs)
  }

  /** The end of a wait as the paper has it (§5.2), if it begins now. Milliseconds. */
  drawWaitEndMs(): number {
    const timeout = this.options.electionTimeoutMs
    return this.nowMs + this.prng.between(timeout, timeout + timeout * jitterShare(this.options))
  }

  /**
   * Draws the time of the next election, if the leader stays silent (paper §5.2). The only voter waits for nobody, once no leader is
   * left who could be making it that.
   */
  resetElectionDeadline(): void {
    this.stallsExcused = 0
    this.stallWaitEndMs = Number.NEGATIVE_INFINITY
    const alone = this.isOnlyVoter && this.leader === undefined
    this.electionDeadlineMs = alone ? this.nowMs : this.drawWaitEndMs()
  }

  refuse(ticket: number, reason: RefusalReason, detail: string): void {
    this.out.push({ type: 'refused', ticket, reason, leader: this.leader, detail })
  }

  refuseNotLeader(ticket: number): void {
    const who = this.leader === undefined ? 'no leader is known' : `${this.leader} leads`
    this.refuse(ticket, 'not-leader', `this node is a ${this.role} in term ${this.term}; ${who}`)
  }

  /** @param peer - whom it is about, if it is about one */
  alarm(code: string, detail: string, peer?: NodeId): void {
    this.out.push({ type: 'alarm', code, detail, ...(peer === undefined ? {} : { peer }) })
  }
}
