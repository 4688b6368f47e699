/** Paper §5.2, Election Safety: at most one leader in a term, for ever. A node leads when it says so or when it sends as a leader. */

import type { Term } from '../../core/types.ts'
import type { NodeView } from './view.ts'
import { Violation } from './violation.ts'

export class ElectionSafety {
  readonly #leaderOf = new Map<Term, number>()

  /** @returns whether this is news */
  leads(view: NodeView, term: Term): boolean {
    const known = this.#leaderOf.get(term)
    if (known === view.slot) return false
    if (known !== undefined) {
      throw new Violation('election-safety', `n${known} and n${view.slot} both lead in term ${term}`)
    }
    this.#leaderOf.set(term, view.slot)
    return true
  }

  get terms(): number {
    return this.#leaderOf.size
  }
}
