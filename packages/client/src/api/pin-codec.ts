/**
 * A pin as JSON: its options lie flat among its own fields, in IPFS Cluster's order. Reading accepts both null and empty for
 * every list and map, since IPFS Cluster itself answers now the one and now the other.
 *
 * @see https://pkg.go.dev/github.com/ipfs-cluster/ipfs-cluster/api#Pin
 */

import { parseCid, parseMultiaddr, parsePeerId } from './identifiers.ts'
import {
  type Codec,
  DecodeError,
  mapToJson,
  readInteger,
  readMap,
  readObject,
  readOptional,
  readRequired,
  readString,
  readStrings
} from './json.ts'
import { pinTypes } from './status.ts'
import { formatTime, parseTime } from './times.ts'
import type { Pin, PinMode, PinType } from './types.ts'

/** Unknown modes read as recursive, as in IPFS Cluster. */
function readMode(text: string): PinMode {
  return text === 'direct' ? 'direct' : 'recursive'
}

function readType(text: string): PinType {
  const type = pinTypes.find((known) => known === text)
  if (type === undefined) throw new SyntaxError(`${JSON.stringify(text)} is no type of pin`)
  return type
}

/** A map from text to text; used by pins and by their states. */
export function readMetadata(object: Readonly<Record<string, unknown>>, at: string): Record<string, string> {
  return readMap(object, 'metadata', at, (value, key) => {
    if (typeof value === 'string') return value
    throw new DecodeError(`${at}.metadata`, `the value of ${JSON.stringify(key)} is not a string`)
  })
}

export const pinCodec: Codec<Pin> = {
  encode: (pin) => ({
    replication_factor_min: pin.replicationFactorMin,
    replication_factor_max: pin.replicationFactorMax,
    name: pin.name,
    mode: pin.mode,
    shard_size: pin.shardSizeBytes,
    user_allocations: pin.userAllocations.length === 0 ? null : pin.userAllocations,
    expire_at: formatTime(pin.expireAtMs),
    metadata: mapToJson(pin.metadata, (value) => value),
    pin_update: pin.pinUpdate ?? null,
    origins: pin.origins,
    cid: pin.cid,
    type: pin.type,
    allocations: pin.allocations,
    max_depth: pin.maxDepth,
    reference: pin.reference ?? null,
    timestamp: formatTime(pin.timestampMs)
  }),

  decode: (value) => {
    const at = 'pin'
    const json = readObject(value, at)
    return {
      replicationFactorMin: readInteger(json, 'replication_factor_min', at),
      replicationFactorMax: readInteger(json, 'replication_factor_max', at),
      name: readString(json, 'name', at),
      mode: readMode(readString(json, 'mode', at)),
      shardSizeBytes: readInteger(json, 'shard_size', at),
      userAllocations: readStrings(json, 'user_allocations', at, parsePeerId),
      expireAtMs: readOptional(json, 'expire_at', at, parseTime),
      metadata: readMetadata(json, at),
      pinUpdate: readOptional(json, 'pin_update', at, parseCid),
      origins: readStrings(json, 'origins', at, parseMultiaddr),
      cid: readRequired(json, 'cid', at, parseCid),
      type: readRequired(json, 'type', at, readType),
      allocations: readStrings(json, 'allocations', at, parsePeerId),
      maxDepth: readInteger(json, 'max_depth', at),
      reference: readOptional(json, 'reference', at, parseCid),
      timestampMs: readOptional(json, 'timestamp', at, parseTime) ?? 0
    }
  }
}
