/**
 * `kubo-rpc-client`, as `kubo-connector.ts` uses it: loaded with the first call (that takes half a second), behind the same circuit
 * breaker as the calls of `streamed-call.ts`, and with its errors told apart: the daemon said no, or could not be asked.
 */

import type { KuboRPCClient } from 'kubo-rpc-client'
import { abortReason, IpfsRequestError, IpfsUnavailableError } from '../errors.ts'
import type { Breaker } from './breaker.ts'
import type { Endpoint } from './endpoint.ts'
import { forwardToSocket, type SocketForwarder } from './socket-forwarder.ts'

export type { KuboRPCClient }

export interface ClientCall {
  readonly signal?: AbortSignal | undefined
  /** Fails the call after this time; 0: never, but `fetch` waits five minutes at most for an answer to begin. */
  readonly timeoutMs: number
}

export class KuboClient {
  readonly #endpoint: Endpoint
  readonly #breaker: Breaker
  #client: Promise<KuboRPCClient> | undefined
  #forwarder: SocketForwarder | undefined
  readonly #closed = new AbortController()

  constructor(endpoint: Endpoint, breaker: Breaker) {
    this.#endpoint = endpoint
    this.#breaker = breaker
  }

  /** Ends calls under way. */
  close(): void {
    this.#closed.abort()
    this.#forwarder?.close()
  }

  /**
   * Makes one call; `command` is what it is named in messages. `make` must pass on the signal that it is given.
   * @throws {IpfsRequestError} with Kubo's message
   * @throws {IpfsUnavailableError}
   */
  async call<T>(
    command: string,
    { signal, timeoutMs }: ClientCall,
    make: (client: KuboRPCClient, options: { signal: AbortSignal }) => Promise<T>
  ): Promise<T> {
    signal?.throwIfAborted()
    this.#breaker.check()
    this.#client ??= this.#connect()
    const client = await this.#client
    const timeout = timeoutMs > 0 ? AbortSignal.timeout(timeoutMs) : undefined
    const signals = [this.#closed.signal, signal, timeout].filter((one) => one !== undefined)
    let result: T
    try {
      result = await make(client, { signal: AbortSignal.any(signals) })
    } catch (error) {
      if (signal?.aborted === true) throw abortReason(signal)
      if (this.#closed.signal.aborted)
        throw new IpfsUnavailableError(`the connector stops; ${command} was not finished`)
      throw this.#translated(command, error, timeout?.aborted === true ? timeoutMs : undefined)
    }
    this.#breaker.reached()
    return result
  }

  #translated(
    command: string,
    error: unknown,
    timedOutMs: number | undefined
  ): IpfsRequestError | IpfsUnavailableError {
    if (timedOutMs !== undefined) {
      return this.#breaker.unreachable(command, new Error(`nothing came for ${timedOutMs} ms`))
    }
    const { name, message, response } = error as Error & { response?: Response }
    // What `fetch` throws when there is no answer, or when one breaks off.
    if (error instanceof TypeError && response === undefined) return this.#breaker.unreachable(command, error)
    this.#breaker.reached()
    if (name === 'SyntaxError') {
      return new IpfsRequestError(`Kubo answered ${command} with something that is not JSON`, 'failed', {
        cause: error
      })
    }
    const text = message === '' ? `Kubo refused ${command} with status ${response?.status ?? 'unknown'}` : message
    return new IpfsRequestError(text, 'failed', { cause: error })
  }

  async #connect(): Promise<KuboRPCClient> {
    const { create } = await import('kubo-rpc-client')
    const endpoint = this.#endpoint
    if ('socketPath' in endpoint) {
      this.#forwarder = await forwardToSocket(endpoint.socketPath)
      return create({ url: this.#forwarder.url })
    }
    const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host
    return create({ url: `${endpoint.secure ? 'https' : 'http'}://${host}:${endpoint.port}` })
  }
}
