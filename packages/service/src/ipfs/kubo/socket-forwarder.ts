/**
 * Lets `kubo-rpc-client` reach a Kubo that listens on a Unix socket: the library makes URLs of its addresses and there is none for a socket
 * ("Invalid URL"), and the `fetch` below it takes no agent. Requests come in on a loopback port and go on to the socket. Who may open
 * the socket is up to its permissions, and a port has none, so requests must begin with a secret path. Called by `client.ts`.
 */

import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'

export interface SocketForwarder {
  /** For `kubo-rpc-client`, with the path of the API. */
  readonly url: string
  close(): void
}

export async function forwardToSocket(socketPath: string): Promise<SocketForwarder> {
  const secret = `/${randomBytes(32).toString('hex')}`
  const server = createServer((incoming, answer) => forward(socketPath, secret, incoming, answer))
  server.unref()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${secret}/api/v0`,
    close() {
      server.close()
      server.closeAllConnections()
    }
  }
}

function forward(socketPath: string, secret: string, incoming: IncomingMessage, answer: ServerResponse): void {
  const { url = '', method = 'POST', headers } = incoming
  if (!url.startsWith(`${secret}/`)) {
    answer.writeHead(404).end()
    return
  }
  const outgoing = request({ socketPath, path: url.slice(secret.length), method, headers }, (response) => {
    answer.writeHead(response.statusCode ?? 502, response.headers)
    pipeline(response, answer, () => undefined)
  })
  // An answer that breaks off is what the caller would have seen without us: Kubo cannot be reached.
  outgoing.on('error', () => answer.destroy())
  answer.on('close', () => outgoing.destroy())
  pipeline(incoming, outgoing, () => undefined)
}
