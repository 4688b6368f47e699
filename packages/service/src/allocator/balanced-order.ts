/**
 * The order in which peers are chosen: nested partitions, as IPFS Cluster's balanced allocator makes them
 * (`allocator/balanced/balanced.go`). Pure; `allocate.ts` calls it.
 *
 * The first metric splits the peers into buckets: by value if it is partitionable (a tag: all peers of a region are one bucket),
 * else one peer a bucket. Buckets with more weight come first. Inside a bucket the next metric does the same. Peers are then
 * taken from the buckets in turn, so that regions, and zones within regions, are used evenly.
 */

import type { PeerIdString } from '@quorate/client/api'
import type { Metric } from '../ports.ts'

/** The valid metrics of one peer, by name. */
export type MetricsOfPeer = ReadonlyMap<string, Metric>

interface Bucket {
  readonly value: string
  readonly peers: PeerIdString[]
}

/**
 * All `peers`, each once, the best first. The same for any order of the input.
 * @param peers without duplicates; each has a metric for every name in `allocateBy`
 */
export function balancedOrder(
  peers: readonly PeerIdString[],
  allocateBy: readonly string[],
  metricsOf: (peer: PeerIdString) => MetricsOfPeer
): PeerIdString[] {
  const [name, ...rest] = allocateBy
  if (name === undefined || peers.length < 2) return [...peers].sort(compareText)
  const buckets = new Map<string, Bucket>()
  for (const peer of peers) {
    const metric = metricsOf(peer).get(name)
    const key = metric?.partitionable === true ? `value ${metric.value}` : `peer ${peer}`
    const bucket = buckets.get(key)
    if (bucket === undefined) buckets.set(key, { value: metric?.value ?? '', peers: [peer] })
    else bucket.peers.push(peer)
  }
  const weighed = [...buckets.values()].map((bucket) => ({
    bucket,
    // By this metric; when equal, by the next; and so on.
    weights: allocateBy.map((by) => bucket.peers.reduce((sum, peer) => sum + weightOf(metricsOf(peer).get(by)), 0)),
    // A peer's place must not depend on the order of the input.
    firstPeer: [...bucket.peers].sort(compareText)[0] ?? ''
  }))
  weighed.sort((a, b) => {
    for (const [position, weight] of a.weights.entries()) {
      const other = b.weights[position] ?? 0
      if (weight !== other) return other - weight
    }
    return compareText(a.bucket.value, b.bucket.value) || compareText(a.firstPeer, b.firstPeer)
  })
  return inTurn(weighed.map(({ bucket }) => balancedOrder(bucket.peers, rest, metricsOf)))
}

/** The first of each list, then the second of each, and so on. */
function inTurn(lists: readonly (readonly PeerIdString[])[]): PeerIdString[] {
  const taken: PeerIdString[] = []
  for (let round = 0; lists.some((list) => list.length > round); round++) {
    for (const list of lists) {
      const peer = list[round]
      if (peer !== undefined) taken.push(peer)
    }
  }
  return taken
}

/** Metrics come from other peers: a weight that is not a number weighs nothing. */
function weightOf(metric: Metric | undefined): number {
  return metric !== undefined && Number.isFinite(metric.weight) ? metric.weight : 0
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
