/**
 * A pin as bytes: the same in a command of the log, in the state's LevelDB and in a snapshot, so that it is encoded once in its
 * life, by the peer that submits it. `ops.ts` wraps it; `pinset-state.ts` stores it.
 *
 * As in IPFS Cluster's storage (`api/types.go`, `Pin.ProtoMarshal`): `userAllocations` are a wish of the request and are not
 * kept, times are kept to the second, and `mode` is read off `maxDepth`. Every decode makes a new object out of the record and
 * of nothing else: IPFS Cluster decodes commands into one reused object, by which a pin inherits name, metadata and expiry of an
 * earlier one, and members may come to differ.
 */

import type { CidString, Pin, PinType } from '@quorate/client/api'
import { CID } from 'multiformats/cid'
import { ByteReader, ByteWriter, MalformedError } from './byte-codec.ts'

/** First byte of every record. A record of another version is malformed: nobody may propose it before all peers read it. */
const PIN_RECORD_VERSION = 1

/** The position is the byte on disk: append only. */
const PIN_TYPES: readonly PinType[] = ['pin', 'meta-pin', 'clusterdag-pin', 'shard-pin']

/** @throws {TypeError} when `cid` is not a CID in canonical text */
export function cidToBytes(cid: CidString): Uint8Array {
  try {
    return CID.parse(cid).bytes
  } catch (cause) {
    throw new TypeError(`cannot read ${JSON.stringify(cid)} as a CID`, { cause })
  }
}

/** @throws {MalformedError} when the bytes are not exactly one CID */
export function cidFromBytes(bytes: Uint8Array): CidString {
  try {
    return CID.decode(bytes).toString()
  } catch (cause) {
    throw new MalformedError(`not a CID: ${Buffer.from(bytes).toString('hex')}`, { cause })
  }
}

/**
 * Encodes a pin.
 * @throws {TypeError} when a CID in it cannot be read
 * @throws {RangeError} when a number in it is out of range (replication factors and depth: integers from -1)
 */
export function encodePin(pin: Pin): Uint8Array {
  const type = PIN_TYPES.indexOf(pin.type)
  if (type < 0) throw new TypeError(`cannot encode a pin of type ${JSON.stringify(pin.type)}`)
  const writer = new ByteWriter()
  writer.byte(PIN_RECORD_VERSION)
  writer.byte(type)
  writer.bytes(cidToBytes(pin.cid))
  writer.varint(pin.replicationFactorMin + 1)
  writer.varint(pin.replicationFactorMax + 1)
  writer.varint(pin.maxDepth + 1)
  writer.varint(pin.shardSizeBytes)
  // 0 stands for "never", which costs only the one second that clients take for "never" anyway.
  writer.varint(pin.expireAtMs === undefined ? 0 : Math.max(0, Math.floor(pin.expireAtMs / 1000)))
  writer.varint(Math.max(0, Math.floor(pin.timestampMs / 1000)))
  writer.string(pin.name)
  writeStrings(writer, pin.allocations)
  writeStrings(writer, pin.origins)
  const metadata = Object.entries(pin.metadata)
  // By code unit, not by locale: the order is part of the bytes.
  metadata.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  writer.varint(metadata.length)
  for (const [key, value] of metadata) {
    writer.string(key)
    writer.string(value)
  }
  writeOptionalCid(writer, pin.pinUpdate)
  writeOptionalCid(writer, pin.reference)
  return writer.finish()
}

/**
 * Decodes a record, and answers its CID's bytes too, which are the key in the state.
 * @throws {MalformedError} when the bytes are not exactly one record
 */
export function decodePin(record: Uint8Array): { pin: Pin; cidBytes: Uint8Array } {
  const reader = new ByteReader(record)
  const version = reader.byte()
  if (version !== PIN_RECORD_VERSION)
    throw new MalformedError(`a pin record of version ${version}, ${PIN_RECORD_VERSION} is known`)
  const typeByte = reader.byte()
  const type = PIN_TYPES[typeByte]
  if (type === undefined) throw new MalformedError(`a pin of the unknown type ${typeByte}`)
  const cidBytes = reader.bytes()
  const cid = cidFromBytes(cidBytes)
  const replicationFactorMin = reader.varint() - 1
  const replicationFactorMax = reader.varint() - 1
  const maxDepth = reader.varint() - 1
  const shardSizeBytes = reader.varint()
  const expireAtSeconds = reader.varint()
  const timestampSeconds = reader.varint()
  const name = reader.string()
  const allocations = readStrings(reader)
  const origins = readStrings(reader)
  const metadataCount = reader.count(2)
  const metadata: [string, string][] = []
  for (let index = 0; index < metadataCount; index++) metadata.push([reader.string(), reader.string()])
  const pinUpdate = readOptionalCid(reader)
  const reference = readOptionalCid(reader)
  reader.end()
  const pin: Pin = {
    cid,
    type,
    replicationFactorMin,
    replicationFactorMax,
    name,
    mode: maxDepth === 0 ? 'direct' : 'recursive',
    shardSizeBytes,
    userAllocations: [],
    expireAtMs: expireAtSeconds === 0 ? undefined : expireAtSeconds * 1000,
    // `fromEntries` defines each key as the object's own, `__proto__` too.
    metadata: Object.fromEntries(metadata),
    pinUpdate,
    origins,
    allocations,
    maxDepth,
    reference,
    timestampMs: timestampSeconds * 1000
  }
  return { pin, cidBytes }
}

function writeStrings(writer: ByteWriter, items: readonly string[]): void {
  writer.varint(items.length)
  for (const item of items) writer.string(item)
}

function readStrings(reader: ByteReader): readonly string[] {
  const count = reader.count(1)
  const items: string[] = []
  for (let index = 0; index < count; index++) items.push(reader.string())
  return items
}

function writeOptionalCid(writer: ByteWriter, cid: CidString | undefined): void {
  if (cid === undefined) writer.varint(0)
  else writer.bytes(cidToBytes(cid))
}

function readOptionalCid(reader: ByteReader): CidString | undefined {
  const bytes = reader.bytes()
  return bytes.length === 0 ? undefined : cidFromBytes(bytes)
}
