/**
 * Requests that are rare and answered once: changes of the membership, and hand-overs. Used by `driver.ts`.
 *
 * A change is done when the configuration asked for is committed, without an outgoing half, at or past the place where the change was
 * appended. It is lost when the configuration in force lies before that place, or is another at that very place: then another leader
 * replaced it. Another one past that place tells nothing: the change may have been done, and followed by the next.
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
    for (const { change, index: asked, settle } of [...this.#pending.values()]) {
      if (change === undefined || asked === undefined) continue
      if (index < asked) {
        settle(new ProposalLostError(asked, `the configuration in force is that of ${index}`))
        continue
      }
      if (!committed || config.outgoing.length > 0) continue
      const done = sameMembers(config.voters, change.voters) && sameMembers(config.learners, change.learners)
      if (done) settle(undefined)
      else if (index === asked) settle(new ProposalLostError(asked, 'the configuration there is another'))
      else settle(new OutcomeUnknownError(`the configuration at ${index}, later than ${asked}, is another`))
    }
  }

  stop(why: string): void {
    for (const request of [...this.#pending.values()]) request.settle(new OutcomeUnknownError(why))
  }
}
