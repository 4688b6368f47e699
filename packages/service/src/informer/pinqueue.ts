/**
 * Tells how many pins wait at this peer, so that new ones can be allocated to peers with less to do. Asked by
 * `monitor/exchange.ts`; the tracker counts.
 */

import type { Informer } from '../ports.ts'

export interface PinqueueInformerInit {
  readonly metricTtlMs: number
  /** Queues that differ by less weigh the same, so that the next metric decides. 0 or 1: every pin counts. */
  readonly weightBucketSize: number
}

export function createPinqueueInformer(source: { queuedPinCount(): number }, init: PinqueueInformerInit): Informer {
  const bucketSize = Math.max(1, init.weightBucketSize)
  return {
    name: 'pinqueue',
    ttlMs: init.metricTtlMs,
    async measure() {
      const count = source.queuedPinCount()
      // `0 -` keeps an empty queue from weighing -0.
      const weight = 0 - Math.floor(count / bucketSize)
      return [{ name: 'pinqueue', value: String(count), weight, partitionable: false, valid: true }]
    }
  }
}
