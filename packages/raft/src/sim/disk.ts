/**
 * One node's disk. What is durable lies in `image` and survives a crash; what is queued does not, and of the write under way
 * an arbitrary beginning does.
 *
 * Does what the real driver and its storage do: one write at a time; persist effects that collect meanwhile become one write with
 * one sync (group commit). In a write the hard state comes first, then truncations and entries in order, so a torn write is a
 * prefix of that sequence. Called by `node.ts`, which owns the timing; looked at by the judges, for nodes that are down as well.
 */

import type { Effect, Entry, HardState, Index, LogBase } from '../core/types.ts'
import type { StoredSessionRow } from '../sessions/session-table.ts'
import { REGISTERS } from './judges/linearizable.ts'
import { LogImage } from './log-image.ts'
import type { Prng } from './prng.ts'

export type PersistEffect = Extract<Effect, { type: 'persist' }>

/** The application's state: where it stands and a digest of all commands up to there, in order. */
export interface StateImage {
  readonly index: Index
  readonly digest: number
  /** The serial number of the latest command for each register. */
  readonly registers: readonly number[]
  /** What a client is shown, and the digest that is reported, are not those above: something broke it. */
  readonly broken?: boolean
  /** What is kept of the clients' sessions, if there are any. */
  readonly sessions?: readonly StoredSessionRow[] | undefined
}

/** A snapshot: the state at `base.index`, and what a log needs in order to continue from there. */
export interface SnapshotImage {
  readonly base: LogBase
  readonly digest: number
  readonly registers: readonly number[]
  readonly sessions?: readonly StoredSessionRow[] | undefined
}

export interface DiskImage {
  hardState: HardState
  readonly log: LogImage
  /** The state as of its last flush. */
  state: StateImage
  /** The newest snapshots, oldest first; at most two. */
  readonly snapshots: SnapshotImage[]
}

export type DiskWrite =
  | { readonly type: 'persist'; readonly effects: readonly PersistEffect[] }
  | { readonly type: 'compact'; readonly base: LogBase }
  | { readonly type: 'install'; readonly snapshot: SnapshotImage }

/** The state that a snapshot holds. */
export function stateOf({ base, digest, registers, sessions }: SnapshotImage): StateImage {
  return { index: base.index, digest, registers, sessions }
}

/** Most persist effects in one write. */
const MAX_GROUP = 1024

export class Disk {
  readonly image: DiskImage
  /** The write under way. */
  current: DiskWrite | undefined
  readonly #queue: (PersistEffect | Exclude<DiskWrite, { type: 'persist' }>)[] = []

  constructor(base: LogBase) {
    this.image = {
      hardState: { term: 0, votedFor: undefined },
      log: new LogImage(base, []),
      state: { index: base.index, digest: 0, registers: new Array<number>(REGISTERS).fill(0) },
      snapshots: []
    }
  }

  enqueue(operation: PersistEffect | Exclude<DiskWrite, { type: 'persist' }>): void {
    this.#queue.push(operation)
  }

  /** Begins the next write if none is under way and something waits; answers whether it began one. */
  begin(): boolean {
    if (this.current !== undefined) return false
    const queue = this.#queue
    const first = queue[0]
    if (first === undefined) return false
    if (first.type !== 'persist') {
      queue.shift()
      this.current = first
      return true
    }
    let count = 1
    while (count < queue.length && count < MAX_GROUP && queue[count]?.type === 'persist') count++
    this.current = { type: 'persist', effects: queue.splice(0, count) as PersistEffect[] }
    return true
  }

  /**
   * The write under way is durable: the image takes it.
   *
   * @returns what was written, and why the image could not take it if it could not: the node asked for an impossible write
   */
  finish(): { write: DiskWrite; fault: string | undefined } {
    const write = this.current as DiskWrite
    this.current = undefined
    return { write, fault: this.#take(write, Number.POSITIVE_INFINITY) }
  }

  /** The process dies: what is queued is lost, and of the write under way a random beginning remains. */
  crash(prng: Prng): void {
    this.#queue.length = 0
    const write = this.current
    this.current = undefined
    if (write === undefined) return
    const fate = prng.below(4)
    if (fate === 0) return
    this.#take(write, fate === 1 ? Number.POSITIVE_INFINITY : prng.below(this.#steps(write) + 1))
  }

  #steps(write: DiskWrite): number {
    if (write.type === 'compact') return 1
    if (write.type === 'install') return 3
    let steps = 1
    for (const effect of write.effects) steps += effect.entries.length + (effect.truncateFrom === undefined ? 0 : 1)
    return steps
  }

  /** Carries out the first `steps` steps of a write. */
  #take(write: DiskWrite, steps: number): string | undefined {
    if (steps < 1) return undefined
    if (write.type === 'compact') {
      this.image.log.compact(write.base)
      return undefined
    }
    if (write.type === 'install') {
      this.saveSnapshot(write.snapshot)
      if (steps >= 2) this.image.log.reset(write.snapshot.base)
      if (steps >= 3) this.image.state = stateOf(write.snapshot)
      return undefined
    }
    return this.#takePersist(write.effects, steps)
  }

  #takePersist(effects: readonly PersistEffect[], steps: number): string | undefined {
    const { log } = this.image
    let left = steps - 1
    for (const effect of effects) {
      if (effect.hardState !== undefined) this.image.hardState = effect.hardState
    }
    for (const effect of effects) {
      if (effect.truncateFrom !== undefined) {
        if (left-- <= 0) return undefined
        if (!log.truncateFrom(effect.truncateFrom)) {
          return `truncation from ${effect.truncateFrom} reaches into the base at ${log.base.index}`
        }
      }
      for (const entry of effect.entries) {
        if (left-- <= 0) return undefined
        if (!log.append(entry)) return `entry ${entry.index} does not follow the last on disk, ${log.lastIndex}`
      }
    }
    return undefined
  }

  /** A snapshot became durable. */
  saveSnapshot(snapshot: SnapshotImage): void {
    const { snapshots } = this.image
    const newest = snapshots[snapshots.length - 1]
    if (newest !== undefined && newest.base.index >= snapshot.base.index) return
    snapshots.push(snapshot)
    if (snapshots.length > 2) snapshots.shift()
  }

  /** The entries that a restart loads. */
  loadEntries(): Entry[] {
    return this.image.log.entries.slice()
  }
}
