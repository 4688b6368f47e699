/**
 * The embedded node's side of the network: its libp2p host, who it stays connected to, and the exchange of blocks. Called by `node.ts`.
 */

import type { Libp2p } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Logger } from '../../ports.ts'
import { Exchange, type LocalBlocks } from './exchange.ts'
import { loadOrCreateIdentity } from './identity.ts'
import type { EmbeddedNodeInit } from './init.ts'
import { BOOTSTRAP_MULTIADDRS, DELEGATED_ROUTING_URL, hostOptions } from './network-config.ts'
import { Providers } from './providers.ts'
import { peerOf, Swarm } from './swarm.ts'

/** Origins of a pin that are connected to. */
const MAX_ORIGINS = 10
const ORIGIN_TIMEOUT_MS = 10_000

export interface NetworkComponents {
  readonly blocks: LocalBlocks
  readonly logger: Logger
}

export class Network {
  readonly exchange: Exchange
  readonly #libp2p: Libp2p
  readonly #swarm: Swarm
  readonly #providers: Providers | undefined
  readonly #isPublic: boolean

  private constructor(
    libp2p: Libp2p,
    swarm: Swarm,
    exchange: Exchange,
    providers: Providers | undefined,
    isPublic: boolean
  ) {
    this.#libp2p = libp2p
    this.#swarm = swarm
    this.exchange = exchange
    this.#providers = providers
    this.#isPublic = isPublic
  }

  /** Resolves once it listens. @throws when the address is taken or the key is damaged */
  static async start(components: NetworkComponents, init: EmbeddedNodeInit): Promise<Network> {
    const { logger } = components
    const isPublic = init.network === 'public'
    let swarm: Swarm | undefined
    const libp2p = await createLibp2p(
      await hostOptions({
        network: init.network,
        privateKey: await loadOrCreateIdentity(init.folder),
        listenMultiaddrs: init.listenMultiaddrs,
        isClusterNode: (address) => swarm?.isMember(peerOf(address) ?? '') ?? false
      })
    )
    swarm = new Swarm(libp2p, logger)
    const providers = isPublic
      ? new Providers({ libp2p, logger, delegatedRoutingUrl: DELEGATED_ROUTING_URL })
      : undefined
    const exchange = new Exchange({ libp2p, blocks: components.blocks, onStarved: (cid) => providers?.seek(cid) })
    await libp2p.start()
    await exchange.start()
    const network = new Network(libp2p, swarm, exchange, providers, isPublic)
    if (isPublic) void network.connectSwarm([], new AbortController().signal)
    return network
  }

  async stop(): Promise<void> {
    this.#swarm.stop()
    this.#providers?.stop()
    await this.exchange.stop()
    await this.#libp2p.stop()
  }

  get peerId(): string {
    return this.#libp2p.peerId.toString()
  }

  /** All that it listens on, loopback too, each ending in its peer ID. */
  addresses(): string[] {
    return this.#libp2p.getMultiaddrs().map(String)
  }

  peers(): string[] {
    return this.#libp2p.getPeers().map(String)
  }

  async connectSwarm(addresses: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#swarm.set(this.#isPublic ? [...addresses, ...BOOTSTRAP_MULTIADDRS] : addresses, signal)
  }

  /** Nodes that are said to have something. In the background; whether it helps shows in the blocks that come. */
  connectToOrigins(origins: readonly string[], signal: AbortSignal): void {
    for (const origin of origins.slice(0, MAX_ORIGINS)) {
      const dial = async () => {
        await this.#libp2p.dial(multiaddr(origin), {
          signal: AbortSignal.any([signal, AbortSignal.timeout(ORIGIN_TIMEOUT_MS)])
        })
      }
      dial().catch(() => undefined)
    }
  }
}
