/**
 * Reads the body of `/add`: parts of a multipart form as a tree of files, directories and symbolic links, one part at a time, without
 * ever holding one. The forms are those of `ipfs-cluster-ctl` and of Kubo's clients (`ipfs-cluster-surface` 1.8).
 *
 * Busboy hands out parts by an event, and holds the body up only while the part being read is behind: parts that are smaller than its
 * buffer it would all hand out at once, however many. So the body is read on only when every part handed out was taken. The request is
 * never destroyed here, since its answer leaves over the same socket.
 */

import type { IncomingMessage } from 'node:http'
import { posix } from 'node:path'
import type { Readable } from 'node:stream'
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
 * The entries of the upload in the order they come. What is left unread of one is passed over when the next is asked for. A body that
 * is not wanted any more stays with the caller, who resumes the request.
 *
 * @param signal - ends the iteration, and the content under way, with its reason
 * @throws {BadRequestError} at once, when the content type names no boundary; in the iteration, when the body is not a multipart form,
 * or ends too early
 */
export function readUpload(request: IncomingMessage, signal: AbortSignal): AsyncGenerator<AddEntry> {
  return entriesOf(new Upload(request, createParser(request), signal))
}

function createParser(request: IncomingMessage): BusboyInstance {
  try {
    return new Busboy({
      headers: request.headers as { 'content-type': string },
      preservePath: true,
      limits: { files: Number.POSITIVE_INFINITY, fileSize: Number.POSITIVE_INFINITY, fields: 1_000, headerPairs: 64 },
      // Every part with a file name is a file, whatever its content type.
      isPartAFile: (_field, _contentType, filename) => filename !== undefined
    })
  } catch (error) {
    throw new BadRequestError(`request Content-Type isn't multipart/form-data: ${String(error)}`, { cause: error })
  }
}

async function* entriesOf(upload: Upload): AsyncGenerator<AddEntry> {
  upload.open()
  try {
    for (let part = await upload.take(); part !== undefined; part = await upload.take()) {
      const { stream } = part
      yield {
        path: entryPath(part.filename),
        type: entryType(part.contentType),
        content: { [Symbol.asyncIterator]: () => upload.contentOf(stream) }
      }
      stream.resume()
    }
  } finally {
    upload.close()
  }
}

interface Part {
  readonly stream: Readable
  readonly filename: string
  readonly contentType: string
}

/** The way from the request through the parser to whoever takes the parts. */
class Upload {
  private readonly request: IncomingMessage
  private readonly parser: BusboyInstance
  private readonly signal: AbortSignal
  /** Handed out by the parser and not taken yet: those of a chunk or two. */
  private readonly waiting: Part[] = []
  private current: Readable | undefined
  /** How it ended; nothing is read from then on. */
  private end: { readonly error?: unknown } | undefined
  private wake: (() => void) | undefined

  constructor(request: IncomingMessage, parser: BusboyInstance, signal: AbortSignal) {
    this.request = request
    this.parser = parser
    this.signal = signal
  }

  open(): void {
    const { request, parser, signal } = this
    parser.on('file', (_field, stream, filename, _encoding, contentType) => {
      // Its failure is that of the whole body, and is told there if nobody reads it yet.
      stream.on('error', () => undefined)
      this.waiting.push({ stream: stream as unknown as Readable, filename, contentType })
      this.wake?.()
    })
    parser.on('drain', this.settle)
    parser.on('finish', () => this.finish({}))
    parser.on('error', (error) => this.fail(error))
    request.on('data', this.onData)
    request.on('end', this.onEnd)
    request.on('error', this.fail)
    // Stays: the connection may break when nobody here cares any more.
    request.on('error', () => undefined)
    request.on('close', this.onClose)
    signal.addEventListener('abort', this.onAbort)
    if (signal.aborted) this.onAbort()
    else if (request.readableEnded) this.onEnd()
    else if (request.destroyed) this.onClose()
  }

  /** The next part, once it is there; undefined at the end of the body. */
  async take(): Promise<Part | undefined> {
    for (;;) {
      if (this.end !== undefined && 'error' in this.end) throw this.end.error
      const part = this.waiting.shift()
      if (part !== undefined) {
        this.current = part.stream
        this.settle()
        return part
      }
      if (this.end !== undefined) return undefined
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  /** What breaks in the middle of a part is told in the words of the whole upload. */
  async *contentOf(stream: Readable): AsyncGenerator<Uint8Array> {
    try {
      // Whoever leaves in the middle of a part must not destroy it: the parser would wait for its end for ever.
      yield* stream.iterator({ destroyOnReturn: false })
    } catch (error) {
      throw this.end !== undefined && 'error' in this.end ? this.end.error : error
    }
  }

  /** Takes its hands off the request. */
  close(): void {
    this.finish({})
    this.drop(undefined)
  }

  private readonly onData = (chunk: Buffer): void => {
    try {
      this.parser.write(chunk)
      this.settle()
    } catch (error) {
      this.fail(error)
    }
  }

  private readonly onEnd = (): void => {
    this.parser.end()
  }

  private readonly onClose = (): void => {
    if (!this.request.readableEnded) this.fail(new Error('the connection was closed'))
  }

  private readonly onAbort = (): void => {
    this.finish({ error: this.signal.reason })
    this.drop(this.signal.reason)
  }

  private readonly fail = (error: unknown): void => {
    const reason = error instanceof Error ? error.message : String(error)
    const failure = new BadRequestError(`the upload could not be read: ${reason}`, { cause: error })
    this.finish({ error: failure })
    this.drop(failure)
  }

  /** Reads on when everything handed out was taken and the parser has room. */
  private readonly settle = (): void => {
    if (this.end !== undefined || this.request.readableEnded) return
    if (this.waiting.length > 0 || this.parser.writableNeedDrain) this.request.pause()
    else this.request.resume()
  }

  private finish(end: { readonly error?: unknown }): void {
    if (this.end !== undefined) return
    this.end = end
    const { request } = this
    request.off('data', this.onData)
    request.off('end', this.onEnd)
    request.off('error', this.fail)
    request.off('close', this.onClose)
    this.signal.removeEventListener('abort', this.onAbort)
    this.wake?.()
  }

  /** Ends the part being read, and those that wait. */
  private drop(reason: unknown): void {
    const error = reason === undefined || reason instanceof Error ? reason : new Error(String(reason))
    this.current?.destroy(error)
    for (const { stream } of this.waiting.splice(0)) stream.destroy(error)
  }
}
