/** Blocks for tests: raw ones, nodes that link to them, and streams of them. */

import { createHash, randomBytes } from 'node:crypto'
import { encode } from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import type { IpfsBlock } from '../../src/ports.ts'

export function block(bytes: Uint8Array, codec = 0x55): IpfsBlock {
  const digest = Digest.create(0x12, createHash('sha256').update(bytes).digest())
  return { cid: CID.createV1(codec, digest).toString(), bytes }
}

export const randomBlock = (length = 100): IpfsBlock => block(randomBytes(length))

/** A node with these links and some bytes that make it unlike all others. */
export function node(children: readonly IpfsBlock[], data: Uint8Array = randomBytes(8)): IpfsBlock {
  const links = children.map((child, i) => ({ Name: String(i), Hash: CID.parse(child.cid), Tsize: child.bytes.length }))
  return block(
    encode({ Data: data, Links: links.sort((a, b) => Buffer.compare(Buffer.from(a.Name), Buffer.from(b.Name))) }),
    0x70
  )
}

export interface Dag {
  readonly root: string
  readonly blocks: readonly IpfsBlock[]
}

/** A root over `count` random leaves. */
export function randomDag(count: number, leafBytes = 1000): Dag {
  const leaves = Array.from({ length: count }, () => randomBlock(leafBytes))
  const root = node(leaves)
  return { root: root.cid, blocks: [...leaves, root] }
}

export async function* streamOf<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}

/** CIDs that differ in version or codec name the same block when this is equal. */
export const multihashOf = (cid: string): string => Buffer.from(CID.parse(cid).multihash.bytes).toString('hex')
