/**
 * The body of `/add`: `multipart/form-data` in which a part's file name is its path inside the upload. Made piece by piece, so that an upload of any
 * size needs the memory of one chunk. Called by the client's `add`.
 *
 * @see https://docs.ipfs.tech/reference/kubo/rpc/#api-v0-add
 */

import type { BodyPart } from './transport.ts'

export type AddContent = Uint8Array | string | Blob | AsyncIterable<Uint8Array>

/** One thing to add. The entries of one directory must follow each other; missing directories are implied by the path. */
export interface AddSource {
  /** Where it goes inside the upload: parts separated by `/`, without one at the beginning. */
  readonly path: string
  /** @default 'file' */
  readonly type?: 'file' | 'directory' | 'symlink'
  /** Bytes of a file, target of a symlink; a directory has none. An iterable is read once, when its turn comes. */
  readonly content?: AddContent
}

const contentTypes = {
  file: 'application/octet-stream',
  directory: 'application/x-directory',
  symlink: 'application/symlink'
} as const

const encoder = new TextEncoder()

/** Long and random enough not to occur in any content. */
export function createBoundary(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(24))
  return `quorate${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}

/**
 * @param boundary - of {@link createBoundary}
 * @param onContent - called with the number of bytes of content after each piece that was taken
 * @throws whatever the sources throw
 */
export async function* encodeMultipart(
  sources: Iterable<AddSource> | AsyncIterable<AddSource>,
  boundary: string,
  onContent?: (bytes: number) => void
): AsyncGenerator<BodyPart> {
  for await (const { path, type = 'file', content } of sources) {
    const fileName = encodeURIComponent(path.toWellFormed())
    yield encoder.encode(
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${fileName}"\r\n` +
        `Content-Type: ${contentTypes[type]}\r\n\r\n`
    )
    if (content !== undefined && type !== 'directory') {
      for await (const piece of piecesOf(content)) {
        yield piece
        onContent?.(piece instanceof Blob ? piece.size : piece.byteLength)
      }
    }
    yield encoder.encode('\r\n')
  }
  yield encoder.encode(`--${boundary}--\r\n`)
}

async function* piecesOf(content: AddContent): AsyncGenerator<BodyPart> {
  if (typeof content === 'string') yield encoder.encode(content)
  else if (content instanceof Uint8Array || content instanceof Blob) yield content
  else yield* content
}
