/**
 * All judges, and the picture of the group that they share. The actors (`node.ts`, `workload.ts`) report what happens, as it happens; the panel
 * brings the picture up to date and asks each judge concerned. A judge that objects throws {@link Violation}, which ends the run.
 */

import type { Message } from '../../core/messages.ts'
import type { Checksum, CoreStatus, Entry, Index, NodeId, Role, Term } from '../../core/types.ts'
import type { PersistEffect, StateImage } from '../disk.ts'
import { ClientPromises } from './client-promises.ts'
import { Committed } from './committed.ts'
import { durableBeforeSend } from './durable-before-send.ts'
import { ElectionConduct } from './election-conduct.ts'
import { ElectionSafety } from './election-safety.ts'
import { ExactlyOnce } from './exactly-once.ts'
import { FeatureLevels } from './feature-levels.ts'
import { LeaderAppendOnly } from './leader-append-only.ts'
import { leaseReadAnswered } from './lease-reads.ts'
import { Linearizability } from './linearizable.ts'
import { LogMatching } from './log-matching.ts'
import { MatchIndex } from './match-index.ts'
import { MembershipBarrier } from './membership-barrier.ts'
import { ReadConfirmation } from './read-confirmation.ts'
import { SelfReport } from './self-report.ts'
import { SingleVote } from './single-vote.ts'
import { StateMachineSafety } from './state-machine-safety.ts'
import type { DecodeConfig, NodeView } from './view.ts'
import { Violation } from './violation.ts'

export class Panel {
  readonly views: NodeView[]
  readonly slotOf: Map<NodeId, number>
  readonly decode: DecodeConfig
  readonly elections = new ElectionSafety()
  readonly votes = new SingleVote()
  readonly logs: LogMatching
  readonly appendOnly = new LeaderAppendOnly()
  readonly committed: Committed
  readonly states = new StateMachineSafety()
  readonly selfReports: SelfReport
  readonly promises: ClientPromises
  readonly registers = new Linearizability()
  readonly effects = new ExactlyOnce()
  readonly barrier: MembershipBarrier
  /** Judges nothing if only consequences count. */
  readonly conduct: ElectionConduct | undefined
  /** As `conduct`. */
  readonly confirmations: ReadConfirmation | undefined
  readonly matches: MatchIndex
  readonly levels: FeatureLevels
  /** Judge harm done alone, and leave out what only prevents it: durability before sending, the membership barrier, nodes' own reports. */
  readonly #consequencesOnly: boolean

  constructor(
    views: NodeView[],
    decode: DecodeConfig,
    checksum: Checksum,
    electionTimeoutMs: number,
    consequencesOnly: boolean,
    watchesTime = !consequencesOnly
  ) {
    this.#consequencesOnly = consequencesOnly
    this.views = views
    this.slotOf = new Map(views.map((view) => [view.id, view.slot]))
    this.decode = decode
    this.logs = new LogMatching(checksum)
    this.committed = new Committed(views, this.slotOf, decode)
    this.selfReports = new SelfReport(decode)
    this.promises = new ClientPromises(this.committed)
    this.barrier = new MembershipBarrier(decode)
    this.matches = new MatchIndex(views, this.slotOf)
    this.levels = new FeatureLevels(views, this.slotOf, decode)
    this.confirmations = watchesTime ? new ReadConfirmation() : undefined
    this.conduct = watchesTime ? new ElectionConduct(decode, electionTimeoutMs) : undefined
  }

  /** A node that was not there at the beginning: a machine that lost its data comes back under a new name. */
  admits(view: NodeView): void {
    this.views.push(view)
    this.slotOf.set(view.id, view.slot)
  }

  started(view: NodeView, nowMs: number): void {
    view.started()
    this.conduct?.started(view, nowMs)
    this.confirmations?.begins(view)
    this.selfReports.started(view)
    this.diskChanged(view)
  }

  crashed(view: NodeView): void {
    view.alive = false
    view.role = 'follower'
    this.diskChanged(view)
  }

  diskChanged(view: NodeView): void {
    this.votes.durable(view)
  }

  /** A step begins. */
  steps(view: NodeView): void {
    view.ledInTerm = view.role === 'leader' ? view.hardState.term : 0
    view.truncatedFrom = 0
  }

  /** The effects of the step have all been reported. */
  stepped(view: NodeView): void {
    this.appendOnly.stepped(view)
    this.conduct?.stepped(view)
  }

  /** The node asks for a write: from here on it is part of its memory. */
  persists(view: NodeView, effect: PersistEffect, commitIndex: () => Index): void {
    const { hardState, truncateFrom, entries } = effect
    if (hardState !== undefined) {
      if (hardState.term < view.hardState.term) {
        throw new Violation(
          'single-vote',
          `n${view.slot}'s term goes back from ${view.hardState.term} to ${hardState.term}`
        )
      }
      view.hardState = hardState
    }
    if (truncateFrom !== undefined) {
      this.committed.truncates(view, truncateFrom)
      view.truncatedFrom = truncateFrom
    }
    const first = entries[0]
    if (first === undefined) {
      if (truncateFrom !== undefined) this.logs.taken(view, truncateFrom, entries)
      return
    }
    if (!this.#consequencesOnly && view.ledInTerm === first.term) {
      this.barrier.appends(view, entries, commitIndex)
      this.levels.appends(view, entries)
    }
    this.logs.taken(view, truncateFrom, entries)
    this.committed.appended(view, first.index, view.log.lastIndex)
  }

  /** A message leaves the node. */
  sends(view: NodeView, to: NodeId, message: Message): void {
    if (!this.#consequencesOnly) durableBeforeSend(view, to, message)
    this.confirmations?.sends(view, message)
    switch (message.type) {
      case 'vote-response':
        if (message.granted) this.votes.voted(view, message.term, to)
        return
      case 'vote-request':
        this.votes.voted(view, message.term, view.id)
        return
      case 'append-entries-request':
        this.#sendsAsLeader(view, message.term)
        if (message.term !== view.hardState.term) return
        if (!this.#consequencesOnly) this.committed.announces(view, message.commitIndex)
        this.committed.observed(view, message.commitIndex)
        return
      case 'install-snapshot-request':
        this.#sendsAsLeader(view, message.term)
        return
      default:
        return
    }
  }

  #sendsAsLeader(view: NodeView, term: Term): void {
    if (this.elections.leads(view, term) && view.role === 'leader') this.committed.leads(view)
  }

  roleChanged(view: NodeView, role: Role, term: Term): void {
    view.role = role
    if (role !== 'leader') return
    this.elections.leads(view, term)
    this.committed.leads(view)
  }

  handsToApply(view: NodeView, entries: readonly Entry[]): void {
    const last = entries[entries.length - 1]
    if (last === undefined) return
    this.committed.observed(view, last.index)
    this.states.handsOver(view, entries)
  }

  /** A read by lease is answered. */
  readByLease(view: NodeView): void {
    if (!this.#consequencesOnly) leaseReadAnswered(view, this.committed.lastTerm)
  }

  stateStands(view: NodeView, state: StateImage): void {
    this.states.stands(view.slot, state)
  }

  /** The snapshot at `index` became the node's state and the base of its log. */
  installed(view: NodeView): void {
    const { base } = view.disk.log
    this.states.restores(view, base.index)
    if (base.index > view.commitIndex) this.#snapshotIsCommitted(view, base.index, base.chain)
    view.log.reset(base)
    this.diskChanged(view)
  }

  #snapshotIsCommitted(view: NodeView, index: Index, chain: number): void {
    if (this.committed.chainAt(index) !== chain) {
      throw new Violation(
        'committed',
        `n${view.slot} installs a snapshot at ${index} that is not of the committed history`
      )
    }
    view.commitIndex = index
  }

  reports(view: NodeView, status: CoreStatus): void {
    if (!this.#consequencesOnly) {
      this.selfReports.reports(view, status)
      this.matches.reports(view, status)
      this.levels.reports(view, status)
    }
    this.committed.observed(view, status.commitIndex)
  }
}
