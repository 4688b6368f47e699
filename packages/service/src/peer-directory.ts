/**
 * Who the members are and what is known of them: for `id`, `peers ls` and the labels in a status. Asks each peer for itself, within
 * a limit, so that one that is down does not hold up the others.
 */

import type { PeerIdString, PeerInfo } from '@quorate/client/api'
import { withPeerId } from './cluster-host/address-book.ts'
import type { ClusterHost } from './cluster-host/host.ts'
import type { Membership } from './consensus/membership.ts'
import type { RaftConsensus } from './consensus/raft-consensus.ts'
import type { PeerLabel } from './global-status.ts'
import type { AbortOptions, IpfsConnector } from './ports.ts'
import { type PeerRpc, RPC_PROTOCOL } from './rpc/peer-rpc.ts'

/** A peer that has not said who it is by then is listed with an error. */
const INFO_TIMEOUT_MS = 3_000

export interface PeerDirectoryComponents {
  readonly libp2p: ClusterHost
  readonly rpc: PeerRpc
  readonly consensus: RaftConsensus
  readonly membership: Membership
  readonly connector: IpfsConnector
}

export interface PeerDirectoryInit {
  readonly id: PeerIdString
  readonly peername: string
  readonly version: string
}

export class PeerDirectory {
  private readonly parts: PeerDirectoryComponents
  private readonly init: PeerDirectoryInit

  constructor(components: PeerDirectoryComponents, init: PeerDirectoryInit) {
    this.parts = components
    this.init = init
  }

  /** This peer. */
  async info(options: AbortOptions = {}): Promise<PeerInfo> {
    const { libp2p, consensus, membership, connector } = this.parts
    const timeout = AbortSignal.timeout(INFO_TIMEOUT_MS)
    const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal])
    return {
      id: this.init.id,
      addresses: libp2p.getMultiaddrs().map((address) => withPeerId(address.toString(), this.init.id)),
      clusterPeers: consensus.peers(),
      clusterPeersAddresses: membership
        .members()
        .filter(({ id }) => id !== this.init.id)
        .flatMap(({ id, addresses }) => addresses.map((address) => withPeerId(address, id))),
      version: this.init.version,
      commit: '',
      rpcProtocolVersion: RPC_PROTOCOL,
      error: '',
      ipfs: await connector.id({ signal }).catch((error: unknown) => ({
        id: undefined,
        addresses: [],
        error: error instanceof Error ? error.message : String(error)
      })),
      peername: this.init.peername
    }
  }

  /** One member, asked now; with `error` set if it does not answer. */
  async infoOf(peer: PeerIdString, options: AbortOptions = {}): Promise<PeerInfo> {
    if (peer === this.init.id) return await this.info(options)
    try {
      return await this.parts.rpc.call(peer, 'Peer.info', null, { ...options, timeoutMs: INFO_TIMEOUT_MS })
    } catch (error) {
      options.signal?.throwIfAborted()
      return {
        id: peer,
        addresses: [],
        clusterPeers: [],
        clusterPeersAddresses: [],
        version: '',
        commit: '',
        rpcProtocolVersion: '',
        error: error instanceof Error ? error.message : String(error),
        ipfs: { id: undefined, addresses: [], error: '' },
        peername: ''
      }
    }
  }

  /** All members, sorted by ID. */
  async *peers(options: AbortOptions = {}): AsyncIterable<PeerInfo> {
    yield* await Promise.all(this.parts.consensus.peers().map((peer) => this.infoOf(peer, options)))
  }

  /** Members and their names, without asking anybody. */
  labels(): readonly PeerLabel[] {
    return this.parts.membership.members().map(({ id, peername }) => ({
      id,
      peername: id === this.init.id ? this.init.peername : peername
    }))
  }

  label(id: PeerIdString): PeerLabel {
    return (
      this.labels().find((label) => label.id === id) ?? { id, peername: id === this.init.id ? this.init.peername : '' }
    )
  }
}
