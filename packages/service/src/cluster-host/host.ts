/**
 * The libp2p host of the cluster network: TCP, Noise, Yamux, a private network from `cluster.secret`, identify, and a private
 * DHT in which peers find each other's addresses by peer ID. The embedded IPFS node has a host of its own, in its worker.
 *
 * Called by the composition root (`daemon/compose.ts`). The limits below are measured: the defaults of libp2p accept five
 * connections a second from one address, drop a connection whose ping takes five seconds, give up redialling after five tries, and dial no address
 * that was first heard of more than an hour ago, however often it was heard of since.
 */

import { noise } from '@chainsafe/libp2p-noise'
import { identify } from '@libp2p/identify'
import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { type KadDHT, kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { mdns } from '@libp2p/mdns'
import { type Ping, ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { quietLengths, type SecretMismatchError, secretProtector } from '@quorate/wire'
import { LevelDatastore } from 'datastore-level'
import { createLibp2p } from 'libp2p'

/** The DHT of the cluster network; not IPFS's. */
const DHT_PROTOCOL = '/quorate/kad/1'
const MDNS_SERVICE_TAG = '_quorate._udp.local'

/** A daemon whose event loop stood still for less than this keeps its connections; consensus has faster means of its own. */
const PING_TIMEOUT_MS = 30_000

export type ClusterHost = Libp2p<{ identify: unknown; ping: Ping; dht: KadDHT }>

export interface ClusterHostInit {
  readonly privateKey: PrivateKey
  /** 32 bytes; undefined: no private network. */
  readonly secret: Uint8Array | undefined
  readonly listenMultiaddrs: readonly string[]
  /** Not empty: announced instead of what the host finds itself listening on. */
  readonly announceMultiaddrs: readonly string[]
  readonly noAnnounceMultiaddrs: readonly string[]
  readonly maxConnections: number
  readonly dialTimeoutMs: number
  /** Whether to look for peers on the local network. */
  readonly mdns: boolean
  /** Where libp2p keeps its address book and the DHT its records. */
  readonly folder: string
  readonly onSecretMismatch: (error: SecretMismatchError) => void
}

/** A host that owns the datastore it was given: `stop` closes both. */
export interface OpenedClusterHost {
  readonly libp2p: ClusterHost
  stop(): Promise<void>
}

/** QUIC and WebSocket addresses stand in the files of IPFS Cluster; this host speaks TCP. */
const isTcp = (address: string): boolean => {
  const names = multiaddr(address)
    .getComponents()
    .map((component) => component.name)
  return names.includes('tcp') && !names.includes('ws') && !names.includes('wss')
}

/**
 * Opens the host and starts listening.
 *
 * @throws {Error} when none of the addresses can be listened on
 */
export async function openClusterHost(init: ClusterHostInit): Promise<OpenedClusterHost> {
  const datastore = new LevelDatastore(init.folder)
  await datastore.open()
  const hidden = new Set(init.noAnnounceMultiaddrs)
  try {
    const libp2p = await createLibp2p({
      privateKey: init.privateKey,
      datastore,
      addresses: {
        listen: init.listenMultiaddrs.filter(isTcp),
        announce: [...init.announceMultiaddrs],
        announceFilter: (addresses) => addresses.filter((address) => !hidden.has(address.toString()))
      },
      transports: [tcp()],
      connectionEncrypters: [quietLengths(noise())],
      streamMuxers: [yamux()],
      connectionProtector: secretProtector({ secret: init.secret, onMismatch: init.onSecretMismatch }),
      connectionManager: {
        maxConnections: init.maxConnections,
        dialTimeout: init.dialTimeoutMs,
        inboundConnectionThreshold: 1_000,
        maxIncomingPendingConnections: 200,
        maxParallelDials: 100
      },
      peerStore: { maxAddressAge: Number.POSITIVE_INFINITY },
      connectionMonitor: { pingTimeout: { minTimeout: PING_TIMEOUT_MS } },
      services: {
        identify: identify(),
        ping: ping(),
        dht: kadDHT({
          protocol: DHT_PROTOCOL,
          clientMode: false,
          peerInfoMapper: passthroughMapper,
          allowQueryWithZeroPeers: true,
          initialQuerySelfInterval: 200,
          logPrefix: 'libp2p:dht',
          datastorePrefix: '/dht'
        })
      },
      ...(init.mdns ? { peerDiscovery: [mdns({ serviceTag: MDNS_SERVICE_TAG })] } : {})
    })
    return {
      libp2p: libp2p as unknown as ClusterHost,
      stop: async () => {
        await libp2p.stop()
        await datastore.close()
      }
    }
  } catch (error) {
    await datastore.close()
    throw new Error(
      `Cannot open the cluster network on ${init.listenMultiaddrs.join(', ')}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error }
    )
  }
}
