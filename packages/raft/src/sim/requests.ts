/**
 * What clients and the nemesis ask of one node, from the question to the core's answer to it: the driver's part of proposals, reads, reads by
 * lease, changes of members and hand-overs. Every question is answered once, at the latest when the node dies.
 *
 * Called by `node.ts`; answers that need the state go through `applier.ts`.
 */

import { type Effect, EntryKind, type Index, type Input, type NodeId } from '../core/types.ts'
import { TraceCode } from './history.ts'
import { intakeBounded } from './judges/intake.ts'
import { Violation } from './judges/violation.ts'
import type { SimNode } from './node.ts'
import type { Prng } from './prng.ts'
import type { NodeSurroundings, Outcome, Settle } from './surroundings.ts'
import { EventKind } from './world.ts'

interface Request {
  readonly settle: Settle
  readonly knownAtStart: Index
  readonly askedAt: number
}

export class Requests {
  readonly #node: SimNode
  readonly #leaseReads: Prng
  readonly #around: NodeSurroundings
  #ticket = 0
  readonly #tickets = new Map<number, Request>()

  constructor(node: SimNode, leaseReads: Prng, around: NodeSurroundings) {
    this.#node = node
    this.#leaseReads = leaseReads
    this.#around = around
  }

  /** The node died; answers those who wait in vain. */
  crashed(): readonly Request[] {
    const waiting = [...this.#tickets.values()]
    this.#tickets.clear()
    return waiting
  }

  propose(payloads: readonly Uint8Array[], settle: Settle): void {
    this.#request(settle, (ticket) => ({ type: 'propose', ticket, payloads }))
  }

  read(settle: Settle): void {
    this.#request(settle, (ticket) => ({ type: 'read', ticket }))
  }

  changeMembers(voters: readonly NodeId[], learners: readonly NodeId[], settle: Settle): void {
    this.#request(settle, (ticket) => ({ type: 'change-members', ticket, change: { voters, learners } }))
  }

  /** As the driver's `leaseRead`: a look at the lease, the state when it stands there, and the lease again before the answer leaves. */
  leaseRead(settle: Settle): void {
    this.#node.whenAwake(() => {
      const index = this.#node.core?.leaseIndex(this.#node.nowMs)
      if (index === undefined) this.read(settle)
      else this.#node.applier.readable(index, (outcome) => this.#answerByLease(outcome, settle))
    })
  }

  #answerByLease(outcome: Outcome, settle: Settle): void {
    const { world, panel, profile } = this.#around
    const { boot } = this.#node
    const answer = (): void => {
      if (this.#node.boot !== boot || this.#node.core === undefined) settle({ type: 'unknown' })
      else if (!this.#node.core.holdsLease(this.#node.nowMs)) this.read(settle)
      else {
        panel.readByLease(this.#node.view)
        settle(outcome)
      }
    }
    if (outcome.type !== 'read') {
      settle(outcome)
      return
    }
    const pauseUs = 1 + this.#leaseReads.exponential(profile.standing.meanReadPauseUs)
    world.schedule(pauseUs, EventKind.call, this.#node.slot, 0, 0, () => this.#node.whenAwake(answer))
  }

  transfer(to: NodeId | undefined, settle: Settle): void {
    if (to !== undefined) this.#around.panel.conduct?.wants(this.#node.view, to)
    this.#request(settle, (ticket) => ({ type: 'transfer', ticket, to }))
  }

  #request(settle: Settle, make: (ticket: number) => Input): void {
    if (this.#node.core === undefined) {
      settle({ type: 'unknown' })
      return
    }
    const { panel } = this.#around
    const ticket = ++this.#ticket
    this.#tickets.set(ticket, {
      settle,
      knownAtStart: panel.promises.known,
      askedAt: panel.confirmations?.asked() ?? 0
    })
    this.#node.whenAwake(() => this.#node.step(make(ticket)))
  }

  /** The core answers one of them. */
  answer(effect: Extract<Effect, { ticket: number }>): void {
    const { world, history, panel } = this.#around
    const request = this.#tickets.get(effect.ticket)
    if (request === undefined) {
      throw new Violation(
        'answers',
        `n${this.#node.slot} answers request ${effect.ticket} twice, or never heard of it: ${effect.type}`
      )
    }
    this.#tickets.delete(effect.ticket)
    switch (effect.type) {
      case 'proposed':
        history.note(world.nowUs, TraceCode.proposed, this.#node.slot, effect.first, effect.last, undefined)
        // A change of members may always be appended: it can be what brings a group out of trouble.
        if (panel.conduct !== undefined && this.#node.core?.entry(effect.last)?.kind === EntryKind.command) {
          intakeBounded(
            this.#node.view,
            effect,
            this.#node.core.status(this.#node.nowMs).appliedIndex,
            this.#around.profile.core
          )
        }
        this.#node.applier.proposed(effect.last, effect.term, request.settle)
        return
      case 'refused':
        history.note(
          world.nowUs,
          TraceCode.refused,
          this.#node.slot,
          effect.ticket,
          effect.reason.length,
          effect.reason
        )
        request.settle({ type: 'refused', reason: effect.reason, leader: effect.leader })
        return
      case 'read-ready':
        history.note(world.nowUs, TraceCode.readReady, this.#node.slot, effect.index, request.knownAtStart, undefined)
        panel.promises.readReady(this.#node.slot, effect.index, request.knownAtStart)
        panel.confirmations?.confirmed(this.#node.view, request.askedAt, this.#node.view.log.config(0, panel.decode))
        this.#node.applier.readable(effect.index, request.settle)
        return
      case 'transferred':
        request.settle({ type: 'transferred' })
    }
  }
}
