/**
 * One HTTP exchange, as the client needs it: with a request body that is still being sent while the answer is read, and with
 * trailers. `node-transport.ts` can do both; `fetch-transport.ts` does what a browser allows. The package's import map picks the
 * one for the platform, or `createClient({ fetch })` asks for the second.
 */

/** A file of a browser stays a Blob until it is sent, so that it is never in memory as a whole. */
export type BodyPart = Uint8Array | Blob

export interface TransportRequest {
  readonly method: string
  readonly endpoint: Endpoint
  /** Path and query, percent-encoded. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  /** Iterated once, at most; closed early when the exchange ends before it does. */
  readonly body?: AsyncIterable<BodyPart>
  readonly signal: AbortSignal
}

export interface TransportResponse {
  readonly status: number
  /** @param name - in any case */
  header(name: string): string | undefined
  /** Read once, to its end or closed. Throws {@link TransportError} when the connection breaks before the end. */
  readonly body: AsyncIterable<Uint8Array>
  /** All values of a trailer joined; undefined if there was none, or the platform hides it. Known when the body has ended. */
  trailer(name: string): string | undefined
}

/** @throws {TransportError} when there is no answer; `signal.reason` when aborted; whatever the body throws */
export type Transport = (request: TransportRequest) => Promise<TransportResponse>

/** Where a peer's API listens. */
export interface Endpoint {
  /** Without a path; for a Unix socket the host is `unix`. */
  readonly origin: string
  readonly socketPath: string | undefined
  /** False: a certificate is taken as it is. Node only. */
  readonly verifyCertificate: boolean
}

/** No answer came: nothing listens there, the name does not resolve, the connection broke. Another peer may do. */
export class TransportError extends Error {
  static override readonly name: string = 'TransportError'
  override readonly name: string
  readonly code: 'unreachable' | 'broken-off' | 'timeout'

  constructor(code: TransportError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}

/** The exchange took longer than the client's `timeoutMs`. */
export class RequestTimeoutError extends TransportError {
  static override readonly name = 'RequestTimeoutError'

  constructor(message: string, options?: ErrorOptions) {
    super('timeout', message, options)
  }
}

/** The plain words of a system error, which hides behind others: an AggregateError of several addresses, fetch's own. */
export function describeCause(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return [...new Set(error.errors.map(describeCause))].join('; ')
  }
  if (!(error instanceof Error)) return String(error)
  if (error.message === 'fetch failed' && error.cause !== undefined) return describeCause(error.cause)
  return error.message === '' ? error.name : error.message
}
