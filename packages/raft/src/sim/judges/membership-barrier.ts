/**
 * Ongaro's correction of 2015 (raft-dev, "bug in single-server membership changes"; T29): a leader begins a membership change only when the
 * configuration in force and an entry of its own term are committed. A leader that does not wait may build on a configuration that another
 * leader replaces, and two majorities that do not meet may decide.
 */

import { type ClusterConfig, type Entry, EntryKind, type Index } from '../../core/types.ts'
import type { DecodeConfig, NodeView } from './view.ts'
import { Violation } from './violation.ts'

export class MembershipBarrier {
  readonly #decode: DecodeConfig

  constructor(decode: DecodeConfig) {
    this.#decode = decode
  }

  /** A leader is about to take entries of its own into its log; `commitIndex` is what it takes for committed. */
  appends(view: NodeView, entries: readonly Entry[], commitIndex: () => Index): void {
    for (const entry of entries) {
      if (entry.kind !== EntryKind.config) continue
      const before = view.log.config(0, this.#decode)
      const after: ClusterConfig = this.#decode(entry)
      // Leaving a joint configuration ends a change, it begins none.
      if (before.outgoing.length > 0 && after.outgoing.length === 0) continue
      const committed = commitIndex()
      const configIndex = view.log.configIndex(0)
      if (committed < configIndex) {
        throw new Violation(
          'membership-barrier',
          `n${view.slot} begins a change at ${entry.index} on the uncommitted configuration of ${configIndex}`
        )
      }
      if ((view.log.termAt(committed) ?? 0) !== entry.term) {
        throw new Violation(
          'membership-barrier',
          `n${view.slot} begins a change at ${entry.index} in term ${entry.term}, with nothing of that term committed (commit index ${committed})`
        )
      }
    }
  }
}
