/**
 * A server on loopback that answers whatever a test tells it to, and remembers what it was asked. It knows nothing of the API, so that
 * a mistake in the contract cannot hide behind the same mistake here.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

export class FakePeer implements AsyncDisposable {
  readonly #server: Server
  /** Method and target of each request, in order. */
  readonly requests: string[] = []
  readonly headers: IncomingMessage['headers'][] = []

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(handler: Handler): Promise<FakePeer> {
    const server = createServer()
    const peer = new FakePeer(server)
    server.on('request', (request, response) => {
      peer.requests.push(`${request.method} ${request.url}`)
      peer.headers.push(request.headers)
      Promise.resolve(handler(request, response)).catch(() => response.destroy())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return peer
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get multiaddr(): string {
    return `/ip4/127.0.0.1/tcp/${this.port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** A port that nothing listens on. */
export async function deadPort(): Promise<number> {
  const peer = await FakePeer.start(() => {})
  const { port } = peer
  await peer[Symbol.asyncDispose]()
  return port
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {}
): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers })
  response.end(`${JSON.stringify(body)}\n`)
}

/** A stream as a peer sends it, with the trailer at its end. */
export function sendStream(response: ServerResponse, items: readonly unknown[], streamError = ''): void {
  response.writeHead(200, { 'Content-Type': 'application/json', Trailer: 'X-Stream-Error' })
  for (const item of items) response.write(`${JSON.stringify(item)}\n`)
  response.addTrailers({ 'X-Stream-Error': streamError })
  response.end()
}

/** A promise and its ends; for a server that waits until the test has seen something. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: resolve }
}
