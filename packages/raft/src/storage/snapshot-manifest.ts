/**
 * What describes a snapshot on disk: its bytes, and the limits that a description from outside has to keep before anything is written on its
 * word. Used by `snapshot-files.ts`; on the wire a description has other bytes (`../transport/manifest-codec.ts`).
 */

import type { SnapshotChunk, SnapshotManifest } from '../ports.ts'
import { isCount, isLogBase, isRecord } from './base-file.ts'
import { decodeCheckedJson, encodeCheckedJson } from './checked-json.ts'
import { SnapshotRefusedError } from './errors.ts'

export const MANIFEST_FILE = 'manifest.json'
/** Largest chunk, in bytes (`../ports.ts`). */
export const MAX_CHUNK_BYTES = 1024 * 1024
/** Most chunks: 64 GiB of state, and a manifest of a few MiB. */
export const MAX_CHUNKS = 65_536

const isChunk = (value: unknown): value is SnapshotChunk =>
  isRecord(value) &&
  isCount(value.bytes) &&
  value.bytes > 0 &&
  value.bytes <= MAX_CHUNK_BYTES &&
  isCount(value.crc32) &&
  value.crc32 <= 0xffff_ffff

/**
 * Checks data that claims to be a manifest.
 *
 * @returns what is wrong with it, or undefined
 */
export function manifestFault(value: unknown): string | undefined {
  if (!isRecord(value)) return 'the manifest is not an object'
  if (value.version !== 1) return `version ${String(value.version)} of manifests is not known`
  if (typeof value.id !== 'string' || !/^[A-Za-z0-9-]{1,64}$/.test(value.id))
    return 'its name is not made of 1 to 64 letters, digits and hyphens'
  if (!isLogBase(value.base)) return 'its base is not complete'
  if (value.base.index >= 2 ** 48 || value.base.term >= 2 ** 48) return 'its index or term is beyond 2^48'
  if (!Array.isArray(value.chunks)) return 'it has no list of chunks'
  if (value.chunks.length > MAX_CHUNKS) return `it has ${value.chunks.length} chunks, and ${MAX_CHUNKS} are allowed`
  if (!value.chunks.every(isChunk)) return `a chunk is not of 1 to ${MAX_CHUNK_BYTES} bytes with a checksum`
  const total = value.chunks.reduce((sum: number, chunk: SnapshotChunk) => sum + chunk.bytes, 0)
  if (value.totalBytes !== total) return `its chunks have ${total} bytes, and not ${String(value.totalBytes)}`
  return undefined
}

/** @throws {SnapshotRefusedError} when it is none that may be received */
export function checkManifest(value: unknown): asserts value is SnapshotManifest {
  const fault = manifestFault(value)
  if (fault !== undefined) throw new SnapshotRefusedError(fault)
}

export const encodeManifest = (manifest: SnapshotManifest): Uint8Array => encodeCheckedJson(manifest)

/** @returns undefined if it is damaged */
export function decodeManifest(bytes: Uint8Array): SnapshotManifest | undefined {
  const content = decodeCheckedJson(bytes)
  return manifestFault(content) === undefined ? (content as SnapshotManifest) : undefined
}

const offsets = new WeakMap<SnapshotManifest, Float64Array>()

/** Where a chunk begins in the data. */
export function chunkOffset(manifest: SnapshotManifest, chunk: number): number {
  let known = offsets.get(manifest)
  if (known === undefined) {
    known = new Float64Array(manifest.chunks.length + 1)
    for (const [n, { bytes }] of manifest.chunks.entries()) known[n + 1] = known[n]! + bytes
    offsets.set(manifest, known)
  }
  return known[chunk]!
}
