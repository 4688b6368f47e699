/**
 * Feature levels (T59). A leader raises the level only once every member of the configuration in force, learner or voter, runs a version that knows it.
 * And the level belongs to the history, not to the node: who knows as much to be committed as another did when it named a level, names that
 * level or a higher one, whatever it restarted, compacted or installed meanwhile.
 */

import { levelOf } from '../../core/announcements.ts'
import { membersOf } from '../../core/members.ts'
import { type CoreStatus, type Entry, EntryKind, type Index, type NodeId } from '../../core/types.ts'
import type { DecodeConfig, NodeView } from './view.ts'
import { Violation } from './violation.ts'

export class FeatureLevels {
  /** `#knownFrom[n]` is the lowest commit index with which anybody named level n or a higher one. */
  readonly #knownFrom: (Index | undefined)[] = []

  readonly #views: readonly NodeView[]
  readonly #slotOf: ReadonlyMap<NodeId, number>
  readonly #decode: DecodeConfig

  constructor(views: readonly NodeView[], slotOf: ReadonlyMap<NodeId, number>, decode: DecodeConfig) {
    this.#views = views
    this.#slotOf = slotOf
    this.#decode = decode
  }

  /** The highest level that anybody took part at. */
  get highest(): number {
    return Math.max(1, this.#knownFrom.length - 1)
  }

  /** The highest level that the version of this node knows. */
  knownBy(id: NodeId): number {
    return this.#views[this.#slotOf.get(id) ?? -1]?.version ?? 1
  }

  /** A leader is about to add these entries to its log. */
  appends(view: NodeView, entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.kind !== EntryKind.level) continue
      const level = levelOf(entry) ?? 0
      const old = membersOf(view.log.config(0, this.#decode)).find((id) => this.knownBy(id) < level)
      if (old === undefined) continue
      throw new Violation(
        'feature-levels',
        `n${view.slot} raises the level to ${level} at ${entry.index}, and ${old} knows ${this.knownBy(old)}`
      )
    }
  }

  reports(view: NodeView, { level, commitIndex, supportedLevel }: CoreStatus): void {
    if (level > supportedLevel) {
      throw new Violation('feature-levels', `n${view.slot} takes part at level ${level}, and knows ${supportedLevel}`)
    }
    for (let n = 1; n <= level; n++) this.#knownFrom[n] = Math.min(this.#knownFrom[n] ?? commitIndex, commitIndex)
    const next = this.#knownFrom[level + 1]
    if (next !== undefined && next <= commitIndex) {
      throw new Violation(
        'feature-levels',
        `n${view.slot} is at level ${level} with commit index ${commitIndex}, and level ${level + 1} was in force at ${next}`
      )
    }
  }
}
