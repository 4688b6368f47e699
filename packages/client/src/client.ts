/**
 * The typed client: one method for each route of the API. It fills in parameters from `api/routes.ts`, sends the request through a transport,
 * and turns the answer into objects or into the class of its error. Used by the command line, the dashboard and applications.
 */

import { defaultAddOptions } from './api/add-options.ts'
import { classifyError, errorCodeHeader, staleHeader, streamErrorTrailer } from './api/error-codes.ts'
import { type ApiError, createApiError } from './api/errors.ts'
import { formatContentPath, parseCid, parseContentPath, parsePeerId } from './api/identifiers.ts'
import { type Codec, DecodeError, encodeJson, parseJson } from './api/json.ts'
import { decodeLines } from './api/ndjson.ts'
import { errorBodyCodec } from './api/peer-codec.ts'
import { defaultPinOptions } from './api/pin-options.ts'
import type { RaftPeer } from './api/raft-codec.ts'
import { type Route, routes, routeTarget } from './api/routes.ts'
import type {
  AddedOutput,
  AddOptions,
  Consistency,
  GlobalPinInfo,
  GlobalRepoGc,
  PeerIdString,
  PeerInfo,
  Pin,
  PinOptions,
  PinType,
  TrackerStatus
} from './api/types.ts'
import { type AddSource, createBoundary, encodeMultipart } from './multipart.ts'
import {
  type BodyPart,
  type Endpoint,
  RequestTimeoutError,
  type Transport,
  TransportError,
  type TransportResponse
} from './transport.ts'

export interface AbortOptions {
  readonly signal?: AbortSignal
}

export interface LocalOptions extends AbortOptions {
  /** Ask only the peer that is called. @default false */
  readonly local?: boolean
}

export interface StatusAllOptions extends LocalOptions {
  /** Only items of which some copy is in one of these states. @default all */
  readonly filter?: Iterable<TrackerStatus>
  /** Only these CIDs; the filter is then not looked at. */
  readonly cids?: readonly string[]
}

export interface AddCallOptions extends AbortOptions {
  /** Called with the bytes of content that were handed to the connection so far. */
  readonly onUpload?: (sentBytes: number) => void
}

/** Largest single object and largest error that is read; longer answers are refused. */
const maxObjectBytes = 64 * 1024 * 1024
const maxErrorBytes = 64 * 1024

export interface QuorateClientInit {
  /** In order of preference, at least one. */
  readonly endpoints: readonly Endpoint[]
  readonly transport: Transport
  readonly headers: Readonly<Record<string, string>>
  /** For a whole exchange, streams included; 0: no limit. */
  readonly timeoutMs: number
  /** Told of each request and answer; the command line's `--debug`. */
  readonly log: ((line: string) => void) | undefined
}

interface Exchange {
  readonly response: TransportResponse
  /** Ends the deadline and, if the body was not read to its end, the connection. */
  close(): void
}

/**
 * Calls one peer of a cluster, or the next of its list when one cannot be reached. Methods that answer an `AsyncIterable` send their request when it is
 * first iterated, and end it when the iteration is left.
 *
 * Every method throws {@link ApiError} (or the class of its code) when the peer answers with an error, {@link TransportError}
 * when no answer came, {@link DecodeError} when it makes no sense, and the signal's reason when aborted.
 */
export class QuorateClient {
  readonly #init: QuorateClientInit
  /** Index of the endpoint that answered last; `< endpoints.length`. */
  #current = 0

  constructor(init: QuorateClientInit) {
    this.#init = init
  }

  /** Who the peer is and whom it sees. */
  async id(options: AbortOptions = {}): Promise<PeerInfo> {
    return await this.#object(routes.id, {}, {}, options)
  }

  async version(options: AbortOptions = {}): Promise<string> {
    return (await this.#object(routes.version, {}, {}, options)).version
  }

  /** Resolves if the peer answers at all; needs no credentials. */
  async health(options: AbortOptions = {}): Promise<void> {
    await this.#nothing(routes.health, {}, {}, options)
  }

  /** Every member; one that cannot be reached has `error` set and little else. */
  peers(options: AbortOptions = {}): AsyncGenerator<PeerInfo> {
    return this.#stream(routes.peers, {}, {}, options)
  }

  async peerAdd(peer: string, options: AbortOptions = {}): Promise<PeerInfo> {
    return await this.#object(routes.peerAdd, {}, {}, options, { peerId: parsePeerId(peer) })
  }

  /** Resolves also for a peer that is no member. */
  async peerRemove(peer: string, options: AbortOptions = {}): Promise<void> {
    await this.#nothing(routes.peerRemove, { peer: parsePeerId(peer) }, {}, options)
  }

  /** How each member stands in the agreement: who leads, who votes, how far each has come. One that cannot be asked has `error` set. */
  peersRaft(options: AbortOptions = {}): AsyncGenerator<RaftPeer> {
    return this.#stream(routes.peersRaft, {}, {}, options)
  }

  /**
   * Hands leadership to a voter, or without `to` to whoever can take over soonest. Resolves once it leads.
   *
   * @returns who leads
   * @throws {ApiError} `transfer-refused` when `to` leads already or does not vote, `transfer-failed` when it did not take over in
   *   time, `no-leader` when there is nobody to hand over
   */
  async peersTransfer(to?: string, options: AbortOptions = {}): Promise<PeerIdString> {
    const query = { to: to === undefined ? undefined : parsePeerId(to) }
    return (await this.#object(routes.peersTransfer, {}, query, options)).leader
  }

  /**
   * Puts a CID, or the CID at the end of a path, into the pinset. Resolves when that is agreed upon; the content is fetched after.
   *
   * @param content - a CID, or a path that begins with `/ipfs/`, `/ipns/` or `/ipld/`
   * @returns the pin as it was submitted
   * @throws {SyntaxError} when it is neither
   */
  async pin(content: string, pin: Partial<PinOptions> = {}, options: AbortOptions = {}): Promise<Pin> {
    const { namespace, path } = pathOf(content)
    // The form with a path also for a plain CID: IPFS Cluster honours `mode` only there.
    const route = { ipfs: routes.pinIpfs, ipns: routes.pinIpns, ipld: routes.pinIpld }[namespace]
    return await this.#object(route, { path }, { ...defaultPinOptions, ...pin }, options)
  }

  /** @returns the pin as it was. @throws {PinNotFoundError} @throws {SyntaxError} */
  async unpin(content: string, options: AbortOptions = {}): Promise<Pin> {
    const { namespace, path } = pathOf(content)
    const route = { ipfs: routes.unpinIpfs, ipns: routes.unpinIpns, ipld: routes.unpinIpld }[namespace]
    return await this.#object(route, { path }, {}, options)
  }

  /** The pin of one CID. `stale` says that no quorum could be asked. @throws {PinNotFoundError} */
  async allocation(
    cid: string,
    options: AbortOptions & { readonly consistency?: Consistency } = {}
  ): Promise<{ pin: Pin; stale: boolean }> {
    const query = { consistency: options.consistency ?? 'default' }
    const exchange = await this.#exchange(routes.allocation, { cid: parseCid(cid) }, query, options)
    const pin = await readObjectAnswer(exchange, routes.allocation.answer.codec)
    return { pin, stale: exchange.response.header(staleHeader) === 'true' }
  }

  /** The pinset. */
  allocations(options: AbortOptions & { readonly filter?: Iterable<PinType> } = {}): AsyncGenerator<Pin> {
    const filter = options.filter === undefined ? undefined : new Set(options.filter)
    return this.#stream(routes.allocations, {}, { filter }, options)
  }

  /** The state of one CID on every peer; `unpinned` on all for one that is not in the pinset. */
  async status(cid: string, options: LocalOptions = {}): Promise<GlobalPinInfo> {
    return await this.#object(routes.status, { cid: parseCid(cid) }, { local: options.local ?? false }, options)
  }

  statusAll(options: StatusAllOptions = {}): AsyncGenerator<GlobalPinInfo> {
    const query = {
      local: options.local ?? false,
      filter: options.filter === undefined ? undefined : new Set(options.filter),
      cids: (options.cids ?? []).map(parseCid)
    }
    return this.#stream(routes.statusAll, {}, query, options)
  }

  /** Tries again at once what failed; answers the state after that was asked for. */
  async recover(cid: string, options: LocalOptions = {}): Promise<GlobalPinInfo> {
    return await this.#object(routes.recover, { cid: parseCid(cid) }, { local: options.local ?? false }, options)
  }

  recoverAll(options: LocalOptions = {}): AsyncGenerator<GlobalPinInfo> {
    return this.#stream(routes.recoverAll, {}, { local: options.local ?? false }, options)
  }

  /** Has the IPFS nodes remove the blocks that nothing pins. */
  async repoGc(options: LocalOptions = {}): Promise<GlobalRepoGc> {
    return await this.#object(routes.repoGc, {}, { local: options.local ?? false }, options)
  }

  /**
   * Uploads files and directories, and pins their root. What was made comes out while the upload goes on, the root last.
   *
   * @param sources - the entries of one directory must follow each other
   */
  async *add(
    sources: Iterable<AddSource> | AsyncIterable<AddSource>,
    add: Partial<AddOptions> = {},
    options: AddCallOptions = {}
  ): AsyncGenerator<AddedOutput> {
    const boundary = createBoundary()
    let sentBytes = 0
    const onContent = (bytes: number): void => {
      sentBytes += bytes
      options.onUpload?.(sentBytes)
    }
    const cidVersion = add.cidVersion ?? defaultAddOptions.cidVersion
    const query: AddOptions = { ...defaultAddOptions, rawLeaves: cidVersion > 0, ...add }
    const exchange = await this.#exchange(routes.add, {}, query, options, {
      contentType: `multipart/form-data; boundary=${boundary}`,
      stream: encodeMultipart(sources, boundary, onContent)
    })
    if (query.streamChannels) yield* readStreamAnswer(exchange, routes.add.answer.codec)
    else yield* await readObjectAnswer(exchange, routes.add.answer.arrayCodec)
  }

  async #object<Params, Query, Body, T>(
    route: Route<Params, Query, Body, { readonly kind: 'object'; readonly codec: Codec<T> }>,
    params: Params,
    query: Query,
    options: AbortOptions,
    body?: Body
  ): Promise<T> {
    const payload = route.bodyCodec === undefined || body === undefined ? undefined : jsonPayload(route.bodyCodec, body)
    return await readObjectAnswer(await this.#exchange(route, params, query, options, payload), route.answer.codec)
  }

  async #nothing<Params, Query>(
    route: Route<Params, Query, undefined, { readonly kind: 'none' }>,
    params: Params,
    query: Query,
    options: AbortOptions
  ): Promise<void> {
    const exchange = await this.#exchange(route, params, query, options)
    try {
      await readText(exchange.response, maxErrorBytes)
    } finally {
      exchange.close()
    }
  }

  async *#stream<Query, T>(
    route: Route<Record<never, never>, Query, undefined, { readonly kind: 'stream'; readonly codec: Codec<T> }>,
    params: Record<never, never>,
    query: Query,
    options: AbortOptions
  ): AsyncGenerator<T> {
    yield* readStreamAnswer(await this.#exchange(route, params, query, options), route.answer.codec)
  }

  /** Sends a request and resolves with an answer that is no error. */
  async #exchange<Params, Query, Body, A>(
    route: Route<Params, Query, Body, A>,
    params: Params,
    query: Query,
    options: AbortOptions,
    payload?: Payload
  ): Promise<Exchange> {
    const { endpoints, transport, timeoutMs, log } = this.#init
    const target = routeTarget(route, params, query)
    const headers: Record<string, string> = { ...this.#init.headers }
    if (payload !== undefined) headers['Content-Type'] = payload.contentType
    const deadline = startDeadline(timeoutMs, `${route.method} ${target}`, options.signal)
    let bodyTouched = false
    const body = payload === undefined ? undefined : noteStart(payload.stream, () => (bodyTouched = true))
    try {
      for (let attempt = 1; ; attempt++) {
        const endpoint = endpoints[this.#current % endpoints.length] as Endpoint
        log?.(`${route.method} ${endpoint.origin}${target}`)
        try {
          const request = { method: route.method, endpoint, target, headers, signal: deadline.signal }
          const response = await transport(body === undefined ? request : { ...request, body })
          log?.(`${route.method} ${endpoint.origin}${target}: ${response.status}`)
          if (response.status < 200 || response.status > 299) throw await readErrorAnswer(response)
          return { response, close: deadline.close }
        } catch (error) {
          log?.(`${route.method} ${endpoint.origin}${target}: ${String(error)}`)
          // Another peer may do better, unless half of a body that exists only once is gone, or the time is up.
          const another = error instanceof TransportError && error.code === 'unreachable' && attempt < endpoints.length
          if (!another || bodyTouched) throw error
          this.#current = (this.#current + 1) % endpoints.length
        }
      }
    } catch (error) {
      deadline.close()
      throw error
    }
  }
}

// --- requests ---------------------------------------------------------------------------------------------------------------

interface Payload {
  readonly contentType: string
  readonly stream: AsyncIterable<BodyPart>
}

function jsonPayload<T>(codec: Codec<T>, body: T): Payload {
  const text = encodeJson(codec.encode(body))
  async function* once(): AsyncGenerator<BodyPart> {
    yield new TextEncoder().encode(text)
  }
  return { contentType: 'application/json', stream: once() }
}

async function* noteStart(source: AsyncIterable<BodyPart>, onStart: () => void): AsyncGenerator<BodyPart> {
  onStart()
  yield* source
}

function pathOf(content: string): { namespace: 'ipfs' | 'ipns' | 'ipld'; path: string } {
  const parts = parseContentPath(content.startsWith('/') ? content : `/ipfs/${parseCid(content)}`)
  // Cleaned here, because a URL would take `..` for its own.
  return { namespace: parts.namespace, path: formatContentPath(parts) }
}

/** A signal that follows the caller's and also ends after `timeoutMs`. The caller must close it. */
function startDeadline(
  timeoutMs: number,
  what: string,
  outer: AbortSignal | undefined
): { signal: AbortSignal; close(): void } {
  const controller = new AbortController()
  const onAbort = (): void => controller.abort(outer?.reason)
  if (outer?.aborted) onAbort()
  else outer?.addEventListener('abort', onAbort, { once: true })
  let timer: ReturnType<typeof setTimeout> | undefined
  if (timeoutMs > 0) {
    const onTimeout = (): void => {
      controller.abort(
        new RequestTimeoutError(`${what} did not finish within ${timeoutMs} ms: context deadline exceeded`)
      )
    }
    timer = setTimeout(onTimeout, timeoutMs)
  }
  const close = (): void => {
    clearTimeout(timer)
    outer?.removeEventListener('abort', onAbort)
  }
  return { signal: controller.signal, close }
}

// --- answers ----------------------------------------------------------------------------------------------------------------

/** @throws {DecodeError} past the limit */
async function readText(response: TransportResponse, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for await (const chunk of response.body) {
    bytes += chunk.byteLength
    if (bytes > maxBytes) throw new DecodeError('the answer', `longer than ${maxBytes} bytes`)
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

/** The error that an answer stands for; a body that is not IPFS Cluster's becomes the message as it is. */
async function readErrorAnswer(response: TransportResponse): Promise<ApiError> {
  const { status } = response
  const text = await readText(response, maxErrorBytes)
  let answered = { code: status, message: text.trim() }
  try {
    const body = errorBodyCodec.decode(JSON.parse(text))
    if (body.message !== '') answered = { code: body.code === 0 ? status : body.code, message: body.message }
  } catch {
    // Something between here and the peer answered: a proxy's page, an empty 405.
  }
  const message = answered.message === '' ? `the peer answered with status ${status}` : answered.message
  const code = classifyError(status, message, response.header(errorCodeHeader) ?? null)
  return createApiError(code, message, { status: answered.code })
}

async function readObjectAnswer<T>(exchange: Exchange, codec: Codec<T>): Promise<T> {
  try {
    return codec.decode(parseJson(await readText(exchange.response, maxObjectBytes), 'the answer'))
  } finally {
    exchange.close()
  }
}

async function* readStreamAnswer<T>(exchange: Exchange, codec: Codec<T>): AsyncGenerator<T> {
  try {
    yield* decodeLines(codec, exchange.response.body)
    const message = exchange.response.trailer(streamErrorTrailer)
    if (message !== undefined && message !== '') {
      throw createApiError(classifyError(500, message), message, { status: 500 })
    }
  } finally {
    exchange.close()
  }
}
