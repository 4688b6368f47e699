/**
 * The smaller sections of `service.json`: tracker, monitor, allocator, informers, observations. Read by `schema.ts`; the keys are
 * IPFS Cluster's, and so are the names of its components (`stateless`, `pubsubmon`), though ours work otherwise.
 */

import type { Values } from '../field.ts'
import { address, boolean, choice, duration, fraction, integer, text, textMap, texts } from '../field-types.ts'

export const statelessShape = {
  maxPinQueueSize: integer(1_000_000, 'The queue is on disk, and has no limit.', { min: 1, omit: true, inert: true }),
  concurrentPins: integer(10, 'How many pins this peer works on at a time.', { min: 1 }),
  priorityPinMaxAgeMs: duration('24h0m0s', 'Pins younger than this go before older ones.'),
  priorityPinMaxRetries: integer(5, 'Pins that failed more often than this give way to the others.', { min: 1 })
} as const

export const pubsubmonShape = {
  checkIntervalMs: duration('15s', 'Expiry is checked whenever a metric is read.', { inert: true })
} as const

export const balancedShape = {
  allocateBy: texts(
    ['tag:group', 'freespace'],
    'By which metrics the peers for a pin are chosen, the first before the second and so on.',
    { nonEmpty: true }
  )
} as const

export const diskShape = {
  metricTtlMs: duration('30s', 'How long a measure is believed.'),
  metricType: choice(['freespace', 'reposize'], 'freespace', 'What is measured.')
} as const

export const tagsShape = {
  metricTtlMs: duration('30s', 'How long a tag is believed.'),
  tags: textMap({ group: 'default' }, 'Tags of this peer; pins are spread over the values of `tag:<name>`.')
} as const

export const pinqueueShape = {
  metricTtlMs: duration('30s', 'How long a measure is believed.'),
  weightBucketSize: integer(100_000, 'Queues that differ by less than this count as equal.', { min: 0 })
} as const

export const metricsShape = {
  enableStats: boolean(false, 'Serve metrics for Prometheus. `daemon --stats` turns it on as well.'),
  prometheusEndpoint: address(
    '/ip4/127.0.0.1/tcp/8888',
    'Where they are served, without credentials: below `/metrics`.'
  ),
  reportingIntervalMs: duration(
    '30s',
    'How often the pins are counted by state. All else is as of the moment it is asked for.'
  )
} as const

export const tracingShape = {
  enableTracing: boolean(false, 'Send traces.', { inert: true }),
  jaegerAgentEndpoint: address('/ip4/0.0.0.0/udp/6831', 'Where to.', { inert: true }),
  samplingProb: fraction(0.3, 'How many of them.', { inert: true }),
  serviceName: text('cluster-daemon', 'Under which name.', { inert: true })
} as const

export type StatelessSection = Values<typeof statelessShape>
export type PubsubmonSection = Values<typeof pubsubmonShape>
export type BalancedSection = Values<typeof balancedShape>
export type DiskSection = Values<typeof diskShape>
export type TagsSection = Values<typeof tagsShape>
export type PinqueueSection = Values<typeof pinqueueShape>
export type MetricsSection = Values<typeof metricsShape>
export type TracingSection = Values<typeof tracingShape>
