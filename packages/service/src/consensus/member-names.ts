/**
 * From the names in a configuration to the peers behind them. In consensus each life of a peer's data folder has a name of its own
 * (`nodeNameOf` of `@quorate/raft`); everywhere else a peer is its peer ID. For the short time in which a peer that lost its data comes
 * back, a configuration holds two names of it: the voter that it was, and the learner that it is. Pure.
 */

import type { PeerIdString } from '@quorate/client/api'
import { type ClusterConfig, type NodeId, peerOf } from '@quorate/raft'

/** The peers behind these names, sorted, each once. */
export const peersOf = (names: readonly NodeId[]): PeerIdString[] => [...new Set(names.map(peerOf))].sort()

/** All names in a configuration. */
export const namesIn = ({ voters, outgoing, learners }: ClusterConfig): NodeId[] => [
  ...new Set([...voters, ...outgoing, ...learners])
]

/** The names that one peer has in a configuration. */
export const namesOf = (config: ClusterConfig, peer: PeerIdString): NodeId[] =>
  namesIn(config).filter((name) => peerOf(name) === peer)
