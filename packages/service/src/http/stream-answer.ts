/**
 * Lists as IPFS Cluster sends them: one JSON document a line, and the trailer `X-Stream-Error` for a failure after the first
 * item. Rows that are ready together leave in one write; a slow reader holds the source up.
 */

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { type Codec, encodeLine, streamErrorTrailer } from '@quorate/client/api'
import { asHeaderValue } from './error-response.ts'

const CHUNK_BYTES = 32 * 1024

/** Writes lines together, and waits when the reader is slow. Its owner calls `end` or gives the response up. */
export class LineWriter {
  private readonly response: ServerResponse
  private readonly signal: AbortSignal
  private waiting = ''
  private scheduled: NodeJS.Immediate | undefined

  constructor(response: ServerResponse, signal: AbortSignal) {
    this.response = response
    this.signal = signal
  }

  async write(line: string): Promise<void> {
    this.waiting += line
    if (this.waiting.length < CHUNK_BYTES) {
      // Whatever comes before the event loop turns goes along.
      this.scheduled ??= setImmediate(() => this.flush())
      return
    }
    if (!this.flush()) await once(this.response, 'drain', { signal: this.signal })
  }

  end(failure: string): void {
    this.flush()
    this.response.addTrailers({ [streamErrorTrailer]: asHeaderValue(failure) })
    this.response.end()
  }

  private flush(): boolean {
    clearImmediate(this.scheduled)
    this.scheduled = undefined
    const text = this.waiting
    this.waiting = ''
    return text === '' || this.response.destroyed || this.response.write(text)
  }
}

/**
 * Answers with all items. The first is waited for before anything is sent, so that a failure before it is an ordinary error; an
 * empty list is 200 with an empty body, which every client takes for no items.
 *
 * @throws whatever the source throws before its first item; the caller answers it
 */
export async function answerStream<T>(
  response: ServerResponse,
  headers: Readonly<Record<string, string | readonly string[]>>,
  items: AsyncIterable<T>,
  codec: Codec<T>,
  signal: AbortSignal
): Promise<void> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    let step = await iterator.next()
    response.writeHead(200, { ...headers, 'Content-Type': 'application/json', Trailer: streamErrorTrailer })
    const lines = new LineWriter(response, signal)
    let failure = ''
    try {
      while (step.done !== true) {
        await lines.write(encodeLine(codec, step.value))
        step = await iterator.next()
      }
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error)
    }
    lines.end(failure)
  } finally {
    await iterator.return?.()
  }
}
