/**
 * The description of a snapshot, and the two requests of the bulk protocol, as bytes. What comes from a peer is checked to the
 * last field: a manifest decides what is written to disk. Used by `bulk-calls.ts`.
 */

import type { SnapshotManifest } from '../ports.ts'
import { MAX_CHUNK_BYTES } from '../storage/snapshot-manifest.ts'
import { ByteReader, ByteWriter } from './byte-cursor.ts'
import { decodeBase, encodeBase } from './codec.ts'

const ID_PATTERN = /^[A-Za-z0-9-]{1,128}$/

export function encodeManifest(manifest: SnapshotManifest): Uint8Array {
  const id = Buffer.from(manifest.id, 'latin1')
  const base = encodeBase(manifest.base)
  const writer = new ByteWriter(2 + id.length + 4 + base.length + 4 + 8 * manifest.chunks.length)
    .u8(manifest.version)
    .u8(id.length)
    .bytes(id)
    .u32(base.length)
    .bytes(base)
    .u32(manifest.chunks.length)
  for (const chunk of manifest.chunks) writer.u32(chunk.bytes).u32(chunk.crc32)
  return writer.done()
}

/** @returns undefined if the bytes are not exactly one sound manifest */
export function decodeManifest(bytes: Uint8Array): SnapshotManifest | undefined {
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  const id = Buffer.from(reader.bytes(reader.u8())).toString('latin1')
  const base = decodeBase(reader.bytes(reader.u32()))
  const count = reader.u32()
  if (version !== 1 || !ID_PATTERN.test(id) || base === undefined || reader.rest !== 8 * count) return undefined
  const chunks = Array.from({ length: count }, () => ({ bytes: reader.u32(), crc32: reader.u32() }))
  if (chunks.some((chunk) => chunk.bytes > MAX_CHUNK_BYTES) || !reader.complete) return undefined
  return { version: 1, id, base, chunks, totalBytes: chunks.reduce((sum, chunk) => sum + chunk.bytes, 0) }
}

export interface ChunkRequest {
  readonly snapshotId: string
  readonly chunk: number
}

export function encodeChunkRequest({ snapshotId, chunk }: ChunkRequest): Uint8Array {
  return new ByteWriter(4 + snapshotId.length).u32(chunk).bytes(Buffer.from(snapshotId, 'latin1')).done()
}

/** @returns undefined if the bytes are not a request */
export function decodeChunkRequest(bytes: Uint8Array): ChunkRequest | undefined {
  const reader = new ByteReader(bytes)
  const chunk = reader.u32()
  const snapshotId = Buffer.from(reader.bytes(reader.rest)).toString('latin1')
  return reader.complete && ID_PATTERN.test(snapshotId) ? { snapshotId, chunk } : undefined
}
