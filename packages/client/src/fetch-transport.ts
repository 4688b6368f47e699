/**
 * HTTP through `fetch`: browsers, workers, or a `fetch` that the user of the client brings. Two things are out of its reach: trailers, so that a
 * list that breaks off half way looks complete, and sending while receiving, so that an upload is read before it is
 * sent (files given as Blobs stay on disk all the same).
 */

import {
  type BodyPart,
  describeCause,
  type Transport,
  TransportError,
  type TransportRequest,
  type TransportResponse
} from './transport.ts'

async function collect(body: AsyncIterable<BodyPart>): Promise<Blob> {
  const parts: BlobPart[] = []
  // A view over a shared buffer is no BlobPart, hence the copy; Blobs are only referred to.
  for await (const part of body) parts.push(part instanceof Blob ? part : Uint8Array.from(part))
  return new Blob(parts)
}

async function* readBody(response: Response, request: TransportRequest): AsyncGenerator<Uint8Array> {
  if (response.body === null) return
  const reader = response.body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } catch (error) {
    request.signal.throwIfAborted()
    throw new TransportError(
      'broken-off',
      `the answer of ${request.endpoint.origin} broke off: ${describeCause(error)}`,
      {
        cause: error
      }
    )
  } finally {
    // Closes the connection if the reader stopped early; no-op at the end.
    await reader.cancel().catch(() => {})
  }
}

/** @param fetch - @default globalThis.fetch */
export function createFetchTransport(fetch: typeof globalThis.fetch = globalThis.fetch): Transport {
  return async (request): Promise<TransportResponse> => {
    const { endpoint, method, target, headers, signal } = request
    if (endpoint.socketPath !== undefined) {
      throw new TransportError('unreachable', `fetch cannot connect to the Unix socket ${endpoint.socketPath}`)
    }
    const url = endpoint.origin + target
    const init: RequestInit = { method, headers, signal, redirect: 'error' }
    if (request.body !== undefined) init.body = await collect(request.body)
    let response: Response
    try {
      response = await fetch(url, init)
    } catch (error) {
      signal.throwIfAborted()
      throw new TransportError('unreachable', `cannot reach ${endpoint.origin}: ${describeCause(error)}`, {
        cause: error
      })
    }
    return {
      status: response.status,
      header: (name) => response.headers.get(name) ?? undefined,
      body: readBody(response, request),
      trailer: () => undefined
    }
  }
}

/** The transport of platforms other than Node. */
export const createDefaultTransport = (): Transport => createFetchTransport()
