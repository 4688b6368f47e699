/**
 * The state of a pin over the peers as JSON.
 *
 * @see https://pkg.go.dev/github.com/ipfs-cluster/ipfs-cluster/api#GlobalPinInfo
 */

import { parseCid, parseMultiaddr, parsePeerId } from './identifiers.ts'
import {
  type Codec,
  mapToJson,
  omitEmpty,
  readBoolean,
  readInteger,
  readMap,
  readObject,
  readOptional,
  readRequired,
  readString,
  readStrings
} from './json.ts'
import { readMetadata } from './pin-codec.ts'
import { parseStatus } from './status.ts'
import { formatTime, parseTime } from './times.ts'
import type { GlobalPinInfo, PinInfoShort } from './types.ts'

export const pinInfoShortCodec: Codec<PinInfoShort> = {
  encode: (info) => ({
    peername: info.peername,
    ipfs_peer_id: omitEmpty(info.ipfsPeerId),
    ipfs_peer_addresses: info.ipfsPeerAddresses.length === 0 ? undefined : info.ipfsPeerAddresses,
    status: info.status,
    timestamp: formatTime(info.timestampMs),
    error: info.error,
    attempt_count: info.attemptCount,
    priority_pin: info.priorityPin
  }),

  decode: (value) => {
    const at = 'status.peer_map'
    const json = readObject(value, at)
    return {
      peername: readString(json, 'peername', at),
      ipfsPeerId: readOptional(json, 'ipfs_peer_id', at, parsePeerId),
      ipfsPeerAddresses: readStrings(json, 'ipfs_peer_addresses', at, parseMultiaddr),
      status: parseStatus(readString(json, 'status', at)),
      timestampMs: readOptional(json, 'timestamp', at, parseTime) ?? 0,
      error: readString(json, 'error', at),
      attemptCount: readInteger(json, 'attempt_count', at),
      priorityPin: readBoolean(json, 'priority_pin', at)
    }
  }
}

export const globalPinInfoCodec: Codec<GlobalPinInfo> = {
  encode: (info) => ({
    cid: info.cid,
    name: info.name,
    allocations: info.allocations,
    origins: info.origins,
    created: formatTime(info.createdMs),
    metadata: mapToJson(info.metadata, (value) => value),
    peer_map: mapToJson(info.peerMap, pinInfoShortCodec.encode)
  }),

  decode: (value) => {
    const at = 'status'
    const json = readObject(value, at)
    return {
      cid: readRequired(json, 'cid', at, parseCid),
      name: readString(json, 'name', at),
      allocations: readStrings(json, 'allocations', at, parsePeerId),
      origins: readStrings(json, 'origins', at, parseMultiaddr),
      createdMs: readOptional(json, 'created', at, parseTime) ?? 0,
      metadata: readMetadata(json, at),
      peerMap: readMap(json, 'peer_map', at, pinInfoShortCodec.decode)
    }
  }
}
