/**
 * Keeps the IPFS nodes of the members connected with each other, so that what one of them has the others fetch from it, without the
 * help of a public network. Addresses come with the `ping` metric of each member (`monitor/exchange.ts`).
 */

import type { IpfsId, MultiaddrString, PeerIdString } from '@quorate/client/api'
import type { IpfsConnector, Logger } from '../ports.ts'

/** Addresses often change together, when a cluster starts. */
const SETTLE_MS = 50
/** How often the own node is asked who it is, until it answers, and from then on. */
const ASK_FIRST_MS = 200
const ASK_INTERVAL_MS = 15_000
const ASK_TIMEOUT_MS = 10_000
/** A node that takes longer to say who it is does not hold up the start of the peer. */
const FIRST_ANSWER_MS = 1_000

export interface SwarmKeeperComponents {
  readonly connector: IpfsConnector
  readonly logger: Logger
}

export class SwarmKeeper {
  private readonly parts: SwarmKeeperComponents
  private readonly firstDelayMs: number
  private readonly addresses = new Map<PeerIdString, readonly MultiaddrString[]>()
  private readonly stopping = new AbortController()
  private lastId: IpfsId | undefined
  /** Told when the own node's ID or addresses are other than before. */
  private onId: () => void = () => undefined
  private connecting: NodeJS.Timeout | undefined
  private asking: NodeJS.Timeout | undefined
  private startedMs = 0

  /** @param firstDelayMs - `connect_swarms_delay`: not before so long after the start */
  constructor(components: SwarmKeeperComponents, firstDelayMs: number) {
    this.parts = components
    this.firstDelayMs = firstDelayMs
  }

  /** The own IPFS node's last answer. */
  id(): IpfsId | undefined {
    return this.lastId
  }

  /**
   * Asks the own node who it is, and goes on asking.
   * @param onId - told when its answer is another than before
   */
  async start(onId: () => void): Promise<void> {
    this.startedMs = performance.now()
    await this.ask(FIRST_ANSWER_MS)
    this.onId = onId
  }

  stop(): void {
    this.stopping.abort()
    clearTimeout(this.connecting)
    clearTimeout(this.asking)
  }

  /** Where a member's IPFS node is. */
  setPeer(peer: PeerIdString, addresses: readonly MultiaddrString[]): void {
    if (this.stopping.signal.aborted || this.addresses.get(peer)?.join() === addresses.join()) return
    this.addresses.set(peer, addresses)
    const waitMs = Math.max(SETTLE_MS, this.startedMs + this.firstDelayMs - performance.now())
    clearTimeout(this.connecting)
    this.connecting = setTimeout(() => void this.connect(), waitMs)
    this.connecting.unref()
  }

  /** Forgets the nodes of peers that are members no more. */
  retain(members: readonly PeerIdString[]): void {
    for (const peer of this.addresses.keys()) if (!members.includes(peer)) this.addresses.delete(peer)
  }

  private async connect(): Promise<void> {
    try {
      await this.parts.connector.connectSwarm([...this.addresses.values()].flat(), { signal: this.stopping.signal })
    } catch (error) {
      if (!this.stopping.signal.aborted) {
        this.parts.logger.debug({ error: String(error) }, 'cannot connect the IPFS nodes of the members yet')
        // Addresses may have changed meanwhile: one timer for both.
        clearTimeout(this.connecting)
        this.connecting = setTimeout(() => void this.connect(), ASK_INTERVAL_MS)
        this.connecting.unref()
      }
    }
  }

  private async ask(timeoutMs: number): Promise<void> {
    const signal = AbortSignal.any([this.stopping.signal, AbortSignal.timeout(timeoutMs)])
    try {
      const before = this.lastId
      this.lastId = await this.parts.connector.id({ signal })
      if (before?.id !== this.lastId.id || before?.addresses.join() !== this.lastId.addresses.join()) this.onId()
    } catch (error) {
      this.parts.logger.debug({ error: String(error) }, 'the IPFS node does not say who it is')
    }
    if (this.stopping.signal.aborted) return
    this.asking = setTimeout(
      () => void this.ask(ASK_TIMEOUT_MS),
      this.lastId?.id === undefined ? ASK_FIRST_MS : ASK_INTERVAL_MS
    )
    this.asking.unref()
  }
}
