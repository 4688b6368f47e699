/**
 * The options of a pin in a query string: `POST /pins/…` and `/add`. Reading checks form only; whether the
 * numbers make sense together with the configuration and the pinset is for the peer to say.
 *
 * Two differences from IPFS Cluster, both where it drops in silence what a user asked for: an unknown `mode` and a
 * `user-allocations` that is no peer ID are refused.
 */

import { formatDuration, parseDuration } from './durations.ts'
import { BadRequestError } from './errors.ts'
import { parseCid, parseMultiaddr, parsePeerId, splitMultiaddr } from './identifiers.ts'
import { integerParameter, listParameter, parseParameter, type QueryCodec, textParameter } from './query.ts'
import { formatTime, parseTime } from './times.ts'
import type { PinMode, PinOptions } from './types.ts'

const metadataPrefix = 'meta-'
const minExpireInMs = 1000

/** What a request without any parameter means; the replication factors 0 stand for the peer's configuration. */
export const defaultPinOptions: PinOptions = {
  replicationFactorMin: 0,
  replicationFactorMax: 0,
  name: '',
  mode: 'recursive',
  shardSizeBytes: 0,
  userAllocations: [],
  expireAtMs: undefined,
  metadata: {},
  pinUpdate: undefined,
  origins: []
}

/** @throws {BadRequestError} */
function readMode(query: URLSearchParams): PinMode {
  const mode = textParameter(query, 'mode') || 'recursive'
  if (mode === 'recursive' || mode === 'direct') return mode
  throw new BadRequestError(
    `parameter mode invalid: ${JSON.stringify(mode.slice(0, 80))} is neither "recursive" nor "direct"`
  )
}

/** `expire-at` wins over `expire-in`. @throws {BadRequestError} */
function readExpiry(query: URLSearchParams, nowMs: number): number | undefined {
  const at = textParameter(query, 'expire-at')
  if (at !== '') return parseParameter(at, 'expire-at cannot be parsed', parseTime)
  const within = textParameter(query, 'expire-in')
  if (within === '') return undefined
  const ms = parseParameter(within, 'expire-in cannot be parsed', parseDuration)
  if (ms < minExpireInMs) {
    throw new BadRequestError(
      `expire-in duration too short: ${formatDuration(ms)}, the least is ${formatDuration(minExpireInMs)}`
    )
  }
  return Math.floor(nowMs + ms)
}

/** @throws {BadRequestError} */
function readShardSize(query: URLSearchParams): number {
  try {
    const bytes = integerParameter(query, 'shard-size', 0)
    if (bytes >= 0) return bytes
  } catch {
    // The message below is the one that IPFS Cluster gives.
  }
  throw new BadRequestError('parameter shard_size is invalid')
}

/** @throws {SyntaxError} unless it is a multiaddr that names a peer */
function parseOrigin(text: string): string {
  if (!splitMultiaddr(text).some((part) => part.protocol === 'p2p')) {
    throw new SyntaxError(`${JSON.stringify(text)} has no /p2p/<peer ID>`)
  }
  return parseMultiaddr(text)
}

function readMetadata(query: URLSearchParams): Record<string, string> {
  const metadata = new Map<string, string>()
  for (const [name, value] of query) {
    const key = name.startsWith(metadataPrefix) ? name.slice(metadataPrefix.length) : ''
    if (key !== '' && !metadata.has(key)) metadata.set(key, value)
  }
  return Object.fromEntries(metadata)
}

/**
 * @param nowMs - what `expire-in` counts from. @default Date.now()
 * @throws {BadRequestError} for the first parameter that cannot be understood
 */
export function readPinOptions(query: URLSearchParams, nowMs = Date.now()): PinOptions {
  const both = textParameter(query, 'replication') === '' ? undefined : integerParameter(query, 'replication', 0)
  const update = textParameter(query, 'pin-update')
  return {
    replicationFactorMin: both ?? integerParameter(query, 'replication-min', 0),
    replicationFactorMax: both ?? integerParameter(query, 'replication-max', 0),
    name: textParameter(query, 'name'),
    mode: readMode(query),
    shardSizeBytes: readShardSize(query),
    userAllocations: listParameter(query, 'user-allocations', 'error decoding user-allocations', parsePeerId),
    expireAtMs: readExpiry(query, nowMs),
    metadata: readMetadata(query),
    pinUpdate: update === '' ? undefined : parseParameter(update, 'error decoding update option parameter', parseCid),
    origins: listParameter(query, 'origins', 'error decoding origins', parseOrigin)
  }
}

/** Writes what {@link readPinOptions} reads; options at their default are left out. */
export function writePinOptions(options: PinOptions): URLSearchParams {
  const query = new URLSearchParams()
  if (options.replicationFactorMin !== 0) query.set('replication-min', String(options.replicationFactorMin))
  if (options.replicationFactorMax !== 0) query.set('replication-max', String(options.replicationFactorMax))
  if (options.name !== '') query.set('name', options.name)
  if (options.mode !== 'recursive') query.set('mode', options.mode)
  if (options.shardSizeBytes !== 0) query.set('shard-size', String(options.shardSizeBytes))
  if (options.userAllocations.length > 0) query.set('user-allocations', options.userAllocations.join(','))
  if (options.expireAtMs !== undefined) query.set('expire-at', formatTime(options.expireAtMs))
  for (const [key, value] of Object.entries(options.metadata)) if (key !== '') query.set(metadataPrefix + key, value)
  if (options.pinUpdate !== undefined) query.set('pin-update', options.pinUpdate)
  if (options.origins.length > 0) query.set('origins', options.origins.join(','))
  return query
}

export const pinOptionsQuery: QueryCodec<PinOptions> = {
  read: (query) => readPinOptions(query),
  write: writePinOptions
}
