/**
 * Cuts a file into the blocks that its leaves are made of, as Kubo's `--chunker` says: `size-<bytes>`, `rabin`, `rabin-<average>` or
 * `rabin-<min>-<average>-<max>`. Where the cuts fall decides the CID. Pieces of a fixed size are cut by `ipfs-unixfs-importer`, others by
 * `rabin.ts`; the grammar and its limits are Kubo's. Called by `import-files.ts`.
 * @see https://github.com/ipfs/boxo/blob/main/chunker/parse.go for the grammar and the messages
 */

import { type Chunker, fixedSize } from 'ipfs-unixfs-importer/chunker'
import { AddError } from './errors.ts'
import { cutByContent } from './rabin.ts'

const DEFAULT_CHUNK_BYTES = 262_144
/** Kubo's: a larger leaf would not be exchanged. */
const MAX_CHUNK_BYTES = 1_048_576
const MIN_RABIN_BYTES = 16

/** @throws {AddError} `invalid-parameter` */
export function parseChunker(text: string): Chunker {
  if (text === '' || text === 'default') return fixedSize({ chunkSize: DEFAULT_CHUNK_BYTES })
  if (text.startsWith('size-')) {
    const bytes = parseSize(text.slice('size-'.length), text)
    if (bytes === 0) throw new AddError('invalid-parameter', 'chunker size must be greater than 0')
    assertNotTooLarge(bytes)
    return fixedSize({ chunkSize: bytes })
  }
  if (text === 'rabin' || text.startsWith('rabin-')) return parseRabin(text)
  if (text.startsWith('buzhash')) {
    throw new AddError(
      'invalid-parameter',
      `chunker ${text} is not supported; use size-<bytes> or rabin-<min>-<avg>-<max>`
    )
  }
  throw new AddError('invalid-parameter', `unrecognized chunker option: ${text}`)
}

function parseRabin(text: string): Chunker {
  const parts = text.split('-').slice(1)
  if (parts.length === 0) return averaging(DEFAULT_CHUNK_BYTES)
  if (parts.length === 1) {
    const average = parseSize(parts[0] as string, text)
    assertNotTooLarge(Math.floor(average + average / 2))
    return averaging(average)
  }
  if (parts.length !== 3) {
    throw new AddError(
      'invalid-parameter',
      "incorrect format (expected 'rabin' 'rabin-[avg]' or 'rabin-[min]-[avg]-[max]'"
    )
  }
  const names = ['min', 'avg', 'max']
  const [min, average, max] = parts.map((part, i) =>
    parseSize(part.startsWith(`${names[i]}:`) ? part.slice(4) : part, text)
  ) as [number, number, number]
  if (min < MIN_RABIN_BYTES) throw new AddError('invalid-parameter', 'rabin min must be greater than 16')
  if (average < min)
    throw new AddError('invalid-parameter', 'incorrect format: rabin-min must be smaller than rabin-avg')
  if (max < average)
    throw new AddError('invalid-parameter', 'incorrect format: rabin-avg must be smaller than rabin-max')
  assertNotTooLarge(max)
  return byContent(min, average, max)
}

function averaging(average: number): Chunker {
  const min = Math.floor(average / 3)
  if (min < MIN_RABIN_BYTES) throw new AddError('invalid-parameter', 'rabin min must be greater than 16')
  return byContent(min, average, average + Math.floor(average / 2))
}

function parseSize(text: string, whole: string): number {
  if (!/^\d{1,15}$/.test(text))
    throw new AddError('invalid-parameter', `chunker ${whole}: "${text}" is not a number of bytes`)
  return Number(text)
}

function assertNotTooLarge(bytes: number): void {
  if (bytes <= MAX_CHUNK_BYTES) return
  throw new AddError(
    'invalid-parameter',
    `chunker parameters may not exceed the maximum chunk size of ${MAX_CHUNK_BYTES}`
  )
}

/** Yields nothing for an empty file, of which the library's layouts would make nothing. */
function byContent(min: number, average: number, max: number): Chunker {
  return async function* chunk(content) {
    let isEmpty = true
    for await (const piece of cutByContent(content, min, average, max)) {
      isEmpty = false
      yield piece
    }
    if (isEmpty) yield new Uint8Array()
  }
}
