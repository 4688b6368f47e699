/**
 * Kubo's RPC API (https://docs.ipfs.tech/reference/kubo/rpc/): a POST for each command, an answer in JSON or in lines of JSON. Called by
 * `kubo-connector.ts`.
 *
 * Why not `kubo-rpc-client`: it drops the progress of a pin, without which a slow pin cannot be told from a dead one; the trailer in which Kubo
 * reports what went wrong after the first byte; and addresses of Unix sockets.
 *
 * While the daemon cannot be reached, calls fail at once instead of piling up: after a failure to connect none is made for a pause, which
 * doubles from a quarter of a second to five; then one call tries. The log says when the daemon is gone and when it is back, once each.
 */

import { Agent, type IncomingMessage, request } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { multiaddr } from '@multiformats/multiaddr'
import type { Logger } from '../../ports.ts'
import { abortReason, IpfsRequestError, IpfsUnavailableError } from '../errors.ts'

const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 5000
/** More than `concurrent_pins` and all else that runs at once; a pin holds its connection for as long as it takes. */
const MAX_SOCKETS = 256
const MAX_ERROR_BYTES = 64 * 1024
/** One line of an answer; they are some 100 bytes. */
const MAX_LINE_BYTES = 1024 * 1024

export interface KuboRpcInit {
  /** `/ip4/…/tcp/…`, `/dns4/…/tcp/…`, `/unix/…`; with `/https` or `/tls` it is spoken to over TLS. */
  readonly nodeMultiaddr: string
  readonly logger: Logger
}

export interface CallOptions {
  readonly args?: readonly string[] | undefined
  readonly params?: Readonly<Record<string, string>> | undefined
  readonly signal?: AbortSignal | undefined
  /** Fails the call when nothing comes for so long; 0 or absent: never. */
  readonly idleTimeoutMs?: number | undefined
  /** A file to upload. */
  readonly upload?: AsyncIterable<Uint8Array> | undefined
}

type Endpoint = { readonly secure: boolean } & (
  | { readonly host: string; readonly port: number }
  | { readonly socketPath: string }
)

export class KuboRpc {
  readonly #address: string
  readonly #endpoint: Endpoint
  readonly #logger: Logger
  readonly #agent: Agent
  /** Undefined while the daemon answers. */
  #down: { pauseMs: number; untilMs: number; readonly reason: string } | undefined

  constructor(init: KuboRpcInit) {
    this.#address = init.nodeMultiaddr
    this.#endpoint = parseEndpoint(init.nodeMultiaddr)
    this.#logger = init.logger
    const options = { keepAlive: true, maxSockets: MAX_SOCKETS }
    this.#agent = this.#endpoint.secure ? new HttpsAgent(options) : new Agent(options)
  }

  close(): void {
    this.#agent.destroy()
  }

  /** One JSON object. */
  async json(command: string, options: CallOptions = {}): Promise<unknown> {
    const text = Buffer.from(await this.bytes(command, options)).toString()
    try {
      return text.trim() === '' ? undefined : JSON.parse(text)
    } catch (cause) {
      throw new IpfsRequestError(`Kubo answered ${command} with something that is not JSON`, 'failed', { cause })
    }
  }

  /** The whole answer. */
  async bytes(command: string, options: CallOptions = {}): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    for await (const part of this.stream(command, options)) parts.push(part)
    return Buffer.concat(parts)
  }

  /** The objects of an answer, as they come. */
  async *lines(command: string, options: CallOptions = {}): AsyncGenerator<unknown> {
    let rest = ''
    const decoder = new TextDecoder()
    for await (const part of this.stream(command, options)) {
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
  async *stream(command: string, options: CallOptions = {}): AsyncGenerator<Uint8Array> {
    options.signal?.throwIfAborted()
    this.#failFast()
    const response = await this.#send(command, options)
    try {
      for await (const part of response) yield part as Uint8Array
    } catch (error) {
      options.signal?.throwIfAborted()
      throw new IpfsUnavailableError(
        `Kubo at ${this.#address} broke off its answer to ${command}: ${(error as Error).message}`,
        { cause: error }
      )
    } finally {
      response.destroy()
    }
    const late = response.trailers['x-stream-error']
    if (late !== undefined) throw new IpfsRequestError(late)
  }

  #failFast(): void {
    const down = this.#down
    if (down === undefined) return
    const nowMs = performance.now()
    if (nowMs < down.untilMs) throw new IpfsUnavailableError(`cannot reach Kubo at ${this.#address}: ${down.reason}`)
    // This call tries; those that come while it does fail at once.
    down.untilMs = nowMs + down.pauseMs
  }

  async #send(command: string, options: CallOptions): Promise<IncomingMessage> {
    const query = new URLSearchParams(options.params)
    for (const arg of options.args ?? []) query.append('arg', arg)
    const boundary = options.upload === undefined ? undefined : `quorate-${crypto.randomUUID()}`
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = (this.#endpoint.secure ? httpsRequest : request)({
        ...this.#endpoint,
        method: 'POST',
        path: `/api/v0/${command}?${query}`,
        agent: this.#agent,
        headers: boundary === undefined ? {} : { 'content-type': `multipart/form-data; boundary=${boundary}` },
        ...(options.signal === undefined ? {} : { signal: options.signal })
      })
      const { idleTimeoutMs = 0 } = options
      outgoing.setTimeout(idleTimeoutMs, () => {
        outgoing.destroy(new Error(`nothing came for ${idleTimeoutMs} ms`))
      })
      outgoing.on('error', (error) => {
        if (options.signal?.aborted === true) reject(abortReason(options.signal))
        else reject(this.#unreachable(command, error))
      })
      outgoing.on('response', resolve)
      if (boundary === undefined || options.upload === undefined) outgoing.end()
      else {
        upload(outgoing, boundary, options.upload).catch((error) => {
          reject(error)
          outgoing.destroy()
        })
      }
    })
    this.#reached()
    if (response.statusCode === 200) return response
    throw new IpfsRequestError(await errorMessage(response, command))
  }

  #reached(): void {
    if (this.#down === undefined) return
    this.#down = undefined
    this.#logger.info({ address: this.#address }, 'Kubo answers again')
  }

  #unreachable(command: string, error: Error): IpfsUnavailableError {
    const code = (error as NodeJS.ErrnoException).code
    const reason = error.message === '' ? (code ?? 'unknown reason') : error.message
    // Only what concerns the daemon as a whole stops other calls; a single call may be reset or run into its timeout.
    if (code !== undefined && code !== 'ECONNRESET' && code !== 'EPIPE') {
      if (this.#down === undefined) this.#logger.warn({ address: this.#address, error: reason }, 'cannot reach Kubo')
      const pauseMs = this.#down === undefined ? FIRST_PAUSE_MS : Math.min(this.#down.pauseMs * 2, LONGEST_PAUSE_MS)
      this.#down = { pauseMs, untilMs: performance.now() + pauseMs, reason }
    }
    return new IpfsUnavailableError(`cannot reach Kubo at ${this.#address} for ${command}: ${reason}`, { cause: error })
  }
}

async function upload(
  outgoing: ReturnType<typeof request>,
  boundary: string,
  source: AsyncIterable<Uint8Array>
): Promise<void> {
  outgoing.write(
    `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="file"\r\ncontent-type: application/octet-stream\r\n\r\n`
  )
  for await (const part of source) {
    if (outgoing.destroyed) return
    if (!outgoing.write(part)) await drained(outgoing)
  }
  outgoing.end(`\r\n--${boundary}--\r\n`)
}

/** Also when the request has failed: that is reported elsewhere. */
async function drained(outgoing: ReturnType<typeof request>): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      outgoing.off('drain', done)
      outgoing.off('close', done)
      resolve()
    }
    outgoing.on('drain', done)
    outgoing.on('close', done)
    if (outgoing.destroyed) done()
  })
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

function parseEndpoint(address: string): Endpoint {
  const components = multiaddr(address).getComponents()
  const secure = components.some(({ name }) => name === 'https' || name === 'tls')
  const unix = components.find(({ name }) => name === 'unix')
  if (unix?.value !== undefined)
    return { secure, socketPath: unix.value.startsWith('/') ? unix.value : `/${unix.value}` }
  const host = components.find(({ name }) => ['ip4', 'ip6', 'dns', 'dns4', 'dns6'].includes(name))?.value
  const port = components.find(({ name }) => name === 'tcp')?.value
  if (host === undefined || port === undefined) {
    throw new IpfsRequestError(`node_multiaddress ${address} is neither a TCP address nor a Unix socket`, 'bad-request')
  }
  return { secure, host, port: Number(port) }
}
