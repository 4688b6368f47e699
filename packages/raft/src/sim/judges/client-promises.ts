/**
 * What clients were promised. A write that was acknowledged is in the committed history for ever, at the place that was named, once. A read sees
 * every write acknowledged, and every state shown to another read, before it began (dissertation §6.4; T46 to T48): with one totally ordered history
 * that is the whole of linearizability for reads by index.
 */

import type { Index } from '../../core/types.ts'
import type { Committed } from './committed.ts'
import { Violation } from './violation.ts'

export class ClientPromises {
  readonly #committed: Committed
  /** Acknowledged writes: index → chain. */
  readonly #acknowledged = new Map<Index, number>()
  /** Highest index that any client knows to be in the history. */
  known: Index = 0

  constructor(committed: Committed) {
    this.#committed = committed
  }

  get acknowledgedCount(): number {
    return this.#acknowledged.size
  }

  /** A client was told that its command at `index` is committed and applied. */
  acknowledged(slot: number, index: Index, chain: number): void {
    const committed = this.#committed.chainAt(index)
    if (committed !== chain) {
      throw new Violation(
        'client-promises',
        `n${slot} acknowledged a write at ${index} that is not the committed one there`
      )
    }
    const known = this.#acknowledged.get(index)
    if (known !== undefined && known !== chain) {
      throw new Violation('client-promises', `two different writes were acknowledged at ${index}`)
    }
    this.#acknowledged.set(index, chain)
    if (index > this.known) this.known = index
  }

  /** A read that began when `knownAtStart` was known may be served from `readIndex` on. */
  readReady(slot: number, readIndex: Index, knownAtStart: Index): void {
    if (readIndex < knownAtStart) {
      throw new Violation(
        'client-promises',
        `n${slot} serves a read from ${readIndex}, though ${knownAtStart} was acknowledged before the read began`
      )
    }
  }

  /** A read was served from a state at `index`. */
  readServed(index: Index): void {
    if (index > this.known) this.known = index
  }

  /** At the end: every acknowledged write is in the history of a node whose state stands at `appliedIndex` and whose log's chains are given. */
  kept(slot: number, appliedIndex: Index, chainAt: (index: Index) => number | undefined): void {
    for (const [index, chain] of this.#acknowledged) {
      const here = chainAt(index)
      if (index > appliedIndex || (here !== undefined && here !== chain)) {
        throw new Violation(
          'client-promises',
          `the write acknowledged at ${index} is lost on n${slot}, which stands at ${appliedIndex}`
        )
      }
    }
  }
}
