/**
 * What clients and the nemesis ask of one node of the full mode, by the calls that an application has. Every question is answered once, at the
 * latest when the process dies. Called by `full-node.ts`.
 */

import type { Raft } from '../../api.ts'
import type { NodeId } from '../../core/types.ts'
import { TraceCode } from '../history.ts'
import { Violation } from '../judges/violation.ts'
import type { Prng } from '../prng.ts'
import { serialOf } from '../sessions.ts'
import type { Outcome, Settle } from '../surroundings.ts'
import type { FullNode, FullSurroundings } from './full-node.ts'
import { outcomeOf } from './outcome.ts'
import type { SimulatedProcess } from './process.ts'
import type { RegisterMachine } from './register-machine.ts'

/** The process that is asked. */
export interface AskedLife {
  readonly process: SimulatedProcess
  /** Who has not been answered. */
  readonly waiting: Set<Settle>
  readonly raft: Raft<number> | undefined
  readonly machine: RegisterMachine | undefined
}

export class FullRequests {
  readonly #node: FullNode
  readonly #life: () => AskedLife | undefined
  readonly #leaseReads: Prng
  readonly #around: FullSurroundings

  /** @param life - the process that runs now, if one does */
  constructor(node: FullNode, life: () => AskedLife | undefined, leaseReads: Prng, around: FullSurroundings) {
    this.#node = node
    this.#life = life
    this.#leaseReads = leaseReads
    this.#around = around
  }

  propose(payloads: readonly Uint8Array[], settle: Settle): void {
    const { panel, judge, history, world } = this.#around
    this.#request(settle, async (raft) => {
      const committed = await raft.proposeMany(payloads)
      const last = committed[committed.length - 1]
      if (last === undefined) return { type: 'unknown' }
      history.note(world.nowUs, TraceCode.acknowledged, this.#node.slot, last.index, last.term, undefined)
      judge(() => {
        if (committed.some(({ result }, n) => result !== serialOf(payloads[n] as Uint8Array))) {
          throw new Violation('client-promises', `n${this.#node.slot} answers a write with the result of another`)
        }
        const chain = this.#node.view.log.chainAt(last.index) ?? panel.committed.chainAt(last.index)
        panel.promises.acknowledged(this.#node.slot, last.index, chain ?? -1)
      })
      return { type: 'acknowledged', index: last.index, term: last.term }
    })
  }

  read(settle: Settle): void {
    const { panel, judge } = this.#around
    const { known } = panel.promises
    this.#request(settle, async (raft, machine) => {
      const index = await raft.readBarrier()
      const { state } = machine
      judge(() => {
        panel.promises.readReady(this.#node.slot, Math.min(index, state.index), known)
        panel.promises.readServed(state.index)
      })
      return { type: 'read', index: state.index, registers: state.registers }
    })
  }

  leaseRead(settle: Settle): void {
    const { meanReadPauseUs } = this.#around.profile.standing
    const process = this.#life()?.process
    this.#request(settle, async (raft, machine) => {
      const { index, registers } = await raft.leaseRead(async () => {
        const { state } = machine
        await process?.delay(1 + this.#leaseReads.exponential(meanReadPauseUs))
        return state
      })
      return { type: 'read', index, registers }
    })
  }

  changeMembers(voters: readonly NodeId[], learners: readonly NodeId[], settle: Settle): void {
    this.#request(settle, async (raft) => {
      await raft.changeMembers({ voters, learners })
      return { type: 'transferred' }
    })
  }

  transfer(to: NodeId | undefined, settle: Settle): void {
    this.#request(settle, async (raft) => {
      await raft.transferLeadership(to)
      return { type: 'transferred' }
    })
  }

  #request(settle: Settle, ask: (raft: Raft<number>, machine: RegisterMachine) => Promise<Outcome>): void {
    const life = this.#life()
    if (life === undefined) {
      settle({ type: 'unknown' })
      return
    }
    const once: Settle = (outcome) => {
      if (life.waiting.delete(once)) settle(outcome)
    }
    life.waiting.add(once)
    life.process.happens(() => {
      const { raft, machine } = life
      if (raft === undefined || machine === undefined) {
        once({ type: 'refused', reason: 'not-leader', leader: undefined })
        return
      }
      ask(raft, machine).then(once, (error: unknown) => once(outcomeOf(error)))
    })
  }
}
