/**
 * The way into this package: from an address and a few options to a {@link QuorateClient}.
 */

import { createDefaultTransport } from '#transport'
import { QuorateClient } from './client.ts'
import { ClientConfigError, endpointFromMultiaddr, endpointFromUrl } from './endpoint.ts'
import { createFetchTransport } from './fetch-transport.ts'

export interface ClientOptions {
  /** Where the API of a peer listens, `http://127.0.0.1:9094`; or several, tried in order when one cannot be reached. */
  readonly baseUrl?: string | URL | readonly (string | URL)[]
  /** The same as multiaddr, `/ip4/127.0.0.1/tcp/9094` or `/unix/<path>`; or several. One of the two must be given. */
  readonly multiaddr?: string | readonly string[]
  /** `user:password`, or the two apart. */
  readonly basicAuth?: string | { readonly user: string; readonly password: string }
  /** Most milliseconds for a whole exchange, streams and uploads included. @default 0, no limit */
  readonly timeoutMs?: number
  /** Speak TLS where a multiaddr does not say. @default false */
  readonly https?: boolean
  /** Check the certificate. Node only. @default true */
  readonly verifyCertificate?: boolean
  /** Use this instead of the platform's transport; it sees no trailers. */
  readonly fetch?: typeof globalThis.fetch
  /** Told of each request and its outcome, without credentials. */
  readonly log?: (line: string) => void
}

/**
 * @example
 * ```ts
 * const client = createClient({ baseUrl: 'http://127.0.0.1:9094' })
 * await client.pin('QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG', { name: 'readme', replicationFactorMin: 2 })
 * for await (const { cid, peerMap } of client.statusAll()) console.log(cid, Object.values(peerMap).map((copy) => copy.status))
 * ```
 * @throws {ClientConfigError} when an address makes no sense, or none is given
 */
export function createClient(options: ClientOptions): QuorateClient {
  const endpoints = [
    ...listOf(options.baseUrl).map((url) => endpointFromUrl(url, options)),
    ...listOf(options.multiaddr).map((multiaddr) => endpointFromMultiaddr(multiaddr, options))
  ]
  if (endpoints.length === 0)
    throw new ClientConfigError('cannot make a client: neither baseUrl nor multiaddr is given')
  const headers: Record<string, string> = {}
  if (options.basicAuth !== undefined) headers.Authorization = `Basic ${encodeCredentials(options.basicAuth)}`
  const timeoutMs = options.timeoutMs ?? 0
  // A longer timer would fire at once.
  if (!(timeoutMs >= 0 && timeoutMs < 2 ** 31)) {
    throw new ClientConfigError(`cannot wait for ${timeoutMs} ms: timeoutMs must be from 0 to ${2 ** 31 - 1}`)
  }
  return new QuorateClient({
    endpoints,
    transport: options.fetch === undefined ? createDefaultTransport() : createFetchTransport(options.fetch),
    headers,
    timeoutMs,
    log: options.log
  })
}

function listOf<T extends string | URL>(value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return []
  return Array.isArray(value) ? (value as readonly T[]) : [value as T]
}

/** A name without a password is sent with an empty one. */
function encodeCredentials(credentials: NonNullable<ClientOptions['basicAuth']>): string {
  let text = typeof credentials === 'string' ? credentials : `${credentials.user}:${credentials.password}`
  if (!text.includes(':')) text += ':'
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)))
}
