/**
 * Blocks as a CAR archive of version 1 (https://ipld.io/specs/transport/car/carv1/), made while they come. Kubo takes it in one request
 * and keeps each block under the CID that it was given. Called by `kubo-connector.ts`.
 */

import { encode as encodeCbor } from '@ipld/dag-cbor'
import { varint } from 'multiformats'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import type { IpfsBlock } from '../../ports.ts'
import { IDENTITY, parseCid, RAW } from '../cids.ts'

/** The format wants a root, but what the root of an upload is shows only at its end: an empty block that is its own CID stands in. */
const PLACEHOLDER_ROOT = CID.createV1(RAW, Digest.create(IDENTITY, new Uint8Array()))

export async function* encodeCar(blocks: AsyncIterable<IpfsBlock>): AsyncGenerator<Uint8Array> {
  const header = encodeCbor({ version: 1, roots: [PLACEHOLDER_ROOT] })
  yield withLength(header.length)
  yield header
  for await (const { cid, bytes } of blocks) {
    const cidBytes = parseCid(cid).bytes
    yield Buffer.concat([withLength(cidBytes.length + bytes.length), cidBytes])
    yield bytes
  }
}

function withLength(length: number): Uint8Array {
  return varint.encodeTo(length, new Uint8Array(varint.encodingLength(length)))
}
