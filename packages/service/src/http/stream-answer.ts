/**
 * Lists as IPFS Cluster sends them: one JSON document a line, and the trailer `X-Stream-Error` for a failure after the first
 * item. Rows that are ready together leave in one write; a slow reader holds the source up.
 */

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { type Codec, encodeLine, streamErrorTrailer } from '@quorate/client/api'
import { failureTrailer } from './error-response.ts'

const CHUNK_BYTES = 32 * 1024

/** Clients of HTTP/1.0, proxies for the most part, get no chunks and so no trailer. */
const takesTrailers = (response: ServerResponse): boolean => response.useChunkedEncodingByDefault

/** The header that announces the trailer, where there can be one. */
export const trailerHeader = (response: ServerResponse): Record<string, string> =>
  takesTrailers(response) ? { Trailer: streamErrorTrailer } : {}

/** Writes lines together, and waits when the reader is slow. Its owner calls `end`. */
export class LineWriter {
  private readonly response: ServerResponse
  private readonly signal: AbortSignal
  private waiting = ''
  private scheduled: NodeJS.Immediate | undefined

  constructor(response: ServerResponse, signal: AbortSignal) {
    this.response = response
    this.signal = signal
  }

  /** @throws the signal's reason, so that a source that does not look at it ends all the same */
  async write(line: string): Promise<void> {
    this.signal.throwIfAborted()
    this.waiting += line
    // Whatever comes before the event loop turns goes along.
    if (this.waiting.length < CHUNK_BYTES) this.scheduled ??= setImmediate(() => this.flush())
    else this.flush()
    if (this.response.writableNeedDrain) await once(this.response, 'drain', { signal: this.signal })
  }

  /** @param failed - what ended the stream before its end, if anything did */
  end(failed?: { readonly error: unknown }): void {
    this.flush()
    if (takesTrailers(this.response)) {
      this.response.addTrailers({ [streamErrorTrailer]: failed === undefined ? '' : failureTrailer(failed.error) })
      this.response.end()
    } else if (failed === undefined) this.response.end()
    else this.response.destroy()
  }

  private flush(): void {
    clearImmediate(this.scheduled)
    this.scheduled = undefined
    const text = this.waiting
    this.waiting = ''
    if (text !== '' && !this.response.destroyed) this.response.write(text)
  }
}

/**
 * Answers with all items. The first is waited for before anything is sent, so that a failure before it is an ordinary error; an
 * empty list is 200 with an empty body, which every client takes for no items.
 *
 * @returns what ended the list before its end, which the client was told in the trailer
 * @throws whatever the source throws before its first item; the caller answers it
 */
export async function answerStream<T>(
  response: ServerResponse,
  headers: Readonly<Record<string, string | readonly string[]>>,
  items: AsyncIterable<T>,
  codec: Codec<T>,
  signal: AbortSignal
): Promise<{ readonly error: unknown } | undefined> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    let step = await iterator.next()
    response.writeHead(200, { ...headers, 'Content-Type': 'application/json', ...trailerHeader(response) })
    const lines = new LineWriter(response, signal)
    let failed: { readonly error: unknown } | undefined
    try {
      while (step.done !== true) {
        await lines.write(encodeLine(codec, step.value))
        step = await iterator.next()
      }
    } catch (error) {
      failed = { error }
    }
    lines.end(failed)
    return failed
  } finally {
    await iterator.return?.()
  }
}
