/**
 * Reads the body of `/add`: parts of a multipart form as a tree of files, directories and symbolic links, one part at a time, without
 * ever holding one. The forms are those of `ipfs-cluster-ctl` and of Kubo's clients (`ipfs-cluster-surface` 1.8).
 */

import type { IncomingMessage } from 'node:http'
import { posix } from 'node:path'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Busboy, type BusboyInstance } from '@fastify/busboy'
import { BadRequestError } from '@quorate/client/api'
import type { AddEntry } from '../ports.ts'

/** The path of a part gets no longer than this. */
const MAX_PATH_BYTES = 4096

/** Whether a request has the content type that `readUpload` takes. */
export const isMultipart = (request: IncomingMessage): boolean =>
  /^multipart\/form-data\s*;/i.test(request.headers['content-type'] ?? '')

/** Undoes what clients do to file names: they escape them as in a query, and may put options for the entry behind a `?`. */
function entryPath(filename: string): string {
  const name = filename.replace(/\?(mode|mtime|mtime-nsecs)=.*$/, '')
  let decoded: string
  try {
    decoded = decodeURIComponent(name.replaceAll('+', ' '))
  } catch {
    decoded = name
  }
  if (Buffer.byteLength(decoded) > MAX_PATH_BYTES || decoded.includes('\0')) {
    throw new BadRequestError(`the name of an uploaded file is not a path: ${JSON.stringify(decoded.slice(0, 80))}`)
  }
  return posix.normalize(`/${decoded}`).slice(1).replace(/\/$/, '')
}

function entryType(contentType: string): AddEntry['type'] {
  if (contentType === 'application/x-directory' || contentType === 'multipart/form-data') return 'directory'
  return contentType === 'application/symlink' ? 'symlink' : 'file'
}

/**
 * The entries of the upload in the order they come. The content of one has to be read to its end before the next is asked for.
 *
 * @throws {BadRequestError} in the iteration, when the body is not a multipart form, or ends too early
 */
export async function* readUpload(request: IncomingMessage, signal: AbortSignal): AsyncGenerator<AddEntry> {
  let parser: BusboyInstance
  try {
    parser = new Busboy({
      headers: request.headers as { 'content-type': string },
      preservePath: true,
      limits: { files: Number.POSITIVE_INFINITY, fileSize: Number.POSITIVE_INFINITY, fields: 1_000, headerPairs: 64 },
      // Every part with a file name is a file, whatever its content type.
      isPartAFile: (_field, _contentType, filename) => filename !== undefined
    })
  } catch (error) {
    throw new BadRequestError(`request Content-Type isn't multipart/form-data: ${String(error)}`, { cause: error })
  }
  // Busboy hands out parts by an event and goes on when their stream is read; here they become a list that is asked for.
  const parts = new PassThrough({ objectMode: true, highWaterMark: 1 })
  parser.on('file', (_field, stream, filename, _encoding, contentType) => {
    // A stream that fails with the whole body says so to whoever reads it; if nobody does yet, that is no crash.
    stream.on('error', () => undefined)
    parts.write({ stream, filename, contentType })
  })
  const feeding = pipeline(request, parser, { signal }).then(
    () => parts.end(),
    (error: unknown) => {
      parts.destroy(
        new BadRequestError(`the upload could not be read: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error
        })
      )
    }
  )
  try {
    for await (const part of parts as AsyncIterable<{
      stream: NodeJS.ReadableStream
      filename: string
      contentType: string
    }>) {
      const type = entryType(part.contentType)
      const entry: AddEntry = {
        path: entryPath(part.filename),
        type,
        content: part.stream as AsyncIterable<Uint8Array>
      }
      if (type === 'directory') part.stream.resume()
      yield entry
    }
  } finally {
    parts.destroy()
    request.unpipe(parser)
    await feeding
  }
}
