/**
 * The libp2p host of the embedded node, as configuration: pure, so that a test can check what a public node would do without a public
 * network. Called by `network.ts`.
 *
 * Not Helia's defaults, which bring WebRTC, UPnP, mDNS and a bootstrap list along: in a `private` network the node must dial nothing but
 * the cluster's own nodes, and `denyDialMultiaddr` holds it to that whatever a library may come up with.
 */

import { noise } from '@chainsafe/libp2p-noise'
import { identify } from '@libp2p/identify'
import type { PrivateKey } from '@libp2p/interface'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2pOptions } from 'libp2p'
import type { EmbeddedNetwork } from './init.ts'

/** The public network's own entry points, as every IPFS node has them. Over TCP; the names are resolved at each dial. */
export const BOOTSTRAP_MULTIADDRS: readonly string[] = [
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN',
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa',
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb',
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt',
  '/ip4/104.131.131.82/tcp/4001/p2p/QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ'
]

/** https://specs.ipfs.tech/routing/http-routing-v1/ */
export const DELEGATED_ROUTING_URL = 'https://delegated-ipfs.dev'

/** https://github.com/libp2p/specs/blob/master/kad-dht/README.md, the public IPFS network's DHT. */
export const AMINO_DHT_PROTOCOL = '/ipfs/kad/1.0.0'

export interface HostInit {
  readonly network: EmbeddedNetwork
  readonly privateKey: PrivateKey
  readonly listenMultiaddrs: readonly string[]
  /** True if this address is one of the cluster's own nodes. */
  readonly isClusterNode: (address: Multiaddr) => boolean
}

/** Resolves to options for `createLibp2p`; loads the DHT only if it is wanted. */
export async function hostOptions(init: HostInit): Promise<Libp2pOptions> {
  const isPublic = init.network === 'public'
  const basic = { identify: identify(), ping: ping() }
  return {
    start: false,
    privateKey: init.privateKey,
    addresses: { listen: [...init.listenMultiaddrs] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionManager: {
      maxConnections: isPublic ? 300 : 1000,
      // The defaults (5 a second, 10 at once) turn away a cluster whose nodes share an address.
      inboundConnectionThreshold: 100,
      maxIncomingPendingConnections: 100,
      reconnectRetries: 0
    },
    // A node under load may answer late; that is no reason to cut a transfer off.
    connectionMonitor: { pingInterval: 15_000, pingTimeout: { minTimeout: 30_000 } },
    connectionGater: isPublic ? {} : { denyDialMultiaddr: (address) => !init.isClusterNode(address) },
    // Each asks for those of libp2p's components that it needs; the map's own type names none.
    services: (isPublic ? { ...basic, dht: await dhtService() } : basic) as NonNullable<Libp2pOptions['services']>
  }
}

async function dhtService() {
  const { kadDHT, removePrivateAddressesMapper } = await import('@libp2p/kad-dht')
  // A client asks but does not serve: a node behind a router would only slow the others down.
  return kadDHT({ protocol: AMINO_DHT_PROTOCOL, clientMode: true, peerInfoMapper: removePrivateAddressesMapper })
}
