/**
 * Paper §5.2: a node votes at most once in a term, for ever, crashes included (T1, T2, T4). The votes are kept here, outside
 * the node; they are learnt from the answers that it sends and from its disk.
 */

import type { HardState, NodeId, Term } from '../../core/types.ts'
import type { NodeView } from './view.ts'
import { Violation } from './violation.ts'

export class SingleVote {
  /** Per slot: term → candidate. */
  readonly #votes: Map<Term, NodeId>[] = []
  readonly #durable: HardState[] = []

  /** The node is seen to give its vote of `term` to `candidate`. */
  voted(view: NodeView, term: Term, candidate: NodeId): void {
    let votes = this.#votes[view.slot]
    if (votes === undefined) {
      votes = new Map()
      this.#votes[view.slot] = votes
    }
    const known = votes.get(term)
    if (known === undefined) votes.set(term, candidate)
    else if (known !== candidate) {
      throw new Violation('single-vote', `n${view.slot} voted for ${known} and for ${candidate} in term ${term}`)
    }
  }

  /** The node's disk changed. */
  durable(view: NodeView): void {
    const now = view.disk.hardState
    const before = this.#durable[view.slot]
    if (before === now) return
    this.#durable[view.slot] = now
    if (before !== undefined) {
      if (now.term < before.term) {
        throw new Violation('single-vote', `n${view.slot}'s durable term went back from ${before.term} to ${now.term}`)
      }
      if (now.term === before.term && before.votedFor !== undefined && now.votedFor === undefined) {
        throw new Violation('single-vote', `n${view.slot} forgot its vote for ${before.votedFor} in term ${now.term}`)
      }
    }
    if (now.votedFor !== undefined) this.voted(view, now.term, now.votedFor)
  }
}
