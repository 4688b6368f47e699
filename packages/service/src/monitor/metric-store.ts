/**
 * The latest metric of each member and name. `exchange.ts` puts in what arrives, the allocator and the status of peers read.
 *
 * A metric is bound to the peer whose authenticated connection it came over, and is valid for a time counted from its arrival by
 * this peer's own clock: neither a forged sender nor a clock that is off makes a peer look alive or dead (both are possible in
 * IPFS Cluster, whose metrics carry their sender and an expiry by the sender's clock).
 */

import type { PeerIdString } from '@quorate/client/api'
import type { Metric, PeerMonitor } from '../ports.ts'

/** Names kept for one peer; the daemon's own informers have a handful, and one for each tag. */
const MAX_NAMES_PER_PEER = 64
/** A peer cannot be believed for longer than this, whatever it asks for. */
const MAX_TTL_MS = 24 * 60 * 60 * 1000

export type MeasuredMetric = Pick<Metric, 'name' | 'value' | 'weight' | 'partitionable' | 'valid'>

export interface MetricStoreInit {
  /** All members by now, this peer too. */
  readonly members: () => readonly PeerIdString[]
  /** Milliseconds since the Unix epoch. */
  readonly clock?: { now(): number }
}

export interface MetricStore extends PeerMonitor {
  /**
   * Takes in what `peer`, as the connection proves, says of itself. What a stranger says is dropped.
   * @param ttlMs how long it is to be believed, from now
   * @returns whether it was kept
   */
  put(peer: PeerIdString, metric: MeasuredMetric, ttlMs: number): boolean
}

export function createMetricStore(init: MetricStoreInit): MetricStore {
  return new MemoryMetricStore(init)
}

class MemoryMetricStore implements MetricStore {
  readonly #members: () => readonly PeerIdString[]
  readonly #clock: { now(): number }
  /** Holds members, and those that were members at the last `put`: `#members().length × MAX_NAMES_PER_PEER` at most. */
  readonly #metrics = new Map<PeerIdString, Map<string, Metric>>()

  constructor(init: MetricStoreInit) {
    this.#members = init.members
    this.#clock = init.clock ?? { now: () => Date.now() }
  }

  put(peer: PeerIdString, metric: MeasuredMetric, ttlMs: number): boolean {
    const members = this.#members()
    if (!members.includes(peer)) return false
    if (!this.#metrics.has(peer)) this.#forgetStrangers(members)
    const ofPeer = this.#metrics.get(peer) ?? new Map<string, Metric>()
    if (!ofPeer.has(metric.name) && ofPeer.size >= MAX_NAMES_PER_PEER) return false
    const receivedAtMs = this.#clock.now()
    const lifetimeMs = Number.isFinite(ttlMs) ? Math.min(Math.max(ttlMs, 0), MAX_TTL_MS) : 0
    const { name, value, weight, partitionable, valid } = metric
    ofPeer.set(name, {
      name,
      value,
      weight,
      partitionable,
      valid,
      peer,
      receivedAtMs,
      expireAtMs: receivedAtMs + lifetimeMs
    })
    this.#metrics.set(peer, ofPeer)
    return true
  }

  latest(name: string): readonly Metric[] {
    const nowMs = this.#clock.now()
    const found: Metric[] = []
    for (const peer of this.#members()) {
      const metric = this.#metrics.get(peer)?.get(name)
      if (metric?.valid === true && metric.expireAtMs > nowMs) found.push(metric)
    }
    return found.sort((a, b) => (a.peer < b.peer ? -1 : a.peer > b.peer ? 1 : 0))
  }

  names(): readonly string[] {
    const names = new Set<string>()
    for (const peer of this.#members()) for (const name of this.#metrics.get(peer)?.keys() ?? []) names.add(name)
    return [...names].sort()
  }

  lastOf(name: string, peer: PeerIdString): Metric | undefined {
    return this.#metrics.get(peer)?.get(name)
  }

  #forgetStrangers(members: readonly PeerIdString[]): void {
    for (const peer of this.#metrics.keys()) if (!members.includes(peer)) this.#metrics.delete(peer)
  }
}
