/**
 * Measures this peer and tells all members; takes in what they tell. Each peer speaks for itself only: a metric belongs to the
 * peer whose authenticated connection it came over, and is believed for a time to live counted from its arrival.
 *
 * Each informer is asked at half of its time to live, and again soon after a failure. A peer that becomes a member is told
 * everything at once. Called by `compose.ts`.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { PeerIdString } from '@quorate/client/api'
import type { Informer, Logger, Startable } from '../ports.ts'
import type { RpcRequest } from '../rpc/methods.ts'
import type { PeerRpc } from '../rpc/peer-rpc.ts'

type PushedMetric = RpcRequest<'Monitor.push'>['metrics'][number]

const PUSH_TIMEOUT_MS = 5_000
/** How often to look for members that have not been told yet. */
const NEWCOMER_INTERVAL_MS = 500

export interface ExchangeComponents {
  readonly rpc: PeerRpc
  readonly informers: readonly Informer[]
  readonly logger: Logger
  /** All members, this peer too. */
  readonly members: () => readonly PeerIdString[]
  readonly connected: () => ReadonlySet<PeerIdString>
  /** Takes in a metric of a member, this peer too. */
  readonly put: (peer: PeerIdString, metric: PushedMetric) => void
}

export class MetricsExchange implements Startable {
  private readonly components: ExchangeComponents
  private readonly id: PeerIdString
  private readonly stopping = new AbortController()
  private readonly latest = new Map<string, { readonly metric: PushedMetric; readonly expireAtMs: number }>()
  private readonly told = new Set<PeerIdString>()
  /** Of each informer that waits for its time. */
  private readonly waiting = new Map<string, AbortController>()
  private readonly loops: Promise<void>[] = []

  constructor(components: ExchangeComponents, id: PeerIdString) {
    this.components = components
    this.id = id
    components.rpc.handle('Monitor.push', async ({ metrics }, { peer }) => {
      for (const metric of metrics) components.put(peer, metric)
      return null
    })
  }

  async start(): Promise<void> {
    for (const informer of this.components.informers) this.loops.push(this.measureLoop(informer))
    this.loops.push(this.newcomerLoop())
  }

  async stop(): Promise<void> {
    this.stopping.abort()
    await Promise.allSettled(this.loops)
  }

  /** Measures with this informer at once, and tells everybody: what it says has changed. */
  refresh(informer: string): void {
    this.waiting.get(informer)?.abort()
  }

  private async measureLoop(informer: Informer): Promise<void> {
    const { signal } = this.stopping
    while (!signal.aborted) {
      let failed = false
      try {
        const measured = await informer.measure({
          signal: AbortSignal.any([signal, AbortSignal.timeout(informer.ttlMs)])
        })
        const metrics = measured.map((metric) => ({ ...metric, ttlMs: informer.ttlMs }))
        for (const metric of metrics) {
          this.latest.set(metric.name, { metric, expireAtMs: performance.now() + metric.ttlMs })
          this.components.put(this.id, metric)
        }
        this.pushToAll(metrics)
      } catch (error) {
        failed = true
        if (!signal.aborted)
          this.components.logger.debug({ informer: informer.name, error: String(error) }, 'an informer cannot measure')
      }
      const woken = new AbortController()
      this.waiting.set(informer.name, woken)
      await delay(informer.ttlMs / (failed ? 4 : 2), undefined, {
        signal: AbortSignal.any([signal, woken.signal]),
        ref: false
      }).catch(() => undefined)
    }
  }

  /** A member that is seen for the first time, or again after it was away, is told everything that is known. */
  private async newcomerLoop(): Promise<void> {
    const { signal } = this.stopping
    while (!signal.aborted) {
      const here = this.components.connected()
      const members = this.components.members()
      for (const peer of this.told) if (!here.has(peer)) this.told.delete(peer)
      for (const peer of members) {
        if (peer === this.id || !here.has(peer) || this.told.has(peer) || this.latest.size === 0) continue
        this.told.add(peer)
        this.push(peer, this.believed())
      }
      await delay(NEWCOMER_INTERVAL_MS, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  /** For as long as those believe it who were told when it was measured: what cannot be measured any more does not live on in newcomers. */
  private believed(): PushedMetric[] {
    const nowMs = performance.now()
    const metrics: PushedMetric[] = []
    for (const { metric, expireAtMs } of this.latest.values()) {
      const ttlMs = Math.ceil(expireAtMs - nowMs)
      if (ttlMs > 0) metrics.push({ ...metric, ttlMs })
    }
    return metrics
  }

  private pushToAll(metrics: PushedMetric[]): void {
    const here = this.components.connected()
    for (const peer of this.components.members()) if (peer !== this.id && here.has(peer)) this.push(peer, metrics)
  }

  private push(peer: PeerIdString, metrics: PushedMetric[]): void {
    this.components.rpc
      .call(peer, 'Monitor.push', { metrics }, { signal: this.stopping.signal, timeoutMs: PUSH_TIMEOUT_MS })
      .catch((error: unknown) => {
        this.told.delete(peer)
        this.components.logger.debug({ peer, error: String(error) }, 'cannot tell a member our metrics')
      })
  }
}
