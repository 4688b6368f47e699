/**
 * The states of a copy and the filters over them. On the wire only names travel; IPFS Cluster keeps them as bits and lets two
 * names, `error` and `queued`, stand for a family.
 *
 * Called by the routes (`/pins?filter=`, `/allocations?filter=`), by the tracker and by the command line.
 */

import { BadRequestError } from './errors.ts'
import type { PinType, TrackerStatus, TrackerStatusFilter } from './types.ts'

/** Every status in the order of IPFS Cluster's bits. */
export const trackerStatuses: readonly TrackerStatus[] = [
  'undefined',
  'cluster_error',
  'pin_error',
  'unpin_error',
  'pinned',
  'pinning',
  'unpinning',
  'unpinned',
  'remote',
  'pin_queued',
  'unpin_queued',
  'sharded',
  'unexpectedly_unpinned'
]

/** Names that stand for several. */
export const statusFamilies: Readonly<Record<'error' | 'queued', readonly TrackerStatus[]>> = {
  error: ['cluster_error', 'pin_error', 'unpin_error'],
  queued: ['pin_queued', 'unpin_queued']
}

export const pinTypes: readonly PinType[] = ['pin', 'meta-pin', 'clusterdag-pin', 'shard-pin']

const statusByName: ReadonlyMap<string, TrackerStatus> = new Map(trackerStatuses.map((status) => [status, status]))

/** Unknown names, of a newer peer perhaps, read as `undefined`. */
export function parseStatus(name: string): TrackerStatus {
  return statusByName.get(name) ?? 'undefined'
}

/**
 * A comma list of statuses and families. As in IPFS Cluster unknown names are passed over as long as one is known, and
 * `undefined`, which has no bit, counts as unknown.
 *
 * @returns undefined for an empty list: everything
 * @throws {BadRequestError} `invalid filter value` when no name is known
 */
export function parseStatusFilter(text: string): ReadonlySet<TrackerStatus> | undefined {
  const names = text.replaceAll(' ', '')
  if (names === '') return undefined
  const statuses = new Set<TrackerStatus>()
  for (const name of names.split(',')) {
    const family = name === 'error' || name === 'queued' ? statusFamilies[name] : [parseStatus(name)]
    for (const status of family) if (status !== 'undefined') statuses.add(status)
  }
  if (statuses.size === 0) throw new BadRequestError('invalid filter value')
  return statuses
}

/** The shortest comma list that {@link parseStatusFilter} reads as this set. */
export function formatStatusFilter(filter: Iterable<TrackerStatusFilter> | undefined): string {
  if (filter === undefined) return ''
  const names = new Set<TrackerStatusFilter>(filter)
  for (const family of ['error', 'queued'] as const) {
    const members = statusFamilies[family]
    if (!names.has(family) && !members.every((status) => names.has(status))) continue
    for (const status of members) names.delete(status)
    names.add(family)
  }
  return [...names].join(',')
}

/**
 * A comma list of pin types, or `all`. Unknown ones are passed over as long as one is known.
 *
 * @returns undefined for all of them
 * @throws {BadRequestError} `invalid filter value` when no name is known
 */
export function parsePinTypeFilter(text: string): ReadonlySet<PinType> | undefined {
  if (text === '') return undefined
  const names = text.split(',')
  if (names.includes('all')) return undefined
  const types = new Set(pinTypes.filter((type) => names.includes(type)))
  if (types.size === 0) throw new BadRequestError('invalid filter value')
  return types
}

export function formatPinTypeFilter(filter: Iterable<PinType> | undefined): string {
  return filter === undefined ? 'all' : [...filter].join(',')
}
