/**
 * The log in memory: every entry after `base`, the configurations among them, and the watermarks.
 *
 * This is the truth for matching, voting and campaigning. How much of it is on disk is a separate mark, `durableIndex`, which
 * gates acknowledgements, the leader's own match and `apply`, and nothing else (T6). Entries leave at the front by compaction
 * and at the back by a conflict with a leader. Terms never fall along the log, so that searches by term are binary.
 *
 * Called by all rules of the core; calls only what reads entries (`members.ts`, `announcements.ts`, `record.ts`) and `timeline.ts`.
 */

import { FIRST_LEVEL, leaseOf, levelOf } from './announcements.ts'
import { invariant } from './invariants.ts'
import { decodeConfig } from './members.ts'
import { type Mutation, NO_MUTATIONS } from './mutations.ts'
import { payloadOf } from './record.ts'
import { Timeline } from './timeline.ts'
import { type ClusterConfig, type Entry, EntryKind, type Index, type LogBase, type Term } from './types.ts'

/** A configuration and the entry that brought it; the first of a log is its base's. */
export interface PlacedConfig {
  readonly index: Index
  readonly config: ClusterConfig
}

/** All that a log holds, as plain data (`checkpoint.ts`). */
export interface LogCheckpoint {
  readonly base: LogBase
  readonly entries: readonly Entry[]
  readonly configs: readonly PlacedConfig[]
  readonly levels: ReturnType<Timeline['capture']>
  readonly leases: ReturnType<Timeline['capture']>
  readonly bytes: number
  readonly unappliedBytes: number
  readonly durableIndex: Index
  readonly stagedIndex: Index
  readonly commitIndex: Index
  readonly applyingIndex: Index
  readonly appliedIndex: Index
}

export class Log {
  #base: LogBase
  /** `#entries[i]` has index `#base.index + 1 + i`. */
  #entries: Entry[]
  /** Ascending by index, never empty: the configuration at the base, then one for each config entry. */
  #configs: PlacedConfig[]
  /** The feature level, from the entry on that brings it (T59). */
  levels: Timeline
  /** The lease of the leader of the day in milliseconds, from the no-op on with which its term begins (T49). */
  leases: Timeline
  #bytes = 0
  #unappliedBytes = 0

  /** Entries up to here are on this node's disk. `durableIndex <= lastIndex`. */
  durableIndex: Index
  /** Entries up to here are in a `persist` effect that was handed out. `durableIndex <= stagedIndex <= lastIndex`. */
  stagedIndex: Index
  /** Entries up to here are committed, as far as this node knows. `commitIndex <= lastIndex`. */
  commitIndex: Index
  /** Entries up to here were handed to `apply`. `applyingIndex <= min(commitIndex, durableIndex)`. */
  applyingIndex: Index
  /** Entries up to here are in the state machine. `base.index <= appliedIndex <= applyingIndex`. */
  appliedIndex: Index

  readonly #mutations: ReadonlySet<Mutation>
  /** Of `#mutations`; asked for many times in a step. */
  readonly #configAtCommit: boolean

  /** @throws {BrokenInvariant} when the entries do not continue the base, or the applied index lies outside of them */
  constructor(
    base: LogBase,
    entries: readonly Entry[],
    appliedIndex: Index,
    mutations: ReadonlySet<Mutation> = NO_MUTATIONS
  ) {
    this.#mutations = mutations
    this.#configAtCommit = mutations.has('config-at-commit')
    this.#base = base
    this.#entries = []
    this.#configs = [{ index: base.index, config: base.config }]
    this.levels = new Timeline(base.index, base.level ?? FIRST_LEVEL)
    this.leases = new Timeline(base.index, base.leaseMs ?? 0)
    for (const entry of entries) this.append(entry)
    invariant(
      appliedIndex >= base.index && appliedIndex <= this.lastIndex,
      () => `the state stands at ${appliedIndex}, outside of the log from ${base.index} to ${this.lastIndex}`
    )
    this.durableIndex = this.lastIndex
    this.stagedIndex = this.lastIndex
    this.commitIndex = appliedIndex
    this.applyingIndex = mutations.has('applied-twice') ? base.index : appliedIndex
    this.appliedIndex = mutations.has('applied-twice') ? base.index : appliedIndex
    for (let at = base.index + 1; at <= this.appliedIndex; at++) this.#unappliedBytes -= this.entry(at)!.record.length
  }

  /** Shares the entries and configurations, which never change, and nothing else. */
  capture(): LogCheckpoint {
    return {
      base: this.#base,
      entries: this.#entries.slice(),
      configs: this.#configs.slice(),
      levels: this.levels.capture(),
      leases: this.leases.capture(),
      bytes: this.#bytes,
      unappliedBytes: this.#unappliedBytes,
      durableIndex: this.durableIndex,
      stagedIndex: this.stagedIndex,
      commitIndex: this.commitIndex,
      applyingIndex: this.applyingIndex,
      appliedIndex: this.appliedIndex
    }
  }

  static restore(checkpoint: LogCheckpoint, mutations: ReadonlySet<Mutation>): Log {
    const log = new Log(checkpoint.base, [], checkpoint.base.index, mutations)
    log.#entries = checkpoint.entries.slice()
    log.#configs = checkpoint.configs.slice()
    log.levels = Timeline.restore(checkpoint.levels)
    log.leases = Timeline.restore(checkpoint.leases)
    log.#bytes = checkpoint.bytes
    log.#unappliedBytes = checkpoint.unappliedBytes
    log.durableIndex = checkpoint.durableIndex
    log.stagedIndex = checkpoint.stagedIndex
    log.commitIndex = checkpoint.commitIndex
    log.applyingIndex = checkpoint.applyingIndex
    log.appliedIndex = checkpoint.appliedIndex
    return log
  }

  get base(): LogBase {
    return this.#base
  }

  get lastIndex(): Index {
    return this.#base.index + this.#entries.length
  }

  get lastTerm(): Term {
    const length = this.#entries.length
    return length === 0 ? this.#base.term : this.#entries[length - 1]!.term
  }

  get lastChain(): number {
    const length = this.#entries.length
    return length === 0 ? this.#base.chain : this.#entries[length - 1]!.chain
  }

  /** Record bytes of all entries held. */
  get bytes(): number {
    return this.#bytes
  }

  /** Record bytes of the entries past `appliedIndex`: what no compaction can free. */
  get unappliedBytes(): number {
    return this.#unappliedBytes
  }

  /** The configuration in force: that of the last config entry, committed or not (paper §6; T30). */
  get config(): PlacedConfig {
    if (this.#configAtCommit) return this.configAt(this.commitIndex)
    return this.#configs[this.#configs.length - 1]!
  }

  /** The configuration in force at `index`, which is at or past the base. */
  configAt(index: Index): PlacedConfig {
    let at = this.#configs.length - 1
    while (at > 0 && this.#configs[at]!.index > index) at--
    return this.#configs[at]!
  }

  /** The entry at `index`, if it is held. */
  entry(index: Index): Entry | undefined {
    return this.#entries[index - this.#base.index - 1]
  }

  /** The term at `index`, known from the base on to the last entry. */
  termAt(index: Index): Term | undefined {
    return index === this.#base.index ? this.#base.term : this.entry(index)?.term
  }

  /** The chain at `index`, known from the base on to the last entry. */
  chainAt(index: Index): number | undefined {
    return index === this.#base.index ? this.#base.chain : this.entry(index)?.chain
  }

  /**
   * What a log, or a state, that ends at `index` is continued from. None where the configuration is not known: on a node that
   * joined, below the first configuration that it was sent.
   */
  baseAt(index: Index): LogBase | undefined {
    if (index === this.#base.index) return this.#base
    const entry = this.entry(index)
    if (entry === undefined) return undefined
    const { config } = this.configAt(index)
    if (config.voters.length === 0) return undefined
    const level = this.#mutations.has('level-lost-by-compaction') ? FIRST_LEVEL : this.levels.at(index)
    const leaseMs = this.leases.at(index)
    const { term, chain } = entry
    return {
      index,
      term,
      chain,
      config,
      ...(level === FIRST_LEVEL ? {} : { level }),
      ...(leaseMs === 0 ? {} : { leaseMs })
    }
  }

  /** Whether a log that ends with (`term`, `index`) is at least as complete as this one (paper §5.4.1). */
  isUpToDate(index: Index, term: Term): boolean {
    return term > this.lastTerm || (term === this.lastTerm && index >= this.lastIndex)
  }

  /** Entries from `from` to `to`, both included, as a new array. */
  range(from: Index, to: Index): Entry[] {
    const offset = this.#base.index + 1
    return this.#entries.slice(from - offset, to - offset + 1)
  }

  /** Entries from `from` on, up to `maxBytes` of records; at least one, if there is one. */
  batch(from: Index, maxBytes: number): Entry[] {
    const start = from - this.#base.index - 1
    let end = start
    let bytes = 0
    while (end < this.#entries.length) {
      bytes += this.#entries[end]!.record.length
      if (bytes > maxBytes && end > start) break
      end++
    }
    return this.#entries.slice(start, end)
  }

  /**
   * The last index at or below both `index` and the log's end whose term is at most `term`: the furthest point at which a log
   * that has `term` at `index` could agree with this one, so that a conflict is found in one step a term (T13).
   *
   * @returns an index below the base if nothing that is held qualifies
   */
  lastIndexWithin(index: Index, term: Term): Index {
    if (index < this.#base.index) return index
    if (this.#base.term > term) return this.#base.index - 1
    let low = this.#base.index
    let high = Math.min(index, this.lastIndex)
    // Invariant: the term at `low` is at most `term`; beyond `high` nothing qualifies.
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.termAt(middle)! <= term) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Adds an entry at the end; a config entry is in force from here on (T30). */
  append(entry: Entry): void {
    invariant(
      entry.index === this.lastIndex + 1 && entry.term >= this.lastTerm,
      () => `entry ${entry.index} of term ${entry.term} cannot follow entry ${this.lastIndex} of term ${this.lastTerm}`
    )
    if (entry.kind === EntryKind.config) {
      const config = decodeConfig(payloadOf(entry))
      invariant(config !== undefined, () => `entry ${entry.index} says that it is a configuration and is none`)
      this.#configs.push({ index: entry.index, config })
    } else if (entry.kind === EntryKind.noop) {
      this.leases.append(entry.index, leaseOf(entry))
    } else if (entry.kind === EntryKind.level) {
      const level = levelOf(entry)
      invariant(level !== undefined, () => `entry ${entry.index} says that it is a feature level and is none`)
      this.levels.append(entry.index, level)
    }
    this.#entries.push(entry)
    this.#bytes += entry.record.length
    this.#unappliedBytes += entry.record.length
  }

  /** The entries up to `index` are in the state machine. */
  applied(index: Index): void {
    for (let at = this.appliedIndex + 1; at <= index; at++) this.#unappliedBytes -= this.entry(at)!.record.length
    this.appliedIndex = index
  }

  /**
   * Drops the entries at and above `from`, and with them the configurations they brought (T30). The one guard against losing
   * what is committed: cutting there is a broken invariant, whatever the leader says (T16).
   */
  truncate(from: Index): void {
    invariant(
      from > this.commitIndex,
      () => `a leader's log conflicts at ${from}, which is committed here up to ${this.commitIndex}`
    )
    const dropped = this.#entries.splice(from - this.#base.index - 1)
    for (const { record } of dropped) {
      this.#bytes -= record.length
      this.#unappliedBytes -= record.length
    }
    if (!this.#mutations.has('config-kept-by-truncation')) {
      while (this.#configs[this.#configs.length - 1]!.index >= from) this.#configs.pop()
    }
    this.levels.truncate(from)
    this.leases.truncate(from)
    this.durableIndex = Math.min(this.durableIndex, from - 1)
    this.stagedIndex = Math.min(this.stagedIndex, from - 1)
  }

  /** Drops the entries at and below `index`, which is applied and durable. */
  compact(index: Index): LogBase {
    const base = this.baseAt(index)
    invariant(
      base !== undefined && index <= this.appliedIndex && index <= this.durableIndex,
      () =>
        `the log cannot be compacted to ${index}: applied is ${this.appliedIndex}, durable ${this.durableIndex}, base ${this.#base.index}`
    )
    const count = index - this.#base.index
    for (let i = 0; i < count; i++) this.#bytes -= this.#entries[i]!.record.length
    this.#entries = this.#entries.slice(count)
    const kept = this.configAt(index)
    this.#configs = this.#configs.filter((placed) => placed.index >= kept.index)
    this.levels.compact(index)
    this.leases.compact(index)
    this.#base = base
    return base
  }

  /** Replaces all by a state that stands at `base`; nothing of the old log, and of its configurations, stays (T31, T42). */
  reset(base: LogBase): void {
    invariant(
      base.index >= this.commitIndex,
      () => `a snapshot at ${base.index} would take back what is committed up to ${this.commitIndex}`
    )
    const beyond = base.index - this.#base.index
    const later = this.#configs.filter((placed) => placed.index > base.index)
    this.#base = base
    this.#entries = this.#mutations.has('log-kept-by-snapshot') ? this.#entries.slice(beyond) : []
    this.#configs = [{ index: base.index, config: base.config }]
    if (this.#mutations.has('config-kept-by-snapshot')) this.#configs.push(...later)
    this.levels = new Timeline(base.index, base.level ?? FIRST_LEVEL)
    this.leases = new Timeline(base.index, base.leaseMs ?? 0)
    this.#bytes = 0
    this.#unappliedBytes = 0
    this.durableIndex = base.index
    this.stagedIndex = base.index
    this.commitIndex = base.index
    this.applyingIndex = base.index
    this.appliedIndex = base.index
  }

  /** The lowest index such that the entries above it hold at most `maxBytes`. */
  indexKeeping(maxBytes: number): Index {
    let bytes = this.#bytes
    let count = 0
    while (bytes > maxBytes) bytes -= this.#entries[count++]!.record.length
    return this.#base.index + count
  }
}
