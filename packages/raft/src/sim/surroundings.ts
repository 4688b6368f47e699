/**
 * What the parts of a node of the core mode have in common: what all nodes of a run share, and how the request of a client ends. Used by `node.ts`,
 * `requests.ts` and `applier.ts`; outcomes by whoever asks anything of a node, in either mode.
 */

import type { Mutation } from '../core/mutations.ts'
import type { Checksum, Index, NodeId, RefusalReason, Term } from '../core/types.ts'
import type { History } from './history.ts'
import type { Panel } from './judges/panel.ts'
import type { Network } from './network.ts'
import type { SimNode } from './node.ts'
import type { SwarmProfile } from './swarm.ts'
import type { World } from './world.ts'

/** What all nodes of a run share. */
export interface NodeSurroundings {
  readonly world: World
  readonly network: Network
  readonly history: History
  readonly checksum: Checksum
  readonly mutations: ReadonlySet<Mutation>
  /** Changes once, when the liveness phase begins. */
  profile: SwarmProfile
  readonly panel: Panel
  readonly nodes: readonly SimNode[]
  /** A node asks for votes, took the lead, or committed for the first time since it leads. */
  readonly onElection: (slot: number, stage: ElectionStage) => void
  /** A write failed: the process ends, as the real driver ends it (T51). */
  readonly onDiskFailure: (slot: number) => void
}

export type ElectionStage = 'asks' | 'leads' | 'commits'

/** How a client's request ended. `unknown`: the node died, or its state jumped past the place. */
export type Outcome =
  | { readonly type: 'acknowledged'; readonly index: Index; readonly term: Term }
  | { readonly type: 'lost' }
  | { readonly type: 'refused'; readonly reason: RefusalReason; readonly leader: NodeId | undefined }
  | { readonly type: 'read'; readonly index: Index; readonly registers: readonly number[] }
  | { readonly type: 'transferred' }
  /** The command's session is not known any more, or needs it no more: this copy changed nothing. */
  | { readonly type: 'expired' }
  | { readonly type: 'unknown' }

export type Settle = (outcome: Outcome) => void
