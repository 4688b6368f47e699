/**
 * Runs the command line in this process against a server on loopback that answers what the test says, and keeps what it printed.
 */

import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import {
  defaultPinOptions,
  encodeJson,
  type GlobalPinInfo,
  globalPinInfoCodec,
  type Pin,
  pinCodec,
  type TrackerStatus
} from '@quorate/client'
import { BrokenPipeError, type ExitCode, type Io, main } from '@quorate/ctl'

export const cid = 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG'
export const otherCid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
export const peerA = '12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV'
export const peerB = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'
export const ipfsPeer = 'QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ'

export type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

export class FakePeer implements AsyncDisposable {
  readonly #server = createServer()
  /** Method and target of each request, in order. */
  readonly requests: string[] = []
  readonly authorizations: (string | undefined)[] = []

  /** @param answers - by `METHOD /path`, without query; one that is a list answers one after the other, the last again and again */
  static async start(answers: Readonly<Record<string, Answer | Answer[]>>): Promise<FakePeer> {
    const peer = new FakePeer()
    peer.#server.on('request', (request, response) => {
      peer.requests.push(`${request.method} ${request.url}`)
      peer.authorizations.push(request.headers.authorization)
      const found = answers[`${request.method} ${request.url?.split('?')[0]}`]
      const answer = Array.isArray(found) ? (found.length > 1 ? found.shift() : found[0]) : found
      const answered = (answer ?? refuse(404, 'not found'))(request, response)
      Promise.resolve(answered).catch(() => response.destroy())
    })
    await new Promise<void>((resolve) => peer.#server.listen(0, '127.0.0.1', resolve))
    return peer
  }

  get host(): string {
    return `/ip4/127.0.0.1/tcp/${(this.#server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** An address that nothing listens on. */
export async function deadHost(): Promise<string> {
  await using peer = await FakePeer.start({})
  return peer.host
}

export const json =
  (value: string): Answer =>
  (_, response) =>
    void response.writeHead(200, { 'Content-Type': 'application/json' }).end(`${value}\n`)

export const refuse =
  (status: number, message: string): Answer =>
  (_, response) =>
    void response.writeHead(status).end(JSON.stringify({ code: status, message }))

export const nothing: Answer = (_, response) => void response.writeHead(204).end()

export const stream =
  (items: readonly string[], streamError = ''): Answer =>
  (_, response) => {
    response.writeHead(200, { Trailer: 'X-Stream-Error' })
    for (const item of items) response.write(`${item}\n`)
    response.addTrailers({ 'X-Stream-Error': streamError })
    response.end()
  }

export const pin: Pin = {
  ...defaultPinOptions,
  replicationFactorMin: 2,
  replicationFactorMax: 3,
  name: 'docs',
  cid,
  type: 'pin',
  allocations: [peerB, peerA],
  maxDepth: -1,
  reference: undefined,
  timestampMs: Date.UTC(2026, 4, 6, 7, 8, 9, 500)
}

export const pinText = (change: Partial<Pin> = {}): string => encodeJson(pinCodec.encode({ ...pin, ...change }))

export function statusOf(a: TrackerStatus, b: TrackerStatus, error = ''): GlobalPinInfo {
  const copy = {
    ipfsPeerId: ipfsPeer,
    ipfsPeerAddresses: [],
    timestampMs: Date.UTC(2026, 4, 6, 7, 8, 9),
    attemptCount: 0,
    priorityPin: false
  }
  return {
    cid,
    name: 'docs',
    allocations: [peerA, peerB],
    origins: [],
    createdMs: Date.UTC(2026, 4, 6, 7, 8, 9),
    metadata: {},
    peerMap: {
      [peerB]: { ...copy, peername: 'beta', status: b, error, attemptCount: error === '' ? 0 : 2 },
      [peerA]: { ...copy, peername: 'alpha', status: a, error: '', priorityPin: true }
    }
  }
}

export const statusText = (...args: Parameters<typeof statusOf>): string =>
  encodeJson(globalPinInfoCodec.encode(statusOf(...args)))

export interface Run {
  readonly code: ExitCode
  readonly out: string
  readonly err: string
}

export interface RunOptions {
  readonly env?: Record<string, string>
  readonly signal?: AbortSignal
  readonly tty?: boolean
  /** The reader of standard output leaves after so many writes. */
  readonly breakPipeAfter?: number
}

/** @param words - of the command line, without the address, which `peer` gives */
export async function run(
  peer: FakePeer | undefined,
  words: readonly string[],
  options: RunOptions = {}
): Promise<Run> {
  let out = ''
  let err = ''
  let writes = 0
  const io: Io = {
    writeOut: async (text) => {
      if (writes++ >= (options.breakPipeAfter ?? Number.POSITIVE_INFINITY)) throw new BrokenPipeError('gone')
      out += text
    },
    writeErr: async (text) => {
      err += text
    },
    // What a progress bar looks at before it draws.
    stderr: Object.assign(
      new Writable({
        write: (chunk, _, done) => {
          err += String(chunk)
          done()
        }
      }),
      { isTTY: options.tty ?? false, columns: 100 }
    ),
    env: options.env ?? {},
    stdoutIsTty: options.tty ?? false,
    stderrIsTty: options.tty ?? false,
    columns: 100,
    signal: options.signal ?? new AbortController().signal
  }
  const host = peer === undefined ? [] : ['--host', peer.host]
  const code = await main([...host, ...words], io)
  return { code, out, err }
}

export function assertRun(actual: Run, expected: Partial<Run>): void {
  const full = { code: 0, out: '', err: '', ...expected }
  assert.deepEqual(actual, full)
}
