/**
 * Import of a CAR archive (https://ipld.io/specs/transport/car/): its blocks as they are, its root as the root. Read by hand, because
 * an archive says itself how long its parts are, and no part may be held in memory before that length has been judged.
 */

import { decode as decodeCbor } from '@ipld/dag-cbor'
import { decode as decodePb } from '@ipld/dag-pb'
import type { AddedOutput, AddOptions, CidString } from '@quorate/client/api'
import { CID } from 'multiformats/cid'
import { DAG_PB, MAX_BLOCK_BYTES, RAW } from '../ipfs/cids.ts'
import type { AbortOptions, AddEntry, IpfsBlock } from '../ports.ts'
import { AddError } from './errors.ts'

const MAX_HEADER_BYTES = 64 * 1024
const MAX_SECTION_BYTES = MAX_BLOCK_BYTES + 256
/** Of version 2, after which a version 1 archive stands somewhere in the file. */
const V2_HEADER_BYTES = 40

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
    const reader = new ByteReader(entry.content, signal)
    try {
      return yield* importArchive(entry.path, reader)
    } finally {
      await reader.close()
    }
  }
  throw new AddError('invalid-content', 'the upload has no CAR file')
}

async function* importArchive(name: string, reader: ByteReader): AsyncGenerator<CarEvent, CidString> {
  let header = await readHeader(reader)
  let remainingBytes = Number.POSITIVE_INFINITY
  if (header.version === 2) {
    const extra = await reader.take(V2_HEADER_BYTES)
    const view = new DataView(extra.buffer, extra.byteOffset, extra.byteLength)
    const dataOffset = Number(view.getBigUint64(16, true))
    remainingBytes = Number(view.getBigUint64(24, true))
    await reader.skip(dataOffset - reader.position)
    const start = reader.position
    header = await readHeader(reader)
    remainingBytes -= reader.position - start
  }
  const root = header.roots[0]
  if (root === undefined || header.roots.length !== 1) {
    throw new AddError('invalid-content', 'only CAR files with a single root are supported')
  }
  let bytes = 0
  let size = 0
  while (remainingBytes > 0) {
    const start = reader.position
    const length = await reader.varint()
    if (length === undefined) break
    if (length > MAX_SECTION_BYTES)
      throw new AddError('invalid-content', `the CAR file has a section of ${length} bytes, more than a block may have`)
    const section = await reader.take(length)
    const [cid, data] = splitSection(section)
    bytes += data.length
    if (cid.equals(root)) size = fileSizeOf(cid, data)
    yield { block: { cid: cid.toString(), bytes: data } }
    remainingBytes -= reader.position - start
  }
  yield { output: { name, cid: root.toString(), bytes, size, allocations: [] } }
  return root.toString()
}

function splitSection(section: Uint8Array): [CID, Uint8Array] {
  try {
    return CID.decodeFirst(section)
  } catch (cause) {
    throw new AddError('invalid-content', `the CAR file has a section without a CID: ${(cause as Error).message}`, {
      cause
    })
  }
}

async function readHeader(reader: ByteReader): Promise<{ version: number; roots: readonly CID[] }> {
  const length = await reader.varint()
  if (length === undefined || length === 0 || length > MAX_HEADER_BYTES) {
    throw new AddError('invalid-content', `not a CAR file: its header would have ${length ?? 0} bytes`)
  }
  let header: unknown
  try {
    header = decodeCbor(await reader.take(length))
  } catch (cause) {
    throw new AddError('invalid-content', `not a CAR file: ${(cause as Error).message}`, { cause })
  }
  const { version, roots = [] } = (header ?? {}) as { version?: unknown; roots?: unknown }
  const cids = Array.isArray(roots) ? roots.map((root) => CID.asCID(root)).filter((cid) => cid !== null) : []
  if (version !== 1 && version !== 2)
    throw new AddError('invalid-content', `CAR files of version ${String(version)} are not supported`)
  return { version, roots: cids }
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

/** Takes bytes off a stream in the portions that are asked for. */
class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>
  readonly #signal: AbortSignal | undefined
  #buffer: Uint8Array = new Uint8Array()
  position = 0

  constructor(source: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined) {
    this.#source = source[Symbol.asyncIterator]()
    this.#signal = signal
  }

  /** @throws {AddError} when the stream ends before */
  async take(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    let missing = length
    while (missing > 0) {
      if (this.#buffer.length === 0 && !(await this.#fill()))
        throw new AddError('invalid-content', 'the CAR file is cut off')
      const part = this.#buffer.subarray(0, missing)
      this.#buffer = this.#buffer.subarray(part.length)
      missing -= part.length
      parts.push(part)
    }
    this.position += length
    return Buffer.concat(parts, length)
  }

  /** Undefined at the end of the stream. */
  async varint(): Promise<number | undefined> {
    if (this.#buffer.length === 0 && !(await this.#fill())) return undefined
    let value = 0
    let factor = 1
    for (let i = 0; i < 8; i++) {
      const byte = (await this.take(1))[0] as number
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      factor *= 128
    }
    throw new AddError('invalid-content', 'not a CAR file: a length is too long')
  }

  async skip(length: number): Promise<void> {
    if (length < 0) throw new AddError('invalid-content', 'not a CAR file: its data would begin before its header ends')
    for (let rest = length; rest > 0; ) rest -= (await this.take(Math.min(rest, 64 * 1024))).length
  }

  /** Leaves the stream at its end, as the caller of an entry must. */
  async close(): Promise<void> {
    await this.#source.return?.()
  }

  async #fill(): Promise<boolean> {
    while (this.#buffer.length === 0) {
      this.#signal?.throwIfAborted()
      const step = await this.#source.next()
      if (step.done === true) return false
      this.#buffer = step.value
    }
    return true
  }
}
