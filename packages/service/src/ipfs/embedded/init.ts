/** What an embedded node is made from; crosses from the main thread to the worker as plain data. */

import type { MultiaddrString } from '@quorate/client/api'

/**
 * `private`: talks to nobody but the nodes that `connectSwarm` names. `public`: a node of the public IPFS network besides, so that anything
 * on it can be pinned.
 */
export type EmbeddedNetwork = 'public' | 'private'

export interface EmbeddedNodeInit {
  /** Everything of the node is in here: identity, blocks, pins. One node at a time. */
  readonly folder: string
  readonly network: EmbeddedNetwork
  /** TCP. Port 0 takes a free one. */
  readonly listenMultiaddrs: readonly MultiaddrString[]
  /** 0: no limit. Pins and uploads that would exceed it fail. */
  readonly storageMaxBytes: number
}
