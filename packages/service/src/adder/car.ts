/**
 * Import of a CAR archive (https://ipld.io/specs/transport/car/) of version 1 or 2: its blocks as they are, its root as the root. Read by
 * `@ipld/car`, through a reader that bounds how much it may hold at once. Whether blocks hash to their CIDs is checked where they are
 * stored. Called by `import-files.ts`.
 */

import { asyncIterableReader, createDecoder } from '@ipld/car/decoder'
import { decode as decodePb } from '@ipld/dag-pb'
import type { AddedOutput, AddOptions, CidString } from '@quorate/client/api'
import type { CID } from 'multiformats/cid'
import { DAG_PB, MAX_BLOCK_BYTES, RAW } from '../ipfs/cids.ts'
import type { AbortOptions, AddEntry, IpfsBlock } from '../ports.ts'
import { AddError } from './errors.ts'

type BytesReader = ReturnType<typeof asyncIterableReader>

const MAX_PART_BYTES = MAX_BLOCK_BYTES + 256

type CarEvent = { readonly block: IpfsBlock } | { readonly output: AddedOutput }

/** @throws {AddError} */
export async function* importCar(
  entries: AsyncIterable<AddEntry>,
  options: Pick<AddOptions, 'wrapWithDirectory'>,
  { signal }: AbortOptions
): AsyncGenerator<CarEvent, CidString> {
  if (options.wrapWithDirectory) throw new AddError('invalid-parameter', 'cannot wrap a CAR file upload')
  for await (const entry of entries) {
    if (entry.type !== 'file')
      throw new AddError('invalid-content', `expected a CAR file, but "${entry.path}" is a ${entry.type}`)
    const content = markFailures(entry.content, signal)
    try {
      return yield* importArchive(entry.path, content)
    } finally {
      // Leaves the upload at its end, as the caller of an entry must: the library does not.
      await content.return()
    }
  }
  throw new AddError('invalid-content', 'the upload has no CAR file')
}

async function* importArchive(name: string, content: AsyncIterable<Uint8Array>): AsyncGenerator<CarEvent, CidString> {
  const decoder = createDecoder(bounded(asyncIterableReader(content)))
  const { roots } = await refusing('not a CAR file', decoder.header())
  const root = roots[0]
  if (root === undefined || roots.length !== 1) {
    throw new AddError('invalid-content', 'only CAR files with a single root are supported')
  }
  let bytes = 0
  let size = 0
  const blocks = decoder.blocks()
  for (;;) {
    const step = await refusing('the CAR file is damaged', blocks.next())
    if (step.done === true) break
    const { cid, bytes: data } = step.value
    bytes += data.length
    if (cid.equals(root)) size = fileSizeOf(cid, data)
    yield { block: { cid: cid.toString(), bytes: data } }
  }
  yield { output: { name, cid: root.toString(), bytes, size, allocations: [] } }
  return root.toString()
}

/** What the library says of a malformed archive, as an `AddError`; what the upload itself fails with is passed on as it is. */
async function refusing<T>(what: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading
  } catch (cause) {
    if (cause instanceof UploadFailure) throw cause.cause
    if (cause instanceof AddError) throw cause
    throw new AddError('invalid-content', `${what}: ${(cause as Error).message}`, { cause })
  }
}

class UploadFailure extends Error {}

async function* markFailures(content: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined) {
  try {
    for await (const piece of content) {
      signal?.throwIfAborted()
      yield piece
    }
  } catch (cause) {
    throw new UploadFailure('the upload failed', { cause })
  }
}

/** Judges lengths, which an archive says itself, before the library holds so much in memory. */
function bounded(reader: BytesReader): BytesReader {
  return {
    get pos() {
      return reader.pos
    },
    upTo: (length) => reader.upTo(length),
    async exactly(length, seek) {
      if (!(length <= MAX_PART_BYTES)) {
        throw new AddError('invalid-content', `the CAR file has a part of ${length} bytes, more than a block may have`)
      }
      return reader.exactly(length, seek)
    },
    seek(length) {
      if (length < 0)
        throw new AddError('invalid-content', 'not a CAR file: its data would begin before its header ends')
      reader.seek(length)
    }
  }
}

/** The size of the file that this block is the root of; 0 if it is no file. */
function fileSizeOf(cid: CID, data: Uint8Array): number {
  if (cid.code === RAW) return data.length
  if (cid.code !== DAG_PB) return 0
  try {
    return unixfsFileSize(decodePb(data).Data ?? new Uint8Array())
  } catch {
    return 0
  }
}

/** Field 3 of the UnixFS header. */
function unixfsFileSize(header: Uint8Array): number {
  let at = 0
  const varint = (): number => {
    let value = 0
    let factor = 1
    for (;;) {
      const byte = header[at++]
      if (byte === undefined) throw new RangeError('cut off')
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      factor *= 128
    }
  }
  while (at < header.length) {
    const key = varint()
    if ((key & 7) === 2) at += varint()
    else if (key === 3 << 3) return varint()
    else varint()
  }
  return 0
}
