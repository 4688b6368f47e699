/**
 * HTTP through `node:http`: unlike Node's `fetch` it reads trailers, sends a body while it reads the answer (an upload reports
 * what it has stored long before its end), connects to Unix sockets, and can be told to take a certificate as it is.
 * Connections are kept by Node's global agents, which do not hold a process up.
 */

import type { ClientRequest, IncomingMessage } from 'node:http'
import type { RequestOptions } from 'node:https'
import {
  type BodyPart,
  describeCause,
  type Transport,
  TransportError,
  type TransportRequest,
  type TransportResponse
} from './transport.ts'

function open(request: TransportRequest): ClientRequest {
  const { endpoint, method, target, headers } = request
  const { protocol, hostname, port } = new URL(endpoint.origin)
  const options: RequestOptions = { method, path: target, headers }
  // `node:http` is not imported: to import a built-in module is to read all that it exports, there the WebSocket too, which
  // loads Node's whole `fetch` and would cost the command line 40 ms at every start.
  if (endpoint.socketPath !== undefined) options.socketPath = endpoint.socketPath
  else {
    options.host = hostname.replace(/^\[|\]$/g, '')
    options.port = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
  }
  if (protocol !== 'https:') return process.getBuiltinModule('node:http').request(options)
  options.rejectUnauthorized = endpoint.verifyCertificate
  return process.getBuiltinModule('node:https').request(options)
}

async function* chunksOf(part: BodyPart): AsyncGenerator<Uint8Array> {
  if (part instanceof Uint8Array) yield part
  else for await (const chunk of part.stream()) yield chunk
}

/** Waits until the request takes more, or is over. */
function drained(outgoing: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      outgoing.off('drain', done)
      outgoing.off('close', done)
      resolve()
    }
    outgoing.on('drain', done)
    outgoing.on('close', done)
  })
}

/** Resolves when all is sent, or as soon as the request is over; the source is closed in either case. */
async function send(outgoing: ClientRequest, body: AsyncIterable<BodyPart>): Promise<void> {
  for await (const part of body) {
    for await (const chunk of chunksOf(part)) {
      if (outgoing.destroyed) return
      if (!outgoing.write(chunk)) await drained(outgoing)
      if (outgoing.destroyed) return
    }
  }
  outgoing.end()
}

/** The first failure of an exchange, of whatever side; what follows it is mostly its consequence. */
interface Failure {
  first: Error | undefined
}

async function* readBody(
  incoming: IncomingMessage,
  outgoing: ClientRequest,
  request: TransportRequest,
  failure: Failure
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of incoming) yield chunk as Uint8Array
  } catch (error) {
    request.signal.throwIfAborted()
    if (failure.first !== undefined) throw failure.first
    throw new TransportError(
      'broken-off',
      `the answer of ${request.endpoint.origin} broke off: ${describeCause(error)}`,
      {
        cause: error
      }
    )
  } finally {
    // An answer that ends before the request does (a refusal) or is not read to its end takes its connection with it.
    if (!incoming.complete || !outgoing.writableFinished) outgoing.destroy()
  }
}

/** The transport of Node. */
export function createDefaultTransport(): Transport {
  return async (request): Promise<TransportResponse> => {
    const { signal, endpoint } = request
    signal.throwIfAborted()
    const outgoing = open(request)
    const failure: Failure = { first: undefined }
    const onAbort = (): void => {
      outgoing.destroy(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    outgoing.once('close', () => signal.removeEventListener('abort', onAbort))
    try {
      const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
        outgoing.on('response', resolve)
        // Stays for the life of the request: an error after the answer has begun shows in the body.
        outgoing.on('error', reject)
        if (signal.aborted) onAbort()
        if (request.body === undefined) outgoing.end()
        else {
          send(outgoing, request.body).catch((error: unknown) => {
            failure.first ??= error instanceof Error ? error : new Error(String(error))
            outgoing.destroy(failure.first)
          })
        }
      })
      return {
        status: incoming.statusCode ?? 0,
        header: (name) => {
          const value = incoming.headers[name.toLowerCase()]
          return Array.isArray(value) ? value.join(', ') : value
        },
        body: readBody(incoming, outgoing, request, failure),
        trailer: (name) => incoming.trailers[name.toLowerCase()]
      }
    } catch (error) {
      outgoing.destroy()
      signal.throwIfAborted()
      if (failure.first !== undefined) throw failure.first
      throw new TransportError('unreachable', `cannot reach ${endpoint.origin}: ${describeCause(error)}`, {
        cause: error
      })
    }
  }
}
