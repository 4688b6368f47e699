/**
 * Measures the space of the IPFS node: `freespace`, by which pins are allocated, or `reposize`. Asked by `monitor/exchange.ts`.
 * As in IPFS Cluster (`informer/disk`), free is what is left of the node's own limit, and a full node has no valid metric, so
 * that nothing new is allocated to it.
 */

import type { Informer, IpfsConnector } from '../ports.ts'

export interface DiskInformerInit {
  readonly metricTtlMs: number
  readonly metricType: 'freespace' | 'reposize'
}

/** Bytes, as value and as weight: the more is free, or the less is used, the better. */
export function createDiskInformer(connector: Pick<IpfsConnector, 'repoStat'>, init: DiskInformerInit): Informer {
  const name = init.metricType
  return {
    name,
    ttlMs: init.metricTtlMs,
    async measure(options) {
      const { repoSizeBytes, storageMaxBytes } = await connector.repoStat(options)
      const bytes = name === 'freespace' ? Math.max(0, storageMaxBytes - repoSizeBytes) : repoSizeBytes
      const weight = name === 'freespace' ? bytes : -bytes
      return [{ name, value: String(bytes), weight, partitionable: false, valid: name === 'reposize' || bytes > 0 }]
    }
  }
}
