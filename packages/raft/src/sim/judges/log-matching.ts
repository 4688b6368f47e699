/**
 * Paper §5.3, Log Matching: if two logs hold an entry of the same index and term, they agree in everything up to there. Every entry's
 * chain covers all before it, so one comparison per entry is the whole proof; and every log is without a hole.
 */

import { isIntact } from '../../core/record.ts'
import type { Checksum, Entry } from '../../core/types.ts'
import type { NodeView } from './view.ts'
import { Violation } from './violation.ts'

export class LogMatching {
  readonly #checksum: Checksum
  /** Per index: the entries ever seen there, one per term. */
  readonly #seen: Entry[][] = []

  constructor(checksum: Checksum) {
    this.#checksum = checksum
  }

  /** The node takes `entries` into its log, after the truncation from `truncateFrom`. */
  taken(view: NodeView, truncateFrom: number | undefined, entries: readonly Entry[]): void {
    const { log } = view
    if (truncateFrom !== undefined && !log.truncateFrom(truncateFrom)) {
      throw new Violation(
        'log-matching',
        `n${view.slot} truncates from ${truncateFrom}, into its base ${log.base.index}`
      )
    }
    for (const entry of entries) {
      this.#compare(view, entry, log.lastChain, log.lastTerm)
      if (!log.append(entry)) {
        throw new Violation('log-matching', `n${view.slot} takes entry ${entry.index} after ${log.lastIndex}: a hole`)
      }
    }
  }

  #compare(view: NodeView, entry: Entry, previousChain: number, previousTerm: number): void {
    const place = `n${view.slot}, entry ${entry.index} of term ${entry.term}`
    if (entry.term < previousTerm)
      throw new Violation('log-matching', `${place}: follows an entry of term ${previousTerm}`)
    let seen = this.#seen[entry.index]
    if (seen === undefined) {
      seen = []
      this.#seen[entry.index] = seen
    }
    for (const other of seen) {
      if (other.term !== entry.term) continue
      if (other.chain !== entry.chain) {
        throw new Violation('log-matching', `${place}: chain ${entry.chain}, elsewhere ${other.chain}`)
      }
      if (other === entry) return
    }
    if (!isIntact(entry, previousChain, this.#checksum)) {
      throw new Violation('log-matching', `${place}: its chain does not continue the log's, ${previousChain}`)
    }
    seen.push(entry)
  }
}
