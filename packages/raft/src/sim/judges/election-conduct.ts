/**
 * How nodes behave towards a leader, by the clock: nobody campaigns early, late, unasked or unable; nobody helps to replace a leader that it
 * hears; and a leader that is of no use goes (T20 to T24, T26, T27, T32). Breaking one of these loses no data: it costs availability, which no judge
 * of safety sees and the liveness phase seldom needs, since by then all faults are over.
 *
 * All times are the node's own, in milliseconds. Where a node may rightly know more than can be seen from outside, the judge lets it pass.
 * Called by the panel; left out with `consequencesOnly`.
 */

import { campaignDelayMs } from '../../core/fitness.ts'
import { isOnlyVoter, isVoter } from '../../core/members.ts'
import type { Message, VoteRequest } from '../../core/messages.ts'
import { STREAM_LOSS_RETRIES } from '../../core/options.ts'
import { quorumReached } from '../../core/quorum.ts'
import { MAX_EXCUSED_STALLS } from '../../core/stalls.ts'
import type { ClusterConfig, Health, Index, NodeId, Role, Term } from '../../core/types.ts'
import type { DecodeConfig, NodeView } from './view.ts'
import { Violation } from './violation.ts'

/** What the judge remembers of one node's present life. */
class Conduct {
  /** Last time at which the election timer began anew by right. */
  quietSinceMs: number
  /** The stream to the leader broke since: so often the node need not wait. */
  hurries = 0
  /** Until here it had a reason not to campaign. */
  excusedUntilMs = Number.NEGATIVE_INFINITY
  lastTickMs: number | undefined
  heardMs = Number.NEGATIVE_INFINITY
  heardFrom: NodeId | undefined
  heardInTerm: Term = 0
  /** Who granted a pre-vote, by the term wished for. */
  preVotesTerm: Term = 0
  readonly preVotes = new Set<NodeId>()
  /** The term of the last request of a leader to take over. */
  askedToLeadIn: Term = -1
  /** A request that a node which hears its leader ignores is being handled; the term is then to stay. */
  ignores: Term | undefined
  /** The vote request that is being handled, or was last. */
  request: VoteRequest | undefined
  readonly answeredMs = new Map<NodeId, number>()
  /** What peers said of themselves in their answers to this leader. */
  readonly answeredHealth = new Map<NodeId, Health>()
  /** Whom somebody wanted to lead by name, of this very node. */
  readonly wanted = new Set<NodeId>()
  /** Since when the node has thought of itself as it does now. */
  healthSinceMs = Number.NEGATIVE_INFINITY
  /** Silence of peers counts from here. */
  floorMs = 0
  /** The end of the last stall for which a wait has to begin anew, and how many there were in a row. */
  stoodStillMs = Number.NEGATIVE_INFINITY
  stalls = 0
  /** The same for which one may: what began the count anew cannot always be seen. */
  mayWaitFromMs = Number.NEGATIVE_INFINITY
  lenientStalls = 0
  /** The commit index that this leader knew when its hanging disk was first seen to hold less, and since when. */
  outpaced: { readonly index: Index; sinceMs: number } | undefined

  constructor(nowMs: number) {
    this.quietSinceMs = nowMs
  }

  /** It cannot campaign now. */
  excuse(nowMs: number): void {
    this.excusedUntilMs = nowMs
    this.lenientStalls = 0
  }

  /** It asked for votes, which it may do again soon if it was in a hurry. */
  asked(nowMs: number): void {
    const { hurries } = this
    this.restarts(nowMs)
    this.hurries = hurries
  }

  restarts(nowMs: number): void {
    this.quietSinceMs = nowMs
    this.hurries = 0
    this.stalls = 0
    this.lenientStalls = 0
    this.stoodStillMs = Number.NEGATIVE_INFINITY
    this.mayWaitFromMs = Number.NEGATIVE_INFINITY
  }
}

export class ElectionConduct {
  readonly #decode: DecodeConfig
  readonly #timeoutMs: number
  readonly #conducts: Conduct[] = []

  constructor(decode: DecodeConfig, electionTimeoutMs: number) {
    this.#decode = decode
    this.#timeoutMs = electionTimeoutMs
  }

  started(view: NodeView, nowMs: number): void {
    this.#conducts[view.slot] = new Conduct(nowMs)
  }

  #of(view: NodeView): Conduct {
    return this.#conducts[view.slot] as Conduct
  }

  #broken(view: NodeView, what: string): Violation {
    return new Violation('election-conduct', `n${view.slot}, in term ${view.hardState.term}, ${what}`)
  }

  #config(view: NodeView): ClusterConfig {
    return view.log.config(0, this.#decode)
  }

  #diskHangs(view: NodeView, nowMs: number): boolean {
    return view.oldestWriteMs !== undefined && nowMs - view.oldestWriteMs > this.#timeoutMs
  }

  /** How much longer than others the node should wait. */
  #delayMs(view: NodeView): number {
    return campaignDelayMs({ electionTimeoutMs: this.#timeoutMs, priority: view.priority }, view.health)
  }

  // ---- what comes in

  /** The node's health changes. */
  feels(view: NodeView, nowMs: number): void {
    this.#of(view).healthSinceMs = nowMs
  }

  /** Somebody wants this very node to lead, well or not. */
  wants(view: NodeView, to: NodeId): void {
    this.#of(view).wanted.add(to)
  }

  /** The node is about to be told that time has passed. */
  ticks(view: NodeView, nowMs: number): void {
    const conduct = this.#of(view)
    // Its timer begins with the first thing that it does, which a pause right after the start puts off.
    if (conduct.lastTickMs === undefined) conduct.excusedUntilMs = nowMs
    // The node itself stood still: the messages of that time are still to come, so that silence counts from now; but not each time anew (T26).
    const stoodStillForMs = conduct.lastTickMs === undefined ? 0 : nowMs - conduct.lastTickMs
    if (stoodStillForMs > this.#timeoutMs / 2) {
      if (conduct.outpaced !== undefined) conduct.outpaced.sinceMs += stoodStillForMs
      if (conduct.stalls++ < MAX_EXCUSED_STALLS) conduct.stoodStillMs = nowMs
      if (conduct.lenientStalls++ < MAX_EXCUSED_STALLS) {
        conduct.mayWaitFromMs = nowMs
        conduct.floorMs = nowMs
      }
    }
    conduct.lastTickMs = nowMs
  }

  /** The stream to a peer broke: if it led, the node need not wait. */
  losesStream(view: NodeView, peer: NodeId): void {
    const conduct = this.#of(view)
    if (conduct.heardFrom !== peer) return
    conduct.heardMs = Number.NEGATIVE_INFINITY
    conduct.hurries = 1 + STREAM_LOSS_RETRIES
  }

  /** A message is about to be given to the node. */
  receives(view: NodeView, from: NodeId, message: Message, nowMs: number): void {
    const conduct = this.#of(view)
    const { term } = view.hardState
    switch (message.type) {
      case 'append-entries-request':
      case 'install-snapshot-request':
        if (message.term < term) return
        conduct.heardMs = nowMs
        conduct.heardFrom = from
        conduct.heardInTerm = message.term
        conduct.restarts(nowMs)
        return
      case 'pre-vote-response':
        if (!message.granted) return
        if (conduct.preVotesTerm > message.term) return
        if (conduct.preVotesTerm < message.term) conduct.preVotes.clear()
        conduct.preVotesTerm = message.term
        conduct.preVotes.add(from)
        return
      case 'timeout-now':
        conduct.askedToLeadIn = message.term
        return
      case 'vote-request':
        conduct.request = message
        if (message.term > term && !message.transfer && this.#hearsLeader(view, from, nowMs)) conduct.ignores = term
        return
      case 'append-entries-response':
      case 'install-snapshot-response':
        if (message.term !== term) return
        conduct.answeredMs.set(from, nowMs)
        if (message.type === 'append-entries-response') conduct.answeredHealth.set(from, message.health)
        return
      default:
        return
    }
  }

  #hearsLeader(view: NodeView, candidate: NodeId, nowMs: number): boolean {
    if (view.role === 'leader') return true
    const { heardFrom, heardInTerm, heardMs } = this.#of(view)
    if (view.role !== 'follower' || heardFrom === candidate || heardInTerm !== view.hardState.term) return false
    return nowMs - heardMs < this.#timeoutMs
  }

  // ---- what goes out

  /** The node decides to send a message, now or once something is durable. */
  decides(view: NodeView, to: NodeId, message: Message, nowMs: number): void {
    const conduct = this.#of(view)
    switch (message.type) {
      case 'pre-vote-response':
        if (message.granted && this.#hearsLeader(view, to, nowMs)) {
          throw this.#broken(view, `grants ${to} a pre-vote while it hears ${conduct.heardFrom ?? 'itself'} lead (T20)`)
        }
        return
      case 'vote-response':
        if (!message.granted) return
        conduct.restarts(nowMs)
        this.#earned(view, to, conduct.request)
        return
      case 'pre-vote-request':
      case 'vote-request':
        conduct.asked(nowMs)
        return
      case 'timeout-now':
        if (conduct.answeredHealth.get(to) === 'unfit' && !conduct.wanted.has(to)) {
          throw this.#broken(view, `hands over to ${to}, which says that it is unfit (T23)`)
        }
        return
      default:
        return
    }
  }

  /** The node's role changes in this step. Called before the messages of the step. */
  roleChanged(view: NodeView, role: Role, term: Term, nowMs: number): void {
    const conduct = this.#of(view)
    if (role === 'follower' && view.role === 'leader') this.#goes(view, conduct, term, nowMs)
    if (role === 'pre-candidate') this.#asks(view, conduct, nowMs)
    else if (role === 'candidate') this.#campaigns(view, conduct, term)
    else if (role === 'leader') {
      conduct.floorMs = nowMs
      conduct.outpaced = undefined
      conduct.answeredMs.clear()
      conduct.answeredHealth.clear()
      this.#leads(view, term)
    }
    if (role === 'pre-candidate' || role === 'candidate') conduct.asked(nowMs)
    else if (role === 'leader' || view.role === 'leader') conduct.restarts(nowMs)
  }

  /** A leader that is heard, and whose disk holds all that is committed, has no reason to go by itself, however slow that disk is (T23). */
  #goes(view: NodeView, conduct: Conduct, term: Term, nowMs: number): void {
    const config = this.#config(view)
    if (term !== view.ledInTerm || !isVoter(config, view.id) || view.log.configIndex(0) > view.commitIndex) return
    const answeredMs = quorumReached(config, (id) =>
      id === view.id ? nowMs : (conduct.answeredMs.get(id) ?? Number.NEGATIVE_INFINITY)
    )
    if (nowMs - answeredMs > this.#timeoutMs / 2 || view.commitIndex > view.disk.log.lastIndex) return
    throw this.#broken(view, 'gives up the lead, though it is heard and nobody holds what its disk does not (T23)')
  }

  #asks(view: NodeView, conduct: Conduct, nowMs: number): void {
    const alone = isOnlyVoter(this.#config(view), view.id)
    const quietMs = nowMs - conduct.quietSinceMs
    const mayHurry = conduct.hurries > 0
    if (mayHurry) conduct.hurries--
    if (quietMs < this.#timeoutMs && !mayHurry && !alone) {
      throw this.#broken(view, `campaigns ${quietMs} ms after it heard a leader, voted or started (T22)`)
    }
    if (nowMs - conduct.stoodStillMs < this.#timeoutMs && !mayHurry && !alone) {
      throw this.#broken(view, `campaigns ${nowMs - conduct.stoodStillMs} ms after it stood still (T26)`)
    }
    const delayMs = this.#delayMs(view)
    if (conduct.healthSinceMs <= conduct.quietSinceMs && quietMs < this.#timeoutMs + delayMs && !mayHurry && !alone) {
      throw this.#broken(
        view,
        `is ${view.health}, of priority ${view.priority}, and campaigns after ${quietMs} ms (T24)`
      )
    }
    if (this.#diskHangs(view, nowMs) && !alone) throw this.#broken(view, 'campaigns while its disk hangs (T24)')
    if (!this.#mayBeVoter(view, view.commitIndex)) throw this.#broken(view, 'campaigns, and is no voter (T27)')
  }

  #campaigns(view: NodeView, conduct: Conduct, term: Term): void {
    if (conduct.askedToLeadIn === term - 1) return
    const granted = (id: NodeId): number =>
      id === view.id || (conduct.preVotesTerm === term && conduct.preVotes.has(id)) ? 1 : 0
    if (quorumReached(this.#config(view), granted) !== 1) {
      throw this.#broken(view, `campaigns for term ${term} without the pre-votes of a quorum (T20)`)
    }
  }

  #leads(view: NodeView, term: Term): void {
    const { hardState } = view.disk
    if (!isVoter(this.#config(view), view.id) || hardState.term > term) return
    if (hardState.term < term || hardState.votedFor !== view.id) {
      throw this.#broken(view, `leads, with its vote for itself in term ${term} not on disk (T5)`)
    }
  }

  /** Whether the configuration in force, or one since `commitIndex`, makes the node a voter (T32). */
  #mayBeVoter(view: NodeView, commitIndex: Index): boolean {
    for (let back = 0; ; back++) {
      if (isVoter(view.log.config(back, this.#decode), view.id)) return true
      if (view.log.configIndex(back) <= commitIndex || back >= view.log.configIndexes.length) return false
    }
  }

  /** Paper §5.4.1: the candidate's log is at least as complete as the voter's, each time that the vote is given (T1). */
  #earned(view: NodeView, to: NodeId, request: VoteRequest | undefined): void {
    const { lastTerm, lastIndex } = view.log
    if (request === undefined || request.lastTerm > lastTerm) return
    if (request.lastTerm === lastTerm && request.lastIndex >= lastIndex) return
    throw this.#broken(
      view,
      `votes for ${to}, whose log ends at ${request.lastIndex} of term ${request.lastTerm}, its own at ${lastIndex} of ${lastTerm} (T1)`
    )
  }

  // ---- what stays

  /** A step is over. */
  stepped(view: NodeView): void {
    const conduct = this.#of(view)
    if (conduct.ignores === undefined) return
    const { ignores } = conduct
    conduct.ignores = undefined
    if (view.hardState.term !== ignores) {
      throw this.#broken(view, `was taken out of term ${ignores} by a vote request, while it heard a leader (T20)`)
    }
  }

  /**
   * The node was told that time has passed.
   *
   * @param known - the commit index that the node knows, asked for only where it matters
   */
  ticked(view: NodeView, nowMs: number, known: () => Index): void {
    const conduct = this.#of(view)
    if (view.role === 'leader') this.#staysLeader(view, conduct, nowMs, known)
    else this.#staysQuiet(view, conduct, nowMs, known)
  }

  /** A disk that hangs is reason to go only where those of a quorum do not. */
  #comparesDisks(view: NodeView, conduct: Conduct, nowMs: number, known: () => Index): void {
    const durable = view.disk.log.lastIndex
    if (conduct.outpaced !== undefined && durable >= conduct.outpaced.index) conduct.outpaced = undefined
    if (!this.#diskHangs(view, nowMs)) return
    if (conduct.outpaced === undefined && known() > durable) conduct.outpaced = { index: known(), sinceMs: nowMs }
    if (conduct.outpaced !== undefined && nowMs - conduct.outpaced.sinceMs > 2 * this.#timeoutMs) {
      throw this.#broken(view, 'leads on while its disk hangs and those of the others do not (T23)')
    }
  }

  #staysLeader(view: NodeView, conduct: Conduct, nowMs: number, known: () => Index): void {
    this.#comparesDisks(view, conduct, nowMs, known)
    const config = this.#config(view)
    if (view.log.configIndex(0) <= view.commitIndex && !isVoter(config, view.id)) {
      throw this.#broken(view, 'leads on after its removal was committed (T32)')
    }
    // Who has just been added has had no time to answer: silence then counts from the change.
    if (view.log.configIndex(0) > view.commitIndex) {
      conduct.floorMs = nowMs
      conduct.lenientStalls = 0
    }
    const answeredMs = quorumReached(config, (id) =>
      id === view.id ? nowMs : (conduct.answeredMs.get(id) ?? Number.NEGATIVE_INFINITY)
    )
    if (answeredMs > conduct.floorMs) conduct.lenientStalls = 0
    const heardMs = Math.max(answeredMs, conduct.floorMs)
    if (nowMs - heardMs > 2 * this.#timeoutMs) {
      throw this.#broken(view, `leads on without word of a quorum for ${nowMs - heardMs} ms (T21)`)
    }
  }

  #staysQuiet(view: NodeView, conduct: Conduct, nowMs: number, known: () => Index): void {
    if (view.installing || this.#diskHangs(view, nowMs)) conduct.excuse(nowMs)
    // Drawn from one to two timeouts, looked at by the tick, which comes at least every half of one.
    const silentMs = nowMs - Math.max(conduct.quietSinceMs, conduct.excusedUntilMs, conduct.mayWaitFromMs)
    // So it is after almost every tick: nobody has to campaign so soon.
    if (silentMs <= this.#timeoutMs / 2) return
    // It began its life as the only voter, or lost the lead as such: who would it wait for (T24)?
    const alone = isOnlyVoter(this.#config(view), view.id) && view.log.configIndex(0) <= view.commitIndex
    const hasNobody = alone && conduct.heardFrom === undefined && view.role === 'follower'
    if (silentMs <= (hasNobody ? this.#timeoutMs / 2 : 2.5 * this.#timeoutMs + this.#delayMs(view))) return
    if (!this.#mayBeVoter(view, known())) conduct.excuse(nowMs)
    else throw this.#broken(view, `hears nobody for ${silentMs} ms and does not campaign (T22, T32)`)
  }
}
