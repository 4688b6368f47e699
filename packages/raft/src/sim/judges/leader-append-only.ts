/** Paper §5.3, Leader Append-Only: a leader never overwrites or deletes entries of its log while it leads. */

import type { NodeView } from './view.ts'
import { Violation } from './violation.ts'

export class LeaderAppendOnly {
  /** A step of the node is over. */
  stepped(view: NodeView): void {
    if (view.truncatedFrom === 0) return
    if (view.ledInTerm !== 0 && view.role === 'leader' && view.hardState.term === view.ledInTerm) {
      throw new Violation(
        'leader-append-only',
        `n${view.slot} truncated its log from ${view.truncatedFrom} while it led in term ${view.ledInTerm}`
      )
    }
  }
}
