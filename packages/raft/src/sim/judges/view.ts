/**
 * One node as the judges see it: only what can be told from outside, by its effects, its messages and its disk. The node's own word (`status`) is
 * compared with this picture and never enters it.
 */

import type { ClusterConfig, Entry, HardState, Health, Index, Role, Term } from '../../core/types.ts'
import type { DiskImage } from '../disk.ts'
import { LogImage } from '../log-image.ts'

export class NodeView {
  readonly slot: number
  readonly id: string
  readonly disk: DiskImage
  alive = false
  role: Role = 'follower'
  /** The log in the node's memory: the disk as of the start, and every persist effect since. */
  log: LogImage
  /** The hard state in the node's memory. */
  hardState: HardState
  /** Entries up to here were handed to `apply` in this life. */
  handedToApply: Index = 0
  /** Highest index that this node was seen to take for committed, in this life. */
  commitIndex: Index = 0
  /** Term in which the node led before the step that is being judged; 0 if it did not lead. */
  ledInTerm: Term = 0
  /** The step that is being judged truncated the log from here; 0 if it did not. */
  truncatedFrom: Index = 0
  /** When the oldest write that is not durable yet was asked for, by the node's clock in milliseconds; undefined if none is. */
  oldestWriteMs: number | undefined
  /** A snapshot is being fetched or installed. */
  installing = false
  /** What the node was told of itself, and what it was started with. */
  health: Health = 'good'
  priority = 0
  /** Of what runs under this name, now or last: it knows the feature level of that number. */
  version = 1
  /** The state of the node is not what the history makes of it. */
  broken = false

  constructor(slot: number, id: string, disk: DiskImage) {
    this.slot = slot
    this.id = id
    this.disk = disk
    this.log = new LogImage(disk.log.base, disk.log.entries)
    this.hardState = disk.hardState
  }

  /** The node starts from its disk. */
  started(): void {
    this.alive = true
    this.role = 'follower'
    this.log = new LogImage(this.disk.log.base, this.disk.log.entries)
    this.hardState = this.disk.hardState
    this.handedToApply = this.disk.state.index
    this.commitIndex = this.disk.state.index
    this.ledInTerm = 0
    this.truncatedFrom = 0
    this.oldestWriteMs = undefined
    this.installing = false
    this.health = 'good'
  }
}

/** Reads the configuration out of an entry of kind config. */
export type DecodeConfig = (entry: Entry) => ClusterConfig
