/**
 * Blocks as CAR archives (https://ipld.io/specs/transport/car/carv1/), one for each request `dag/import`, by which Kubo keeps each block under the CID
 * that it was given. Batches, because a request that lasts as long as an upload would run into the timeouts of `fetch`, and because an
 * upload that breaks off then leaves no request half made. Called by `kubo-connector.ts`.
 */

import * as CarBufferWriter from '@ipld/car/buffer-writer'
import type { IpfsBlock } from '../../ports.ts'
import { parseCid } from '../cids.ts'

/** Blocks have at most two. */
const BATCH_BYTES = 8 * 1024 * 1024
const BATCH_BLOCKS = 4096

/** In their order; none is empty. */
export async function* inBatches(blocks: AsyncIterable<IpfsBlock>): AsyncGenerator<readonly IpfsBlock[]> {
  let batch: IpfsBlock[] = []
  let bytes = 0
  for await (const block of blocks) {
    batch.push(block)
    bytes += block.bytes.byteLength
    if (bytes < BATCH_BYTES && batch.length < BATCH_BLOCKS) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
}

/** The format wants a root; the first block stands in, since what the root of an upload is shows only at its end. */
export function archiveOf(batch: readonly IpfsBlock[]): Uint8Array {
  const blocks = batch.map(({ cid, bytes }) => ({ cid: parseCid(cid), bytes }))
  const roots = blocks.slice(0, 1).map(({ cid }) => cid)
  const length = blocks.reduce(
    (sum, block) => sum + CarBufferWriter.blockLength(block),
    CarBufferWriter.headerLength({ roots })
  )
  const writer = CarBufferWriter.createWriter(new ArrayBuffer(length), { roots })
  for (const block of blocks) writer.write(block)
  return writer.close()
}
