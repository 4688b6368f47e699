/**
 * Dissertation §6.3 (T44): a command of a session takes effect at one index of the history, however many copies of it are in the
 * log, and at the same one on every node.
 */

import type { Index } from '../../core/types.ts'
import type { SessionStamp } from '../../sessions/session-table.ts'
import { Violation } from './violation.ts'

export class ExactlyOnce {
  readonly #effects = new Map<string, Index>()

  /** The state machine of the node applied the command at `index`. */
  tookEffect(slot: number, { session, sequence }: SessionStamp, index: Index): void {
    const key = `${session} ${sequence}`
    const known = this.#effects.get(key)
    if (known === undefined) this.#effects.set(key, index)
    else if (known !== index) {
      throw new Violation(
        'exactly-once',
        `n${slot} applied command ${sequence} of session ${session} at ${index}, and it took effect at ${known}`
      )
    }
  }
}
