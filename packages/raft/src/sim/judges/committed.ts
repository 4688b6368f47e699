/**
 * The committed history, as far as anybody was seen to rely on it: per index the chain and the term of the leader that committed it. Judges
 * four things by it. Two nodes never take different entries for committed. What is committed stands on the disks of a majority of every set of
 * voters in force, nodes that are down included (T9, T60). Nobody of that term or a later one drops or overwrites it (T16). And paper §5.4,
 * Leader Completeness: the leader of any later term holds it.
 */

import type { Index, NodeId, Term } from '../../core/types.ts'
import type { DecodeConfig, NodeView } from './view.ts'
import { Violation } from './violation.ts'

export class Committed {
  /** `chains[i]` belongs to index i; index 0 is the empty history. */
  readonly #chains: number[] = [0]
  /** The term in which index i was seen committed. */
  readonly #terms: Term[] = [0]
  readonly #views: readonly NodeView[]
  readonly #slotOf: ReadonlyMap<NodeId, number>
  readonly #decode: DecodeConfig

  constructor(views: readonly NodeView[], slotOf: ReadonlyMap<NodeId, number>, decode: DecodeConfig) {
    this.#views = views
    this.#slotOf = slotOf
    this.#decode = decode
  }

  get lastIndex(): Index {
    return this.#chains.length - 1
  }

  /** The latest term in which anything was committed. */
  get lastTerm(): Term {
    return this.#terms[this.#terms.length - 1] as Term
  }

  chainAt(index: Index): number | undefined {
    return this.#chains[index]
  }

  /** The node takes everything up to `index` for committed. */
  observed(view: NodeView, index: Index): void {
    if (index <= view.commitIndex) return
    view.commitIndex = index
    const known = this.lastIndex
    const { log } = view
    if (index > log.lastIndex) {
      throw new Violation(
        'committed',
        `n${view.slot} takes ${index} for committed, beyond the end of its log, ${log.lastIndex}`
      )
    }
    const shared = Math.min(index, known)
    if (!log.holds(shared, this.#chains[shared] as number)) {
      throw new Violation(
        'committed',
        `n${view.slot} takes another entry ${shared} (chain ${log.chainAt(shared)}) for committed than the group did (chain ${this.#chains[shared]})`
      )
    }
    if (index > known) this.#extend(view, known, index)
  }

  /**
   * Paper §5.4.2: a leader moves its commit index to entries of its own term only (T8). What it knew before it led it tells in the step in which it
   * comes to lead, before its role is seen to change.
   */
  announces(view: NodeView, index: Index): void {
    const { term } = view.hardState
    if (view.role !== 'leader' || index <= view.commitIndex || view.log.termAt(index) === term) return
    throw new Violation(
      'own-term-commit',
      `n${view.slot} leads in term ${term} and commits ${index}, of term ${view.log.termAt(index)}`
    )
  }

  #extend(view: NodeView, known: Index, index: Index): void {
    const { term } = view.hardState
    for (let i = known + 1; i <= index; i++) {
      const chain = view.log.chainAt(i)
      if (chain === undefined) {
        throw new Violation('committed', `n${view.slot} skips over ${i}, which nobody was seen to commit`)
      }
      this.#chains.push(chain)
      this.#terms.push(term)
    }
    this.#standsOnQuorum(view, index)
    for (const other of this.#views) {
      if (other.alive && other.role === 'leader' && other.hardState.term > term) this.leads(other)
    }
  }

  /**
   * A leader may have appended a configuration in the same step in which it committed by the one before, so that either will do.
   * (Of a joint change, a majority by the later configuration alone is more than was asked for, and as good.)
   */
  #standsOnQuorum(view: NodeView, index: Index): void {
    const chain = this.#chains[index] as number
    for (let back = 0; back < 3; back++) {
      const config = view.log.config(back, this.#decode)
      const { voters, outgoing } = config
      const enough = outgoing.length === 0 || this.#majorityHolds(outgoing, index, chain)
      if (enough && this.#majorityHolds(voters, index, chain)) return
      if (view.log.configIndexes.length <= back) break
    }
    const config = view.log.config(0, this.#decode)
    const holders = this.#views.filter((other) => other.disk.log.holds(index, chain)).map((other) => other.id)
    throw new Violation(
      'committed',
      `entry ${index} is committed for n${view.slot} in term ${view.hardState.term}, but durable only on [${holders.join(' ')}] ` +
        `of voters [${config.voters.join(' ')}]${config.outgoing.length > 0 ? ` and [${config.outgoing.join(' ')}]` : ''}`
    )
  }

  #majorityHolds(voters: readonly NodeId[], index: Index, chain: number): boolean {
    let holding = 0
    for (const id of voters) {
      const slot = this.#slotOf.get(id)
      if (slot !== undefined && this.#views[slot]?.disk.log.holds(index, chain)) holding++
    }
    return holding * 2 > voters.length
  }

  /** The node is about to drop all from `index` on. */
  truncates(view: NodeView, index: Index): void {
    if (index > this.lastIndex || view.hardState.term < (this.#terms[index] as Term)) return
    if (view.log.chainAt(index) === this.#chains[index]) {
      throw new Violation(
        'committed',
        `n${view.slot}, in term ${view.hardState.term}, drops entry ${index}, committed in term ${this.#terms[index]}`
      )
    }
  }

  /** The node took entries up to `index` into its log. */
  appended(view: NodeView, first: Index, last: Index): void {
    for (let index = first; index <= Math.min(last, this.lastIndex); index++) {
      if (view.hardState.term < (this.#terms[index] as Term)) return
      if (view.log.chainAt(index) !== this.#chains[index]) {
        throw new Violation(
          'committed',
          `n${view.slot}, in term ${view.hardState.term}, has another entry ${index} than was committed in term ${this.#terms[index]}`
        )
      }
    }
  }

  /** The node leads: it must hold all that was committed in earlier terms. */
  leads(view: NodeView): void {
    const { term } = view.hardState
    let index = this.lastIndex
    while (index > 0 && (this.#terms[index] as Term) >= term) index--
    if (!view.log.holds(index, this.#chains[index] as number)) {
      throw new Violation(
        'leader-completeness',
        `n${view.slot} leads in term ${term} without entry ${index}, committed in term ${this.#terms[index]}; its log ends at ${view.log.lastIndex}`
      )
    }
  }
}
