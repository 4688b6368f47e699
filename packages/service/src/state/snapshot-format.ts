/**
 * A whole state as a stream of bytes, cut into chunks of at most 1 MiB: what Raft stores as its snapshot and sends to peers that
 * are far behind. `pinset-state.ts` writes and reads it.
 *
 *   magic `QSNP`, version byte, varint index, varint digest + 1 or 0 (not in version 1)
 *   records: kind byte, length-prefixed bytes; pins in the order of their CIDs' bytes, then peer records in the order of peer IDs,
 *   then the records of sessions in the order of their keys: length-prefixed key, rest (not in version 1)
 *   kind 0, varint number of pins, of peer records, and of records of sessions (the last not in version 1)
 *
 * Version 1 is read as a state without sessions and without a digest.
 * The same state at the same index is the same bytes on every peer. Chunks cut records anywhere; their checksums are in Raft's
 * manifest. The counts at the end tell a stream that was cut short.
 */

import { setImmediate as turn } from 'node:timers/promises'
import { ByteReader, ByteWriter, MalformedError } from './byte-codec.ts'
import { SnapshotUnreadableError } from './errors.ts'
import type { Books } from './state-store.ts'

const MAGIC = Buffer.from('QSNP')
const SNAPSHOT_VERSION = 2
const OLDEST_VERSION = 1
const RECORD = { end: 0, pin: 1, peer: 2, session: 3 } as const

/** Half of what Raft's store takes, so that a record of the largest size still fits into what is buffered. */
const CHUNK_BYTES = 512 * 1024
const MAX_CHUNK_BYTES = 1024 * 1024
/** Above the largest command of the log (1 MiB), of which no record can be larger. */
const MAX_RECORD_BYTES = 2 * 1024 * 1024
/** Read without a pause: a few milliseconds' worth with what is made of them, where a chunk would be some thirty. */
const RECORDS_PER_TURN = 256

export type StoredRecord =
  | { readonly kind: 'pin' | 'peer'; readonly value: Uint8Array }
  | { readonly kind: 'session'; readonly key: string; readonly value: Uint8Array }

export type SnapshotRecord = StoredRecord | { readonly kind: 'digest'; readonly digest: number | undefined }

/** Writes the stream; holds one chunk and one record at a time. */
export async function* writeSnapshot(
  { appliedIndex, digest }: Pick<Books, 'appliedIndex' | 'digest'>,
  records: AsyncIterable<StoredRecord>
): AsyncGenerator<Uint8Array> {
  let writer = new ByteWriter(CHUNK_BYTES + 4096)
  writer.raw(MAGIC)
  writer.byte(SNAPSHOT_VERSION)
  writer.varint(appliedIndex)
  writer.varint(digest === undefined ? 0 : digest + 1)
  const counts = { pin: 0, peer: 0, session: 0 }
  for await (const record of records) {
    counts[record.kind]++
    writer.byte(RECORD[record.kind])
    writer.bytes(record.kind === 'session' ? encodeSession(record.key, record.value) : record.value)
    if (writer.length >= CHUNK_BYTES) {
      yield* cut(writer.finish())
      writer = new ByteWriter(CHUNK_BYTES + 4096)
    }
  }
  writer.byte(RECORD.end)
  writer.varint(counts.pin)
  writer.varint(counts.peer)
  writer.varint(counts.session)
  yield* cut(writer.finish())
}

function encodeSession(key: string, value: Uint8Array): Uint8Array {
  const writer = new ByteWriter(key.length + value.length + 8)
  writer.string(key)
  writer.raw(value)
  return writer.finish()
}

function decodeSession(bytes: Uint8Array): StoredRecord {
  const reader = new ByteReader(bytes)
  return { kind: 'session', key: reader.string(), value: reader.raw(reader.remaining) }
}

function* cut(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += MAX_CHUNK_BYTES)
    yield bytes.subarray(start, start + MAX_CHUNK_BYTES)
}

/**
 * Reads the stream record by record. Records are copies: they stay valid while more is read. The event loop gets its turn now and then,
 * however much of the stream is in memory.
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
  const [version = 0] = await source.take(1)
  if (version < OLDEST_VERSION || version > SNAPSHOT_VERSION)
    throw new MalformedError(
      `its format is version ${version}, this release reads ${OLDEST_VERSION} to ${SNAPSHOT_VERSION}`
    )
  const writtenIndex = await source.varint()
  if (writtenIndex !== index) throw new MalformedError(`it says that it stands at index ${writtenIndex}`)
  const withSessions = version >= 2
  const digest = withSessions ? await source.varint() : 0
  if (digest > 2 ** 32) throw new MalformedError(`its digest is ${digest - 1}`)
  yield { kind: 'digest', digest: digest === 0 ? undefined : digest - 1 }
  const counts = { pin: 0, peer: 0, session: 0 }
  for (let read = 1; ; read++) {
    if (read % RECORDS_PER_TURN === 0) await turn()
    const [kind] = await source.take(1)
    if (kind === RECORD.end) break
    if (kind !== RECORD.pin && kind !== RECORD.peer && !(withSessions && kind === RECORD.session))
      throw new MalformedError(`it has a record of the unknown kind ${kind}`)
    const size = await source.varint()
    if (size > MAX_RECORD_BYTES)
      throw new MalformedError(`it has a record of ${size} bytes, ${MAX_RECORD_BYTES} are allowed`)
    const value = await source.take(size)
    const record: StoredRecord =
      kind === RECORD.session ? decodeSession(value) : { kind: kind === RECORD.pin ? 'pin' : 'peer', value }
    counts[record.kind]++
    yield record
  }
  const announced = [await source.varint(), await source.varint(), withSessions ? await source.varint() : 0]
  const held = [counts.pin, counts.peer, counts.session]
  if (announced.some((count, kind) => count !== held[kind])) {
    throw new MalformedError(
      `it announces ${announced.join(', ')} pins, peers and records of sessions, and holds ${held.join(', ')}`
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
