/**
 * What a leader believes a peer to hold, it holds: `matchIndex` is only ever what one of the peer's answers of this term proved, so the entry there
 * is on the peer's disk, and so is all before it (T10, T11). A peer that has moved on to a later term may have cut its log by right.
 */

import type { CoreStatus, NodeId } from '../../core/types.ts'
import type { NodeView } from './view.ts'
import { Violation } from './violation.ts'

export class MatchIndex {
  readonly #views: readonly NodeView[]
  readonly #slotOf: ReadonlyMap<NodeId, number>

  constructor(views: readonly NodeView[], slotOf: ReadonlyMap<NodeId, number>) {
    this.#views = views
    this.#slotOf = slotOf
  }

  reports(view: NodeView, { term, peers }: CoreStatus): void {
    for (const { id, matchIndex } of peers) {
      const peer = this.#views[this.#slotOf.get(id) ?? -1]
      const chain = view.log.chainAt(matchIndex)
      if (peer === undefined || chain === undefined || peer.disk.hardState.term > term) continue
      if (peer.disk.log.holds(matchIndex, chain)) continue
      throw new Violation(
        'match-index',
        `n${view.slot}, which leads in term ${term}, believes that ${id} holds entry ${matchIndex}; its disk does not`
      )
    }
  }
}
