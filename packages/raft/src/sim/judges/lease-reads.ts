/**
 * A read by lease is answered only while nobody else can have acknowledged anything: at that moment, by the clock of the world, no entry
 * was committed in a later term than that of the leader who answers (T49). Stronger than linearizability, which allows an answer that was
 * right when the state was looked at: who acts on an answer acts on what is so now. Left out with `consequencesOnly`.
 */

import type { Term } from '../../core/types.ts'
import type { NodeView } from './view.ts'
import { Violation } from './violation.ts'

/** @param committedTerm - the latest term in which anything was committed */
export function leaseReadAnswered(view: NodeView, committedTerm: Term): void {
  const { term } = view.hardState
  if (committedTerm <= term) return
  throw new Violation(
    'lease-reads',
    `n${view.slot} answers a read by its lease of term ${term}, after the leader of term ${committedTerm} committed (T49)`
  )
}
