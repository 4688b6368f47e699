/**
 * A log as a list of entries above a base. Serves twice: as what is on a simulated disk, and as the judges' own picture of what
 * a node holds in memory, built from its `persist` effects and never from the node's word. Entries are shared, never copied.
 */

import { type ClusterConfig, type Entry, EntryKind, type Index, type LogBase, type Term } from '../core/types.ts'

export class LogImage {
  base: LogBase
  /** `entries[i].index === base.index + 1 + i`. */
  readonly entries: Entry[] = []
  /** Indexes of the entries that hold a configuration, ascending. */
  readonly configIndexes: Index[] = []

  constructor(base: LogBase, entries: readonly Entry[]) {
    this.base = base
    for (const entry of entries) this.append(entry)
  }

  get lastIndex(): Index {
    return this.base.index + this.entries.length
  }

  get lastTerm(): Term {
    const last = this.entries[this.entries.length - 1]
    return last === undefined ? this.base.term : last.term
  }

  get lastChain(): number {
    const last = this.entries[this.entries.length - 1]
    return last === undefined ? this.base.chain : last.chain
  }

  entryAt(index: Index): Entry | undefined {
    return index > this.base.index ? this.entries[index - this.base.index - 1] : undefined
  }

  /** The chain at `index`; undefined where this log does not reach, below or above. */
  chainAt(index: Index): number | undefined {
    return index === this.base.index ? this.base.chain : this.entryAt(index)?.chain
  }

  termAt(index: Index): Term | undefined {
    return index === this.base.index ? this.base.term : this.entryAt(index)?.term
  }

  /** Whether this log holds the history that ends at `index` with `chain`, in entries or below its base. */
  holds(index: Index, chain: number): boolean {
    return index < this.base.index || this.chainAt(index) === chain
  }

  /** Appends one entry, which must follow the last; answers false, changing nothing, if it does not. */
  append(entry: Entry): boolean {
    if (entry.index !== this.lastIndex + 1) return false
    this.entries.push(entry)
    if (entry.kind === EntryKind.config) this.configIndexes.push(entry.index)
    return true
  }

  /** Drops all at and above `index`; answers false, changing nothing, if that reaches into the base. */
  truncateFrom(index: Index): boolean {
    if (index <= this.base.index) return false
    if (index > this.lastIndex) return true
    this.entries.length = index - this.base.index - 1
    const configs = this.configIndexes
    while (configs.length > 0 && (configs[configs.length - 1] as Index) >= index) configs.pop()
    return true
  }

  /** Drops all at and below `base.index`. A base that is not above the present one changes nothing. */
  compact(base: LogBase): void {
    if (base.index <= this.base.index) return
    this.entries.splice(0, base.index - this.base.index)
    this.base = base
    const configs = this.configIndexes
    while (configs.length > 0 && (configs[0] as Index) <= base.index) configs.shift()
  }

  /** Becomes an empty log after `base`. */
  reset(base: LogBase): void {
    this.entries.length = 0
    this.configIndexes.length = 0
    this.base = base
  }

  /** The index of the configuration that is `back` configurations before the latest; that of the base where the log holds fewer. */
  configIndex(back: number): Index {
    const configs = this.configIndexes
    return configs.length > back ? (configs[configs.length - 1 - back] as Index) : this.base.index
  }

  /** The configuration that is `back` before the latest (0 is the one in force), read with `decode`. */
  config(back: number, decode: (entry: Entry) => ClusterConfig): ClusterConfig {
    const configs = this.configIndexes
    if (configs.length <= back) return this.base.config
    const entry = this.entryAt(configs[configs.length - 1 - back] as Index)
    return entry === undefined ? this.base.config : decode(entry)
  }
}
