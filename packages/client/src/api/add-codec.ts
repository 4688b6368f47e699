/**
 * What `/add` answers, and what a garbage collection did, as JSON.
 *
 * @see https://pkg.go.dev/github.com/ipfs-cluster/ipfs-cluster/api#AddedOutput
 * @see https://pkg.go.dev/github.com/ipfs-cluster/ipfs-cluster/api#GlobalRepoGC
 */

import { parseCid, parsePeerId } from './identifiers.ts'
import {
  type Codec,
  DecodeError,
  mapToJson,
  omitEmpty,
  readInteger,
  readList,
  readMap,
  readObject,
  readOptional,
  readRequired,
  readString,
  readStrings
} from './json.ts'
import type { AddedOutput, GlobalRepoGc, RepoGc, RepoGcKey } from './types.ts'

export const addedOutputCodec: Codec<AddedOutput> = {
  encode: (output) => ({
    name: output.name,
    cid: output.cid ?? null,
    bytes: output.bytes === 0 ? undefined : output.bytes,
    size: output.size === 0 ? undefined : output.size,
    allocations: output.allocations.length === 0 ? undefined : output.allocations
  }),
  decode: (value) => {
    const at = 'added'
    const json = readObject(value, at)
    return {
      name: readString(json, 'name', at),
      cid: readOptional(json, 'cid', at, parseCid),
      bytes: readInteger(json, 'bytes', at),
      size: readInteger(json, 'size', at),
      allocations: readStrings(json, 'allocations', at, parsePeerId)
    }
  }
}

/** The answer with `stream-channels=false`: everything at once, and null for nothing. */
export const addedOutputsCodec: Codec<readonly AddedOutput[]> = {
  encode: (outputs) => (outputs.length === 0 ? null : outputs.map(addedOutputCodec.encode)),
  decode: (value) => {
    if (value === null) return []
    if (!Array.isArray(value)) throw new DecodeError('added', 'expected an array')
    return value.map(addedOutputCodec.decode)
  }
}

const repoGcKeyCodec: Codec<RepoGcKey> = {
  encode: (key) => ({ key: key.key ?? null, error: omitEmpty(key.error) }),
  decode: (value) => {
    const at = 'gc.keys'
    const json = readObject(value, at)
    return { key: readOptional(json, 'key', at, parseCid), error: readString(json, 'error', at) }
  }
}

const repoGcCodec: Codec<RepoGc> = {
  encode: (gc) => ({
    peer: gc.peer,
    peername: gc.peername,
    keys: gc.keys.length === 0 ? null : gc.keys.map(repoGcKeyCodec.encode),
    error: omitEmpty(gc.error)
  }),
  decode: (value) => {
    const at = 'gc'
    const json = readObject(value, at)
    return {
      peer: readRequired(json, 'peer', at, parsePeerId),
      peername: readString(json, 'peername', at),
      keys: readList(json, 'keys', at, repoGcKeyCodec.decode),
      error: readString(json, 'error', at)
    }
  }
}

export const globalRepoGcCodec: Codec<GlobalRepoGc> = {
  encode: (gc) => ({ peer_map: mapToJson(gc.peerMap, repoGcCodec.encode) }),
  decode: (value) => ({ peerMap: readMap(readObject(value, 'gc'), 'peer_map', 'gc', repoGcCodec.decode) })
}
