/**
 * Requests that are rare and answered once: changes of the membership, and hand-overs. Used by `driver.ts`.
 *
 * A change is done when a configuration without an outgoing half is committed at or past the place where it was appended; if that
 * is not the configuration asked for, another leader replaced the change.
 */

import type { ClusterConfig, Index, MembershipChange, NodeId, RefusalReason } from '../core/types.ts'
import { OutcomeUnknownError, ProposalLostError } from '../errors.ts'
import { refusal } from './proposals.ts'

interface Request {
  /** Undefined for a hand-over. */
  readonly change: MembershipChange | undefined
  /** Where the change was appended. */
  index: Index | undefined
  readonly settle: (error: Error | undefined) => void
}

const sameMembers = (a: readonly NodeId[], b: readonly NodeId[]): boolean =>
  a.length === b.length && [...a].sort().join() === [...b].sort().join()

export class Requests {
  readonly #pending = new Map<number, Request>()

  /** Waits for the answer to a ticket that the caller then gives to the core. */
  add(ticket: number, change: MembershipChange | undefined, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => settle(new OutcomeUnknownError('the caller stopped waiting', { cause: signal?.reason }))
      const settle = (error: Error | undefined) => {
        this.#pending.delete(ticket)
        signal?.removeEventListener('abort', onAbort)
        if (error === undefined) resolve()
        else reject(error)
      }
      this.#pending.set(ticket, { change, index: undefined, settle })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  onProposed(ticket: number, first: Index): void {
    const request = this.#pending.get(ticket)
    if (request !== undefined) request.index = first
  }

  onRefused(ticket: number, reason: RefusalReason, leader: NodeId | undefined, detail: string): void {
    this.#pending.get(ticket)?.settle(refusal(reason, leader, detail))
  }

  onTransferred(ticket: number): void {
    this.#pending.get(ticket)?.settle(undefined)
  }

  onConfig(config: ClusterConfig, index: Index, committed: boolean): void {
    if (!committed || config.outgoing.length > 0) return
    for (const { change, index: asked, settle } of [...this.#pending.values()]) {
      if (change === undefined || asked === undefined || index < asked) continue
      const done = sameMembers(config.voters, change.voters) && sameMembers(config.learners, change.learners)
      settle(done ? undefined : new ProposalLostError(asked, `the configuration at ${index} is another`))
    }
  }

  stop(why: string): void {
    for (const request of [...this.#pending.values()]) request.settle(new OutcomeUnknownError(why))
  }
}
