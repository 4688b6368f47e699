/**
 * From what a user names, a URL or a multiaddr, to where to connect. Called by `createClient`.
 */

import { type MultiaddrPart, splitMultiaddr } from './api/identifiers.ts'
import type { Endpoint } from './transport.ts'

/** What `createClient` was given makes no sense. */
export class ClientConfigError extends Error {
  static override readonly name = 'ClientConfigError'
  override readonly name = 'ClientConfigError'
}

export interface EndpointOptions {
  /** Speak TLS where a multiaddr does not say. @default false */
  readonly https?: boolean
  /** @default true */
  readonly verifyCertificate?: boolean
}

/** `http://host:9094`; a path is refused, since the API lives at the root. @throws {ClientConfigError} */
export function endpointFromUrl(text: string | URL, options: EndpointOptions = {}): Endpoint {
  const url = URL.parse(text)
  if (url === null)
    throw new ClientConfigError(`cannot use ${JSON.stringify(String(text))} as base URL: it is not a URL`)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new ClientConfigError(
      `cannot use ${JSON.stringify(String(text))} as base URL: it is neither http: nor https:`
    )
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw new ClientConfigError(
      `cannot use ${JSON.stringify(String(text))} as base URL: the API has no path before its own`
    )
  }
  return { origin: url.origin, socketPath: undefined, verifyCertificate: options.verifyCertificate ?? true }
}

/**
 * `/ip4|ip6|dns|dns4|dns6/<host>/tcp/<port>`, with `/http`, `/https` or `/tls/http` after it if need be, or `/unix/<path>`.
 *
 * @throws {ClientConfigError}
 */
export function endpointFromMultiaddr(text: string, options: EndpointOptions = {}): Endpoint {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new ClientConfigError(`cannot use ${JSON.stringify(text)} as address of a peer's API: ${reason}`, { cause })
  }
  let parts: MultiaddrPart[]
  try {
    parts = splitMultiaddr(text)
  } catch (error) {
    return refuse((error as Error).message, error)
  }
  const verifyCertificate = options.verifyCertificate ?? true
  const [host, port, ...rest] = parts
  const after = rest.map((part) => part.protocol).join('/')
  if (host?.protocol === 'unix') return { origin: 'http://unix', socketPath: host.value, verifyCertificate }
  if (host?.protocol === 'dnsaddr' || parts.some((part) => part.protocol === 'p2p')) {
    return refuse('this client speaks HTTP over TCP or a Unix socket, not over libp2p')
  }
  if (!/^(ip4|ip6|dns|dns4|dns6)$/.test(host?.protocol ?? '') || port?.protocol !== 'tcp') {
    return refuse('expected something like "/ip4/127.0.0.1/tcp/9094" or "/dns4/example.org/tcp/9094"')
  }
  if (!['', 'http', 'https', 'tls/http', 'tls'].includes(after)) return refuse(`"/${after}" is not spoken by the API`)
  const secure = options.https === true || after.startsWith('tls') || after === 'https'
  const name = host?.protocol === 'ip6' ? `[${host.value}]` : host?.value
  return { origin: `${secure ? 'https' : 'http'}://${name}:${port.value}`, socketPath: undefined, verifyCertificate }
}
