/**
 * The feature level belongs to the history, not to the node (T59): who knows as much to be committed as another did when it named a level, names that
 * level or a higher one, whatever it restarted, compacted or installed meanwhile.
 */

import type { CoreStatus, Index } from '../../core/types.ts'
import type { NodeView } from './view.ts'
import { Violation } from './violation.ts'

export class FeatureLevels {
  /** `#knownFrom[n]` is the lowest commit index with which anybody named level n or a higher one. */
  readonly #knownFrom: (Index | undefined)[] = []

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
