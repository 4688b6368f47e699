/**
 * Tells this peer's tags (`region`, `group`, …) as metrics `tag:<key>`, so that pins are spread over their values. Asked by
 * `monitor/exchange.ts`. A tag weighs nothing by itself: the next metric decides between its values.
 */

import type { Informer } from '../ports.ts'

export interface TagsInformerInit {
  readonly metricTtlMs: number
  readonly tags: Readonly<Record<string, string>>
}

export function createTagsInformer(init: TagsInformerInit): Informer {
  const metrics = Object.entries(init.tags).map(([key, value]) => ({
    name: `tag:${key}`,
    value,
    weight: 0,
    partitionable: true,
    valid: true
  }))
  return { name: 'tags', ttlMs: init.metricTtlMs, measure: async () => metrics }
}
