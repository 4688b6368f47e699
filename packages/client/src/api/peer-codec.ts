/**
 * Peers, versions and errors as JSON.
 *
 * @see https://pkg.go.dev/github.com/ipfs-cluster/ipfs-cluster/api#ID
 */

import { parseMultiaddr, parsePeerId } from './identifiers.ts'
import {
  type Codec,
  omitEmpty,
  readInteger,
  readObject,
  readOptional,
  readRequired,
  readString,
  readStrings
} from './json.ts'
import type { IpfsId, PeerIdString, PeerInfo, VersionInfo } from './types.ts'

/** An empty list of these objects is null in IPFS Cluster only for a peer that could not be asked. */
function listOf(items: readonly string[], unreachable: boolean): readonly string[] | null {
  return unreachable && items.length === 0 ? null : items
}

const ipfsIdCodec: Codec<IpfsId> = {
  encode: (ipfs) => ({
    id: omitEmpty(ipfs.id),
    addresses: listOf(ipfs.addresses, ipfs.id === undefined),
    error: ipfs.error
  }),
  decode: (value) => {
    const at = 'id.ipfs'
    const json = readObject(value, at)
    return {
      id: readOptional(json, 'id', at, parsePeerId),
      addresses: readStrings(json, 'addresses', at, parseMultiaddr),
      error: readString(json, 'error', at)
    }
  }
}

export const peerInfoCodec: Codec<PeerInfo> = {
  encode: (peer) => {
    const unreachable = peer.error !== ''
    return {
      id: peer.id,
      addresses: listOf(peer.addresses, unreachable),
      cluster_peers: listOf(peer.clusterPeers, unreachable),
      cluster_peers_addresses: listOf(peer.clusterPeersAddresses, unreachable),
      version: peer.version,
      commit: peer.commit,
      rpc_protocol_version: peer.rpcProtocolVersion,
      error: peer.error,
      ipfs: ipfsIdCodec.encode(peer.ipfs),
      peername: peer.peername
    }
  },

  decode: (value) => {
    const at = 'id'
    const json = readObject(value, at)
    return {
      id: readRequired(json, 'id', at, parsePeerId),
      addresses: readStrings(json, 'addresses', at, parseMultiaddr),
      clusterPeers: readStrings(json, 'cluster_peers', at, parsePeerId),
      clusterPeersAddresses: readStrings(json, 'cluster_peers_addresses', at, parseMultiaddr),
      version: readString(json, 'version', at),
      commit: readString(json, 'commit', at),
      rpcProtocolVersion: readString(json, 'rpc_protocol_version', at),
      error: readString(json, 'error', at),
      ipfs: ipfsIdCodec.decode(json.ipfs ?? {}),
      peername: readString(json, 'peername', at)
    }
  }
}

export const versionCodec: Codec<VersionInfo> = {
  encode: (info) => ({ version: info.version }),
  decode: (value) => ({ version: readString(readObject(value, 'version'), 'version', 'version') })
}

/** The body of `POST /peers`. */
export const peerAddCodec: Codec<{ readonly peerId: PeerIdString }> = {
  encode: (body) => ({ peer_id: body.peerId }),
  decode: (value) => ({ peerId: readRequired(readObject(value, 'body'), 'peer_id', 'body', parsePeerId) })
}

/** The body of every answer that is an error. */
export interface ErrorBody {
  /** The HTTP status, never 0: IPFS Cluster's client takes 0 for a failure of the transport. */
  readonly code: number
  readonly message: string
}

export const errorBodyCodec: Codec<ErrorBody> = {
  encode: (body) => ({ code: body.code, message: body.message }),
  decode: (value) => {
    const json = readObject(value, 'error')
    return { code: readInteger(json, 'code', 'error'), message: readString(json, 'message', 'error') }
  }
}
