/**
 * What a node starts with, held against its disk (T52 to T54): a judge of the full mode, asked by `full-node.ts` when a core is made.
 */

import type { CoreInit, Index, Term } from '../../core/types.ts'
import type { DiskImage } from '../disk.ts'
import type { NodeView } from '../judges/view.ts'
import { Violation } from '../judges/violation.ts'

/** How far a disk goes. */
export interface Standing {
  readonly term: Term
  readonly lastIndex: Index
  readonly lastChain: number
}

export const standingOf = ({ hardState, log }: DiskImage): Standing => ({
  term: hardState.term,
  lastIndex: log.lastIndex,
  lastChain: log.lastChain
})

/** What a node starts from is what is on its disk, neither more nor less; and unless it was damaged, all that was there before. */
export function judgeLoaded(
  view: NodeView,
  { hardState, base, entries }: CoreInit,
  before: Standing | undefined
): void {
  const { disk } = view
  const lastIndex = base.index + entries.length
  const lastChain = entries.at(-1)?.chain ?? base.chain
  const wrong = (what: string): Violation => new Violation('loaded', `${view.id} starts with ${what}`)
  if (hardState.term !== disk.hardState.term || hardState.votedFor !== disk.hardState.votedFor) {
    throw wrong(
      `term ${hardState.term} and a vote for ${hardState.votedFor}; its disk says ${disk.hardState.term} and ${disk.hardState.votedFor}`
    )
  }
  if (base.index !== disk.log.base.index || base.chain !== disk.log.base.chain)
    throw wrong(`a log after ${base.index}; on its disk it begins after ${disk.log.base.index}`)
  if (lastIndex !== disk.log.lastIndex || lastChain !== disk.log.lastChain)
    throw wrong(`a log up to ${lastIndex}; on its disk it goes to ${disk.log.lastIndex}`)
  if (before === undefined) return
  if (hardState.term < before.term) throw wrong(`term ${hardState.term}, and ${before.term} was on its disk`)
  if (!disk.log.holds(before.lastIndex, before.lastChain))
    throw wrong(`a log up to ${lastIndex}, and another up to ${before.lastIndex} was on its disk`)
}
