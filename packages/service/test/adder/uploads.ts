/** Uploads for tests, with contents that are the same in every run. */

import { createHash } from 'node:crypto'
import type { AddedOutput } from '@quorate/client/api'
import { type ImportOptions, importFiles } from '../../src/adder/import-files.ts'
import type { AddEntry, IpfsBlock } from '../../src/ports.ts'

/** As IPFS Cluster and Kubo without flags. */
export const defaults: ImportOptions = {
  layout: 'balanced',
  chunker: 'size-262144',
  hash: 'sha2-256',
  format: 'unixfs',
  wrapWithDirectory: false,
  progress: false,
  cidVersion: 0,
  rawLeaves: false
}

/** Bytes that follow from the seed: SHAKE256 of it. */
export function bytesOf(length: number, seed: string): Uint8Array {
  return length === 0 ? new Uint8Array() : createHash('shake256', { outputLength: length }).update(seed).digest()
}

/** In pieces whose ends fall nowhere in particular. */
async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 70_001) yield bytes.subarray(at, at + 70_001)
}

export function file(path: string, content: Uint8Array | string): AddEntry {
  return { path, type: 'file', content: inPieces(typeof content === 'string' ? Buffer.from(content) : content) }
}

export function directory(path: string): AddEntry {
  return { path, type: 'directory', content: inPieces(new Uint8Array()) }
}

export function symlink(path: string, target: string): AddEntry {
  return { path, type: 'symlink', content: inPieces(Buffer.from(target)) }
}

export async function* upload(entries: readonly AddEntry[]): AsyncGenerator<AddEntry> {
  yield* entries
}

export interface Imported {
  readonly root: string
  readonly outputs: readonly AddedOutput[]
  readonly blocks: readonly IpfsBlock[]
}

export async function importAll(entries: readonly AddEntry[], options: Partial<ImportOptions> = {}): Promise<Imported> {
  const outputs: AddedOutput[] = []
  const blocks: IpfsBlock[] = []
  const importing = importFiles(upload(entries), { ...defaults, ...options })
  for (;;) {
    const step = await importing.next()
    if (step.done === true) return { root: step.value, outputs, blocks }
    if ('block' in step.value) blocks.push(step.value.block)
    else outputs.push(step.value.output)
  }
}
