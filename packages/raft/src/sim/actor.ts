/**
 * A node as workload, nemesis and liveness phase know it, whichever way it is made: `node.ts` drives the core by itself, `full/full-node.ts` runs the
 * real driver. Both stand in a slot, the machine, which keeps its number when what runs on it gets another name.
 */

import type { CoreStatus, Health, NodeId } from '../core/types.ts'
import type { NodeView } from './judges/view.ts'
import type { Settle } from './surroundings.ts'

export interface SimActor {
  readonly slot: number
  readonly id: NodeId
  /** As the judges see the node of this name. */
  readonly view: NodeView
  /** Lives so far; events of an earlier life are stale. */
  readonly boot: number
  /** The process runs. */
  readonly up: boolean
  readonly paused: boolean
  /** Starts from what is on disk. */
  start(): void
  /** Dies, and forgets what is not durable. */
  crash(): void
  pause(): void
  /** All that came meanwhile happens now, in order. */
  resume(): void
  /** Undefined while the node does not run, or is about to start. */
  status(): CoreStatus | undefined
  propose(payloads: readonly Uint8Array[], settle: Settle): void
  read(settle: Settle): void
  changeMembers(voters: readonly NodeId[], learners: readonly NodeId[], settle: Settle): void
  transfer(to: NodeId | undefined, settle: Settle): void
  /** A read by lease, or, without one, as any other. Not by every kind of node. */
  leaseRead?(settle: Settle): void
  /** The node thinks so of itself from now on. Not by every kind of node. */
  feels?(health: Health): void
}
