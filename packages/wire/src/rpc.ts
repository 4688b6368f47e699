/**
 * Calls between peers: a method's name and bytes there, bytes or a sequence of bytes back. All calls of one peer to another share
 * one stream, opened at the first call and closed when it was idle for a while; the peer answers on it. Opening a stream for each
 * call would cost fifty times as much, two writes to the peer store among it.
 *
 * Any peer that can be dialled can be called, and any peer may call: `authorize` is asked about each call.
 */

import type { Connection, Stream } from '@libp2p/interface'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { RpcTimeoutError, RpcUnreachableError } from './errors.ts'
import { asError, type Libp2pHost, peerAddress, peerOfAddress } from './host.ts'
import { ItemQueue } from './item-queue.ts'
import { RpcClient } from './rpc-client.ts'
import { itemCost } from './rpc-frames.ts'
import { RpcServer } from './rpc-server.ts'

export interface RpcLimits {
  /** Largest request, unstreamed answer, or item of a streamed one. @default 4 MiB */
  readonly maxMessageBytes: number
  /** Most bytes that wait for one peer. @default 16 MiB */
  readonly maxQueuedBytes: number
  /** Most calls under way to one peer, and from one peer. @default 256 */
  readonly maxCalls: number
  /** Most bytes of one streamed answer that are under way or not consumed, 64 more for each item; one item may exceed it. @default 256 KiB */
  readonly windowBytes: number
  /** Largest answer that `call` puts together from items, each beyond the first thousand counting 64 bytes more than it has. @default 64 MiB */
  readonly maxAnswerBytes: number
  /** A stream without calls is closed after so long. @default 60000 */
  readonly idleMs: number
  /** For opening a connection and a stream, within the time of the call. @default 10000 */
  readonly dialTimeoutMs: number
}

export interface RpcInit {
  readonly libp2p: Libp2pHost
  /** Protocol id, like `/quorate/rpc/1`. */
  readonly protocol: string
  readonly limits?: Partial<RpcLimits>
  /** Whether `peer` may call `method`. Must not throw. */
  readonly authorize: (peer: string, method: string) => boolean
}

export interface RpcContext {
  /** The caller, authenticated by the connection. */
  readonly peer: string
  /** Aborts when the caller cancels or is gone. */
  readonly signal: AbortSignal
}

/**
 * Answers one call: with bytes, or with a sequence of items that is sent as fast as the caller consumes it. What it throws
 * reaches the caller as {@link RpcRemoteError} with the same name, code and message.
 */
export type RpcHandler = (
  request: Uint8Array,
  context: RpcContext
) => Uint8Array | AsyncIterable<Uint8Array> | Promise<Uint8Array | AsyncIterable<Uint8Array>>

export interface RpcCallOptions {
  readonly signal?: AbortSignal
  /** `call`: for the whole call. `stream`: for the stream to open, and then for each item. @default 10000 */
  readonly timeoutMs?: number
}

export interface RpcEndpoint {
  /** Begins to accept calls. Calls can be made before. */
  start(): Promise<void>
  /** Answers `method` from now on. @throws {Error} when it has a handler already */
  handle(method: string, handler: RpcHandler): void
  /**
   * Calls and answers the whole answer; of a streamed one, its items joined.
   *
   * @param peer - a peer ID, or a multiaddr that ends with one
   * @throws {RpcUnreachableError} when there is no stream, or it is lost; its code tells whether the request may have arrived
   * @throws {RpcTimeoutError} when it takes longer than `timeoutMs`
   * @throws {RpcRefusedError} when either end would not carry it out
   * @throws {RpcRemoteError} when it failed there
   * The reason of `signal`, when it aborts; the handler there is told.
   */
  call(peer: string, method: string, request: Uint8Array, options?: RpcCallOptions): Promise<Uint8Array>
  /** Calls and yields the items of the answer as they come; a break from the loop cancels the call. Throws as `call` does. */
  stream(peer: string, method: string, request: Uint8Array, options?: RpcCallOptions): AsyncGenerator<Uint8Array, void>
  /** Ends all calls and accepts no more. */
  stop(): Promise<void>
}

const defaultLimits: RpcLimits = {
  maxMessageBytes: 4 * 1024 * 1024,
  maxQueuedBytes: 16 * 1024 * 1024,
  maxCalls: 256,
  windowBytes: 256 * 1024,
  maxAnswerBytes: 64 * 1024 * 1024,
  idleMs: 60_000,
  dialTimeoutMs: 10_000
}

const DEFAULT_TIMEOUT_MS = 10_000
const MAX_STREAMS_PER_PEER = 8
/** So many items of an answer that `call` puts together cost no more than their bytes. */
const FREE_ITEMS = 1000

/**
 * Makes an endpoint.
 *
 * @example
 * const rpc = createRpc({ libp2p, protocol: '/example/rpc/1', authorize: () => true })
 * rpc.handle('echo', async (request) => request)
 * await rpc.start()
 * const answer = await rpc.call('12D3KooW…', 'echo', new Uint8Array([1, 2, 3]), { timeoutMs: 1000 })
 */
export function createRpc(init: RpcInit): RpcEndpoint {
  return new Endpoint(init)
}

class Endpoint implements RpcEndpoint {
  readonly #init: RpcInit
  readonly #limits: RpcLimits
  readonly #handlers = new Map<string, RpcHandler>()
  /** Streams that we opened, or are opening, by peer; one that is closed is replaced at the next call. */
  readonly #clients = new Map<string, Promise<RpcClient>>()
  /** Streams that we opened and that stand. */
  readonly #standing = new Set<RpcClient>()
  readonly #servers = new Set<RpcServer>()
  /** Calls that are being answered, by peer; a peer without any is not in it. */
  readonly #serving = new Map<string, number>()
  readonly #stopped = new AbortController()
  #sweep: NodeJS.Timeout | undefined
  #started = false

  constructor(init: RpcInit) {
    this.#init = init
    this.#limits = { ...defaultLimits, ...init.limits }
  }

  async start(): Promise<void> {
    this.#started = true
    const { libp2p, protocol } = this.#init
    await libp2p.handle(protocol, (stream, connection) => this.#accept(stream, connection), {
      maxInboundStreams: MAX_STREAMS_PER_PEER,
      maxOutboundStreams: MAX_STREAMS_PER_PEER
    })
  }

  async stop(): Promise<void> {
    if (this.#stopped.signal.aborted) return
    this.#stopped.abort(new Error('the endpoint is stopped'))
    clearInterval(this.#sweep)
    if (this.#started) await this.#init.libp2p.unhandle(this.#init.protocol)
    await Promise.all([...this.#standing, ...this.#servers].map((end) => end.close()))
  }

  handle(method: string, handler: RpcHandler): void {
    if (this.#handlers.has(method)) throw new Error(`The method ${method} has a handler already`)
    this.#handlers.set(method, handler)
  }

  async call(peer: string, method: string, request: Uint8Array, options: RpcCallOptions = {}): Promise<Uint8Array> {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
    const deadlineMs = performance.now() + timeoutMs
    const client = await this.#client(peer, method, timeoutMs, options.signal)
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    const items: Uint8Array[] = []
    let bytes = 0
    let id = 0
    const fail = (error: Error) => {
      client.cancel(id)
      reject(error)
    }
    id = client.begin(method, request, {
      onItem: (item) => {
        items.push(item)
        bytes += items.length > FREE_ITEMS ? itemCost(item) : item.length
        const { maxAnswerBytes } = this.#limits
        if (bytes > maxAnswerBytes)
          fail(new RangeError(`Peer ${peer} answers ${method} with more than ${maxAnswerBytes} bytes`))
        else client.grant(id, item)
      },
      onEnd: (error) => {
        if (error !== undefined) reject(error)
        else resolve(items.length === 1 ? items[0]! : Buffer.concat(items))
      }
    })
    const onTimeout = () => fail(new RpcTimeoutError(peer, method, timeoutMs))
    const timer = setTimeout(onTimeout, deadlineMs - performance.now())
    const onAbort = () => fail(asError(options.signal?.reason))
    if (options.signal?.aborted) onAbort()
    options.signal?.addEventListener('abort', onAbort, { once: true })
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', onAbort)
    }
  }

  async *stream(
    peer: string,
    method: string,
    request: Uint8Array,
    options: RpcCallOptions = {}
  ): AsyncGenerator<Uint8Array, void> {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
    const client = await this.#client(peer, method, timeoutMs, options.signal)
    const items = new ItemQueue()
    const id = client.begin(method, request, { onItem: (item) => items.push(item), onEnd: (error) => items.end(error) })
    const onAbort = () => items.end(asError(options.signal?.reason))
    if (options.signal?.aborted) onAbort()
    options.signal?.addEventListener('abort', onAbort, { once: true })
    try {
      for (;;) {
        const item = await items.next(timeoutMs, () => new RpcTimeoutError(peer, method, timeoutMs))
        if (item === undefined) return
        yield item
        // Only what was consumed makes room for more.
        client.grant(id, item)
      }
    } finally {
      options.signal?.removeEventListener('abort', onAbort)
      client.cancel(id)
    }
  }

  /** The stream to a peer: the one that stands, the one being opened, or a new one. */
  async #client(
    target: string,
    method: string,
    timeoutMs: number,
    signal: AbortSignal | undefined
  ): Promise<RpcClient> {
    signal?.throwIfAborted()
    const { peer, address } = parseTarget(target)
    if (this.#stopped.signal.aborted)
      throw new RpcUnreachableError('stopped', peer, `Cannot call ${method}: this end is stopped`)
    // A stream that was found may have closed meanwhile; then one more is opened.
    for (let tries = 0; tries < 2; tries++) {
      const opening = this.#clients.get(peer) ?? this.#open(peer, address)
      // The dial is shared with other callers, so this caller's patience must not end it.
      const client = await raceAbort(opening, signal, timeoutMs, () => new RpcTimeoutError(peer, method, timeoutMs))
      if (!client.closed) return client
      this.#forget(peer, opening)
    }
    const message = `The stream to peer ${peer} was closed as ${method} was to be called`
    throw new RpcUnreachableError('dial-failed', peer, message)
  }

  #open(peer: string, address: Multiaddr): Promise<RpcClient> {
    const opening = this.#dial(peer, address)
    this.#clients.set(peer, opening)
    opening.catch(() => this.#forget(peer, opening))
    return opening
  }

  #forget(peer: string, opening: Promise<RpcClient>): void {
    if (this.#clients.get(peer) === opening) this.#clients.delete(peer)
  }

  async #dial(peer: string, address: Multiaddr): Promise<RpcClient> {
    const { libp2p, protocol } = this.#init
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(this.#limits.dialTimeoutMs)])
    let stream: Stream
    try {
      stream = await libp2p.dialProtocol(address, protocol, { signal, maxOutboundStreams: MAX_STREAMS_PER_PEER })
    } catch (error) {
      const message = `Cannot open a stream to peer ${peer}: ${asError(error).message}`
      throw new RpcUnreachableError('dial-failed', peer, message, { cause: error })
    }
    const client: RpcClient = new RpcClient(stream, peer, this.#limits, () => this.#standing.delete(client))
    if (this.#stopped.signal.aborted) void client.close()
    this.#standing.add(client)
    this.#sweep ??= setInterval(() => this.#closeIdle(), this.#limits.idleMs / 2).unref()
    return client
  }

  #closeIdle(): void {
    const nowMs = performance.now()
    for (const client of this.#standing) {
      if (client.idleMs(nowMs) < this.#limits.idleMs) continue
      // Not to be found any more from here on, so that no call begins on a stream that closes.
      this.#clients.delete(client.peer)
      void client.close()
    }
  }

  #accept(stream: Stream, connection: Connection): void {
    if (this.#stopped.signal.aborted) {
      stream.abort(new Error('the endpoint is stopped'))
      return
    }
    const peer = connection.remotePeer.toString()
    const server: RpcServer = new RpcServer({
      stream,
      peer,
      limits: this.#limits,
      authorize: this.#init.authorize,
      handler: (method) => this.#handlers.get(method),
      begin: () => {
        const count = this.#serving.get(peer) ?? 0
        if (count >= this.#limits.maxCalls) return false
        this.#serving.set(peer, count + 1)
        return true
      },
      end: () => {
        const count = this.#serving.get(peer)! - 1
        if (count === 0) this.#serving.delete(peer)
        else this.#serving.set(peer, count)
      },
      onClose: () => this.#servers.delete(server)
    })
    this.#servers.add(server)
  }
}

function parseTarget(target: string): { peer: string; address: Multiaddr } {
  if (!target.startsWith('/')) return { peer: target, address: peerAddress(target) }
  const address = multiaddr(target)
  const peer = peerOfAddress(address)
  if (peer === undefined) throw new TypeError(`The address ${target} does not end with a peer ID (/p2p/…)`)
  return { peer, address }
}

function raceAbort<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  timeoutMs: number,
  onTimeout: () => Error
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(onTimeout()), timeoutMs)
    const onAbort = () => reject(asError(signal?.reason))
    signal?.addEventListener('abort', onAbort, { once: true })
    void promise.then(resolve, reject).finally(() => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    })
  })
}
