/**
 * Finds nodes of the public network that have a block, and connects to them; bitswap then asks them like any other peer. Two sources at
 * once: the DHT of the public network, and delegated routing over HTTP (https://specs.ipfs.tech/routing/http-routing-v1/), which also
 * knows large providers that are not in the DHT. In a private network there is no such thing, and this is not made.
 */

import type { Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../ports.ts'
import { Semaphore } from './semaphore.ts'

const CONCURRENT_LOOKUPS = 16
/** Beyond these a wanted block waits for its next turn, ten seconds later. */
const MAX_WAITING_LOOKUPS = 256
const LOOKUP_TIMEOUT_MS = 30_000
const DIAL_TIMEOUT_MS = 10_000
const MAX_PROVIDERS = 10
/** An answer longer than this is not read on. */
const MAX_ANSWER_BYTES = 1024 * 1024

export interface ProvidersInit {
  readonly libp2p: Libp2p
  readonly logger: Logger
  /** Base URL of delegated routing. */
  readonly delegatedRoutingUrl: string
  readonly fetch?: typeof fetch
}

export class Providers {
  readonly #init: ProvidersInit
  readonly #lookups = new Set<string>()
  readonly #slots = new Semaphore(CONCURRENT_LOOKUPS)
  readonly #stopped = new AbortController()

  constructor(init: ProvidersInit) {
    this.#init = init
  }

  stop(): void {
    this.#stopped.abort()
  }

  /** Looks for providers in the background; no-op while a lookup for this block runs. */
  seek(cid: CID): void {
    const key = cid.toString()
    if (this.#lookups.has(key) || this.#lookups.size >= MAX_WAITING_LOOKUPS || this.#stopped.signal.aborted) return
    this.#lookups.add(key)
    void this.#seek(cid).finally(() => this.#lookups.delete(key))
  }

  async #seek(cid: CID): Promise<void> {
    const release = await this.#slots.acquire()
    try {
      const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(LOOKUP_TIMEOUT_MS)])
      await Promise.all([
        this.#connectToAll(cid, 'delegated routing', this.#overHttp(cid, signal)),
        this.#connectToAll(cid, 'DHT', this.#overDht(cid, signal))
      ])
    } finally {
      release()
    }
  }

  async #connectToAll(
    cid: CID,
    source: string,
    providers: AsyncIterable<{ id: PeerId; multiaddrs: Multiaddr[] }>
  ): Promise<void> {
    const dials: Promise<void>[] = []
    try {
      for await (const provider of providers) {
        dials.push(this.#connect(provider))
        if (dials.length >= MAX_PROVIDERS) break
      }
    } catch (error) {
      this.#init.logger.debug(
        { cid: cid.toString(), source, error: (error as Error).message },
        'cannot look for providers'
      )
    }
    await Promise.all(dials)
  }

  async #connect(provider: { id: PeerId; multiaddrs: Multiaddr[] }): Promise<void> {
    const { libp2p } = this.#init
    if (provider.id.equals(libp2p.peerId) || libp2p.getConnections(provider.id).length > 0) return
    try {
      if (provider.multiaddrs.length > 0) await libp2p.peerStore.merge(provider.id, { multiaddrs: provider.multiaddrs })
      await libp2p.dial(provider.id, {
        signal: AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(DIAL_TIMEOUT_MS)])
      })
    } catch {
      // Most providers cannot be reached from everywhere; there are others.
    }
  }

  #overDht(cid: CID, signal: AbortSignal): AsyncIterable<{ id: PeerId; multiaddrs: Multiaddr[] }> {
    return this.#init.libp2p.contentRouting.findProviders(cid, { signal })
  }

  async *#overHttp(cid: CID, signal: AbortSignal): AsyncGenerator<{ id: PeerId; multiaddrs: Multiaddr[] }> {
    const request = this.#init.fetch ?? fetch
    const response = await request(new URL(`/routing/v1/providers/${cid}`, this.#init.delegatedRoutingUrl), {
      headers: { accept: 'application/x-ndjson' },
      signal
    })
    if (response.status === 404) return
    if (!response.ok || response.body === null) throw new Error(`answered ${response.status}`)
    const decoder = new TextDecoder()
    let text = ''
    let bytes = 0
    for await (const chunk of response.body) {
      bytes += chunk.length
      if (bytes > MAX_ANSWER_BYTES) return
      text += decoder.decode(chunk, { stream: true })
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        const provider = parseProvider(line)
        if (provider !== undefined) yield provider
      }
    }
    const last = parseProvider(text)
    if (last !== undefined) yield last
  }
}

/** One line of the answer; undefined if it is not a provider that can be dialled. */
function parseProvider(line: string): { id: PeerId; multiaddrs: Multiaddr[] } | undefined {
  try {
    const record = JSON.parse(line) as { ID?: unknown; Addrs?: unknown }
    if (typeof record.ID !== 'string' || !Array.isArray(record.Addrs)) return undefined
    const multiaddrs = record.Addrs.filter((address) => typeof address === 'string').map((address) =>
      multiaddr(address)
    )
    return { id: peerIdFromString(record.ID), multiaddrs }
  } catch {
    return undefined
  }
}
