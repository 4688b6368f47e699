/**
 * A whole state as a stream of bytes, cut into chunks of at most 1 MiB: what Raft stores as its snapshot and sends to peers that
 * are far behind. `pinset-state.ts` writes and reads it.
 *
 *   magic `QSNP`, version byte, varint index
 *   records: kind byte, length-prefixed bytes; pins in the order of their CIDs' bytes, then peer records in the order of peer IDs
 *   kind 0, varint number of pins, varint number of peer records
 *
 * The same state at the same index is the same bytes on every peer. Chunks cut records anywhere; their checksums are in Raft's
 * manifest. The counts at the end tell a stream that was cut short.
 */

import { ByteReader, ByteWriter, MalformedError } from './byte-codec.ts'
import { SnapshotUnreadableError } from './errors.ts'

const MAGIC = Buffer.from('QSNP')
const SNAPSHOT_VERSION = 1
const RECORD = { end: 0, pin: 1, peer: 2 } as const

/** Half of what Raft's store takes, so that a record of the largest size still fits into what is buffered. */
const CHUNK_BYTES = 512 * 1024
const MAX_CHUNK_BYTES = 1024 * 1024
/** Above the largest command of the log (1 MiB), of which no record can be larger. */
const MAX_RECORD_BYTES = 2 * 1024 * 1024

export type SnapshotRecord = { readonly kind: 'pin' | 'peer'; readonly value: Uint8Array }

/** Writes the stream; holds one chunk and one record at a time. */
export async function* writeSnapshot(
  index: number,
  records: AsyncIterable<SnapshotRecord>
): AsyncGenerator<Uint8Array> {
  let writer = new ByteWriter(CHUNK_BYTES + 4096)
  writer.raw(MAGIC)
  writer.byte(SNAPSHOT_VERSION)
  writer.varint(index)
  let pins = 0
  let peers = 0
  for await (const record of records) {
    if (record.kind === 'pin') pins++
    else peers++
    writer.byte(RECORD[record.kind])
    writer.bytes(record.value)
    if (writer.length >= CHUNK_BYTES) {
      yield* cut(writer.finish())
      writer = new ByteWriter(CHUNK_BYTES + 4096)
    }
  }
  writer.byte(RECORD.end)
  writer.varint(pins)
  writer.varint(peers)
  yield* cut(writer.finish())
}

function* cut(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += MAX_CHUNK_BYTES)
    yield bytes.subarray(start, start + MAX_CHUNK_BYTES)
}

/**
 * Reads the stream record by record. Records are copies: they stay valid while more is read.
 * @throws {SnapshotUnreadableError} when it is not a sound snapshot of `index`; known only at its end
 */
export async function* readSnapshot(index: number, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<SnapshotRecord> {
  const source = new ChunkedBytes(chunks)
  try {
    yield* readRecords(index, source)
  } catch (error) {
    if (error instanceof MalformedError)
      throw new SnapshotUnreadableError(`cannot read the snapshot at index ${index}: ${error.message}`, {
        cause: error
      })
    throw error
  } finally {
    await source.close()
  }
}

async function* readRecords(index: number, source: ChunkedBytes): AsyncGenerator<SnapshotRecord> {
  const magic = await source.take(MAGIC.length)
  if (!MAGIC.equals(magic)) throw new MalformedError(`it begins with ${Buffer.from(magic).toString('hex')}`)
  const [version] = await source.take(1)
  if (version !== SNAPSHOT_VERSION)
    throw new MalformedError(`its format is version ${version}, this release reads ${SNAPSHOT_VERSION}`)
  const writtenIndex = await source.varint()
  if (writtenIndex !== index) throw new MalformedError(`it says that it stands at index ${writtenIndex}`)
  let pins = 0
  let peers = 0
  for (;;) {
    const [kind] = await source.take(1)
    if (kind === RECORD.end) break
    if (kind !== RECORD.pin && kind !== RECORD.peer)
      throw new MalformedError(`it has a record of the unknown kind ${kind}`)
    const size = await source.varint()
    if (size > MAX_RECORD_BYTES)
      throw new MalformedError(`it has a record of ${size} bytes, ${MAX_RECORD_BYTES} are allowed`)
    const value = await source.take(size)
    if (kind === RECORD.pin) pins++
    else peers++
    yield { kind: kind === RECORD.pin ? 'pin' : 'peer', value }
  }
  const announcedPins = await source.varint()
  const announcedPeers = await source.varint()
  if (announcedPins !== pins || announcedPeers !== peers) {
    throw new MalformedError(
      `it announces ${announcedPins} pins and ${announcedPeers} peers, and holds ${pins} and ${peers}`
    )
  }
  if (!(await source.atEnd())) throw new MalformedError('bytes follow its end')
}

/** A stream of chunks, taken by length. Holds what is left of one chunk, and one record. */
class ChunkedBytes {
  readonly #iterator: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array(0)
  #ended = false

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#iterator = chunks[Symbol.asyncIterator]()
  }

  async #fill(): Promise<boolean> {
    while (this.#rest.length === 0 && !this.#ended) {
      const next = await this.#iterator.next()
      if (next.done === true) this.#ended = true
      else this.#rest = next.value
    }
    return this.#rest.length > 0
  }

  async take(count: number): Promise<Uint8Array> {
    const taken = Buffer.allocUnsafe(count)
    let length = 0
    while (length < count) {
      if (this.#rest.length === 0 && !(await this.#fill())) throw new MalformedError('it ends in the middle')
      const part = this.#rest.subarray(0, count - length)
      taken.set(part, length)
      length += part.length
      this.#rest = this.#rest.subarray(part.length)
    }
    return taken
  }

  async varint(): Promise<number> {
    const bytes: number[] = []
    for (;;) {
      const [byte = 0] = await this.take(1)
      bytes.push(byte)
      // A longer number is refused by the reader.
      if (byte < 0x80 || bytes.length === 8) return new ByteReader(Uint8Array.from(bytes)).varint()
    }
  }

  async atEnd(): Promise<boolean> {
    return !(await this.#fill())
  }

  async close(): Promise<void> {
    if (!this.#ended) await this.#iterator.return?.()
  }
}
