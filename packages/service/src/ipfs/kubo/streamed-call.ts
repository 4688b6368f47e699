/**
 * The calls to Kubo's RPC API (https://docs.ipfs.tech/reference/kubo/rpc/) whose answers come in parts, or take as long as they take: `pin/add` with
 * progress, `pin/update`, `pin/ls` of all pins, `cat`, `repo/gc`. Called by `kubo-connector.ts`; all other calls are made by
 * `kubo-rpc-client` (`client.ts`), which cannot make these, in version 7.1.0:
 *
 * - Kubo says what went wrong after the first byte in the trailer `X-Stream-Error`. The library is built on `fetch`, which has no trailers: its `cat` of a file with a
 *   missing block ends like that of a shorter file (3,000,000 bytes became 2,621,440, without an error).
 * - its `pin.add` drops the lines with the progress, without which a slow pin cannot be told from a dead one.
 * - `fetch` gives up when no header comes for five minutes; marking what a collection may remove, or updating a pin, takes longer.
 */

import { Agent, type IncomingMessage, request } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { abortReason, IpfsRequestError, IpfsUnavailableError } from '../errors.ts'
import type { Breaker } from './breaker.ts'
import type { Endpoint } from './endpoint.ts'

/** More than `concurrent_pins` and all else that runs at once; a pin holds its connection for as long as it takes. */
const MAX_SOCKETS = 256
const MAX_ERROR_BYTES = 64 * 1024
/** One line of an answer; they are some 100 bytes. */
const MAX_LINE_BYTES = 1024 * 1024

export interface StreamedCall {
  readonly args?: readonly string[] | undefined
  readonly params?: Readonly<Record<string, string>> | undefined
  readonly signal?: AbortSignal | undefined
  /** Fails the call when nothing comes for so long; 0 or absent: never. */
  readonly idleTimeoutMs?: number | undefined
}

export class StreamedCalls {
  readonly #endpoint: Endpoint
  readonly #breaker: Breaker
  readonly #agent: Agent

  constructor(endpoint: Endpoint, breaker: Breaker) {
    this.#endpoint = endpoint
    this.#breaker = breaker
    const options = { keepAlive: true, maxSockets: MAX_SOCKETS }
    this.#agent = endpoint.secure ? new HttpsAgent(options) : new Agent(options)
  }

  close(): void {
    this.#agent.destroy()
  }

  /** The objects of an answer, as they come. */
  async *lines(command: string, call: StreamedCall = {}): AsyncGenerator<unknown> {
    let rest = ''
    const decoder = new TextDecoder()
    for await (const part of this.stream(command, call)) {
      const lines = (rest + decoder.decode(part, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > MAX_LINE_BYTES) throw new IpfsRequestError(`Kubo answered ${command} with a line without end`)
      for (const line of lines) if (line.trim() !== '') yield parseLine(command, line)
    }
    if (rest.trim() !== '') yield parseLine(command, rest)
  }

  /**
   * The bytes of an answer, as they come. Leaving the loop early ends the call at the daemon too.
   * @throws {IpfsRequestError} with Kubo's message
   * @throws {IpfsUnavailableError}
   */
  async *stream(command: string, call: StreamedCall = {}): AsyncGenerator<Uint8Array> {
    call.signal?.throwIfAborted()
    this.#breaker.check()
    const response = await this.#send(command, call)
    try {
      for await (const part of response) yield part as Uint8Array
    } catch (error) {
      call.signal?.throwIfAborted()
      throw new IpfsUnavailableError(`Kubo broke off its answer to ${command}: ${(error as Error).message}`, {
        cause: error
      })
    } finally {
      response.destroy()
    }
    const late = response.trailers['x-stream-error']
    if (late !== undefined) throw new IpfsRequestError(late)
  }

  async #send(command: string, call: StreamedCall): Promise<IncomingMessage> {
    const { args = [], params, signal, idleTimeoutMs = 0 } = call
    const query = new URLSearchParams(params)
    for (const arg of args) query.append('arg', arg)
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = (this.#endpoint.secure ? httpsRequest : request)({
        ...this.#endpoint,
        method: 'POST',
        path: `/api/v0/${command}?${query}`,
        agent: this.#agent,
        ...(signal === undefined ? {} : { signal })
      })
      outgoing.setTimeout(idleTimeoutMs, () => {
        outgoing.destroy(new Error(`nothing came for ${idleTimeoutMs} ms`))
      })
      outgoing.on('error', (error) => {
        if (signal?.aborted === true) reject(abortReason(signal))
        else reject(this.#breaker.unreachable(command, error))
      })
      outgoing.on('response', resolve)
      outgoing.end()
    })
    this.#breaker.reached()
    if (response.statusCode === 200) return response
    throw new IpfsRequestError(await errorMessage(response, command))
  }
}

function parseLine(command: string, line: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (cause) {
    throw new IpfsRequestError(`Kubo answered ${command} with a line that is not JSON`, 'failed', { cause })
  }
  // An error after the first line comes as a line of its own in older versions.
  const { Type, Message } = (value ?? {}) as { Type?: unknown; Message?: unknown }
  if (Type === 'error' && typeof Message === 'string') throw new IpfsRequestError(Message)
  return value
}

async function errorMessage(response: IncomingMessage, command: string): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of response) {
    parts.push(part as Uint8Array)
    bytes += (part as Uint8Array).length
    if (bytes > MAX_ERROR_BYTES) break
  }
  const text = Buffer.concat(parts).toString().trim()
  try {
    const { Message } = JSON.parse(text) as { Message?: unknown }
    if (typeof Message === 'string') return Message
  } catch {
    // Not Kubo's own format: a proxy's, or a plain text of its HTTP server.
  }
  return `Kubo refused ${command} with status ${response.statusCode}${text === '' ? '' : `: ${text.slice(0, 500)}`}`
}
