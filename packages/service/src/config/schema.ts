/**
 * All of `service.json`: which sections there are, where they lie, under which prefix the environment overrides them, and the type of the
 * whole once it is read. `load.ts` reads by it, `document.ts` writes by it, and `docs/configuration.md` is printed from it.
 *
 * The layout is IPFS Cluster's: a top-level key for a kind of component, and in it a key for the component.
 */

import type { JsonObject, Shape } from './field.ts'
import {
  type HttpApiSection,
  httpRules,
  type IpfsProxySection,
  ipfsproxyShape,
  pinsvcapiShape,
  restapiShape
} from './sections/api.ts'
import { type ClusterSection, clusterRules, clusterShape, legacyIdentityKeys } from './sections/cluster.ts'
import {
  type BalancedSection,
  balancedShape,
  type DiskSection,
  diskShape,
  type MetricsSection,
  metricsShape,
  type PinqueueSection,
  type PubsubmonSection,
  pinqueueShape,
  pubsubmonShape,
  type StatelessSection,
  statelessShape,
  type TagsSection,
  type TracingSection,
  tagsShape,
  tracingShape
} from './sections/components.ts'
import { type RaftSection, raftRules, raftShape } from './sections/consensus.ts'
import { type EmbeddedSection, embeddedShape, type IpfsHttpSection, ipfshttpShape } from './sections/ipfs-connector.ts'

/** The configuration of a peer, checked and complete. Times are milliseconds (`…Ms`), sizes bytes, paths absolute. Never changed. */
export interface ServiceConfig {
  /** The configuration folder, absolute. */
  readonly folder: string
  /** The address that the configuration was fetched from, if it was. */
  readonly source: string | undefined
  /** What the operator should know and what does not stop the peer, such as unknown keys; for the log. */
  readonly warnings: readonly string[]
  readonly cluster: ClusterSection
  readonly consensus: { readonly raft: RaftSection }
  /** Undefined: not served. */
  readonly api: {
    readonly restapi: HttpApiSection | undefined
    readonly pinsvcapi: HttpApiSection | undefined
    readonly ipfsproxy: IpfsProxySection | undefined
  }
  readonly ipfsConnector: IpfsConnectorSection
  readonly pinTracker: { readonly stateless: StatelessSection }
  readonly monitor: { readonly pubsubmon: PubsubmonSection }
  readonly allocator: { readonly balanced: BalancedSection }
  /** Undefined: not measured. One at least is there. */
  readonly informer: {
    readonly disk: DiskSection | undefined
    readonly tags: TagsSection | undefined
    readonly pinqueue: PinqueueSection | undefined
  }
  readonly observations: { readonly metrics: MetricsSection; readonly tracing: TracingSection }
}

/** The IPFS node of the peer, by its kind. */
export type IpfsConnectorSection =
  | ({ readonly kind: 'embedded' } & EmbeddedSection)
  | ({ readonly kind: 'ipfshttp' } & IpfsHttpSection)

/** A section and its place. */
export interface SectionSpec<S extends Shape = Shape> {
  /** Its place in the file, of one or two keys. */
  readonly path: readonly [string] | readonly [string, string]
  /** What its variables begin with, with the underscore. */
  readonly prefix: string
  readonly shape: S
  /** Keys that are known and read elsewhere. */
  readonly otherKeys?: ReadonlySet<string>
  /** `served`: does its work. `accepted`: understood and checked, and this version does nothing with it. */
  readonly status: 'served' | 'accepted'
  readonly meaning: string
}

function spec<const S extends SectionSpec>(section: S): S {
  return section
}

/** Every section, by a short name, in the order of the file. */
export const sections = {
  cluster: spec({
    path: ['cluster'],
    prefix: 'CLUSTER_',
    shape: clusterShape,
    otherKeys: legacyIdentityKeys,
    status: 'served',
    meaning: 'This peer among the others.'
  }),
  raft: spec({
    path: ['consensus', 'raft'],
    prefix: 'CLUSTER_RAFT_',
    shape: raftShape,
    status: 'served',
    meaning: 'How the peers agree.'
  }),
  restapi: spec({
    path: ['api', 'restapi'],
    prefix: 'CLUSTER_RESTAPI_',
    shape: restapiShape,
    status: 'served',
    meaning: 'The REST API, which `quorate-ctl` calls. Without the section it is not served.'
  }),
  pinsvcapi: spec({
    path: ['api', 'pinsvcapi'],
    prefix: 'CLUSTER_PINSVCAPI_',
    shape: pinsvcapiShape,
    status: 'accepted',
    meaning: 'The Pinning Services API.'
  }),
  ipfsproxy: spec({
    path: ['api', 'ipfsproxy'],
    prefix: 'CLUSTER_IPFSPROXY_',
    shape: ipfsproxyShape,
    status: 'accepted',
    meaning: 'The IPFS proxy.'
  }),
  embedded: spec({
    path: ['ipfs_connector', 'embedded'],
    prefix: 'CLUSTER_EMBEDDED_',
    shape: embeddedShape,
    status: 'served',
    meaning:
      'The IPFS node that runs inside the peer. Exactly one of `ipfs_connector.embedded` and `ipfs_connector.ipfshttp` must be there.'
  }),
  ipfshttp: spec({
    path: ['ipfs_connector', 'ipfshttp'],
    prefix: 'CLUSTER_IPFSHTTP_',
    shape: ipfshttpShape,
    status: 'served',
    meaning: 'A Kubo daemon as the IPFS node of the peer, instead of the embedded one.'
  }),
  stateless: spec({
    path: ['pin_tracker', 'stateless'],
    prefix: 'CLUSTER_STATELESS_',
    shape: statelessShape,
    status: 'served',
    meaning: 'How this peer works through its pins.'
  }),
  pubsubmon: spec({
    path: ['monitor', 'pubsubmon'],
    prefix: 'CLUSTER_PUBSUBMON_',
    shape: pubsubmonShape,
    status: 'served',
    meaning: 'What this peer knows of the others.'
  }),
  balanced: spec({
    path: ['allocator', 'balanced'],
    prefix: 'CLUSTER_BALANCED_',
    shape: balancedShape,
    status: 'served',
    meaning: 'Which peers hold a pin. Without the section they are chosen by `freespace` alone.'
  }),
  disk: spec({
    path: ['informer', 'disk'],
    prefix: 'CLUSTER_DISK_',
    shape: diskShape,
    status: 'served',
    meaning: 'Measures the space of the IPFS node. At least one informer must be there.'
  }),
  tags: spec({
    path: ['informer', 'tags'],
    prefix: 'CLUSTER_TAGS_',
    shape: tagsShape,
    status: 'served',
    meaning: 'Tells the tags of this peer.'
  }),
  pinqueue: spec({
    path: ['informer', 'pinqueue'],
    prefix: 'CLUSTER_PINQUEUE_',
    shape: pinqueueShape,
    status: 'served',
    meaning: 'Measures how many pins wait on this peer.'
  }),
  metrics: spec({
    path: ['observations', 'metrics'],
    prefix: 'CLUSTER_METRICS_',
    shape: metricsShape,
    status: 'served',
    meaning: 'Metrics for Prometheus; which they are is told in [metrics.md](metrics.md).'
  }),
  tracing: spec({
    path: ['observations', 'tracing'],
    prefix: 'CLUSTER_TRACING_',
    shape: tracingShape,
    status: 'accepted',
    meaning: 'Traces for Jaeger.'
  })
} as const satisfies Record<string, SectionSpec>

export type SectionName = keyof typeof sections

/**
 * Places in the file that IPFS Cluster knows, whose contents mean nothing here and are not looked at. Their variables are known as well.
 * `consensus.crdt` is not among them: see `load.ts`.
 */
export const ignoredPlaces: readonly { readonly path: readonly string[]; readonly prefix: string | undefined }[] = [
  { path: ['state'], prefix: undefined },
  { path: ['datastore', 'pebble'], prefix: 'CLUSTER_PEBBLE_' },
  { path: ['datastore', 'badger'], prefix: 'CLUSTER_BADGER_' },
  { path: ['datastore', 'badger3'], prefix: 'CLUSTER_BADGER3_' },
  { path: ['datastore', 'leveldb'], prefix: 'CLUSTER_LEVELDB_' }
]

/** What must hold between the keys of a section. */
export const rules = {
  cluster: clusterRules,
  raft: raftRules,
  restapi: httpRules,
  pinsvcapi: httpRules
} as const

/** The object at a place of the document; undefined if there is none, or if something else is there. */
export function objectAt(document: JsonObject, path: readonly string[]): JsonObject | undefined {
  let here: JsonObject | undefined = document
  for (const key of path) {
    const next: unknown = here !== undefined && Object.hasOwn(here, key) ? here[key] : undefined
    here = isObject(next) ? next : undefined
  }
  return here
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
