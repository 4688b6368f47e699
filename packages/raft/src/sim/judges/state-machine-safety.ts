/**
 * Paper §5.4.3, State Machine Safety: nodes apply the same entries at the same indexes, in order, each once, and only such that are on
 * their own disk. The digest of the state, which the state machine computes by itself, must be equal wherever states stand at the same index (T43, T45).
 */

import type { Entry, Index } from '../../core/types.ts'
import type { StateImage } from '../disk.ts'
import type { NodeView } from './view.ts'
import { Violation } from './violation.ts'

export class StateMachineSafety {
  /** Per index: the chain of the entry that was handed to apply, by whomever. */
  readonly #applied: number[] = []
  /** Per index: the digest of the state there. */
  readonly #digests: number[] = []

  /** The node hands `entries` to its state machine. */
  handsOver(view: NodeView, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const { index } = entry
      if (index !== view.handedToApply + 1) {
        throw new Violation('state-machine-safety', `n${view.slot} applies entry ${index} after ${view.handedToApply}`)
      }
      view.handedToApply = index
      const known = this.#applied[index]
      if (known === undefined) this.#applied[index] = entry.chain
      else if (known !== entry.chain) {
        throw new Violation(
          'state-machine-safety',
          `n${view.slot} applies another entry ${index} than was applied elsewhere`
        )
      }
      if (view.disk.log.chainAt(index) !== entry.chain) {
        throw new Violation(
          'state-machine-safety',
          `n${view.slot} applies entry ${index}, which is not on its own disk`
        )
      }
    }
  }

  /** The node's state stands here now, having applied or restored. */
  stands(slot: number, state: StateImage): void {
    const known = this.#digests[state.index]
    if (known === undefined) this.#digests[state.index] = state.digest
    else if (known !== state.digest) {
      throw new Violation('state-machine-safety', `n${slot}'s state at ${state.index} differs from another's there`)
    }
  }

  /** The state was replaced by a snapshot: it must not go back (T38). */
  restores(view: NodeView, index: Index): void {
    if (index < view.handedToApply) {
      throw new Violation(
        'state-machine-safety',
        `n${view.slot} restores a snapshot at ${index}, having applied ${view.handedToApply}`
      )
    }
    view.handedToApply = index
  }
}
