/** A running `HttpApi` on a free port, before a peer that does what the test says and remembers what it was asked. */

import { once } from 'node:events'
import { Agent, request as httpRequest, type IncomingHttpHeaders, type RequestOptions } from 'node:http'
import { connect } from 'node:net'
import { createClient, type QuorateClient } from '@quorate/client'
import { defaultPinOptions, type GlobalPinInfo, type PeerInfo, type Pin, type RaftPeer } from '@quorate/client/api'
import type { HttpApiSection } from '../../src/config/sections/api.ts'
import { HttpApi } from '../../src/http/server.ts'
import type { ClusterPeer, Logger } from '../../src/ports.ts'

export const cidV0 = 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG'
export const cidV1 = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
export const peerA = '12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV'
export const peerB = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'

export const examplePin: Pin = {
  ...defaultPinOptions,
  cid: cidV1,
  name: 'an <example>',
  type: 'pin',
  allocations: [peerA],
  maxDepth: -1,
  reference: undefined,
  timestampMs: Date.UTC(2026, 4, 6, 7, 8, 9)
}

export const exampleStatus: GlobalPinInfo = {
  cid: cidV0,
  name: '',
  allocations: [],
  origins: [],
  createdMs: Date.UTC(2026, 4, 6, 7, 8, 9),
  metadata: {},
  peerMap: {
    [peerA]: {
      peername: 'alpha',
      ipfsPeerId: undefined,
      ipfsPeerAddresses: [],
      status: 'pinned',
      timestampMs: Date.UTC(2026, 4, 6, 7, 8, 10),
      error: '',
      attemptCount: 0,
      priorityPin: false
    }
  }
}

export const examplePeer: PeerInfo = {
  id: peerA,
  addresses: [],
  clusterPeers: [peerA, peerB],
  clusterPeersAddresses: [],
  version: '0.1.0',
  commit: '',
  rpcProtocolVersion: '/quorate/rpc/1',
  error: '',
  ipfs: { id: undefined, addresses: [], error: '' },
  peername: 'alpha'
}

export const exampleRaftPeer: RaftPeer = {
  id: peerA,
  peername: 'alpha',
  error: '',
  role: 'leader',
  voice: 'voter',
  term: 3,
  leader: peerA,
  baseIndex: 0,
  lastIndex: 12,
  durableIndex: 12,
  commitIndex: 12,
  appliedIndex: 11,
  voters: [peerA],
  learners: [peerB],
  outgoing: [],
  followers: [{ id: peerB, state: 'snapshot', matchIndex: 0, nextIndex: 1, inflightMessages: 0, lastContactMs: 4 }],
  notes: []
}

export async function* listOf<T>(...items: T[]): AsyncGenerator<T> {
  yield* items
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** The methods of a peer with which a test replaces the usual ones. */
export type PeerOverrides = { [K in keyof ClusterPeer]?: ClusterPeer[K] }

/** A peer that answers with the examples above; `calls` holds the name and the arguments of each call, without its signal. */
export function fakePeer(overrides: PeerOverrides, calls: [string, ...unknown[]][] = []): ClusterPeer {
  const usual: ClusterPeer = {
    id: peerA,
    version: '1.2.3',
    info: async () => examplePeer,
    peers: () => listOf(examplePeer, { ...examplePeer, id: peerB }),
    peerAdd: async () => examplePeer,
    peerRemove: async () => undefined,
    peersRaft: () => listOf(exampleRaftPeer),
    peersTransfer: async (to) => to ?? peerA,
    pin: async () => examplePin,
    pinPath: async () => examplePin,
    unpin: async () => examplePin,
    unpinPath: async () => examplePin,
    allocation: async () => ({ pin: examplePin, stale: false }),
    allocations: () => listOf(examplePin, { ...examplePin, type: 'meta-pin' as const }),
    status: async () => exampleStatus,
    statusAll: () => listOf(exampleStatus),
    recover: async () => exampleStatus,
    recoverAll: () => listOf(exampleStatus),
    add: () => listOf(),
    repoGc: () => listOf({ peer: peerA, peername: 'alpha', keys: [cidV0], error: '' }),
    cat: () => listOf(Buffer.from('con'), Buffer.from('tent')),
    ...overrides
  }
  return new Proxy(usual, {
    get(target, name, receiver) {
      const value = Reflect.get(target, name, receiver)
      if (typeof value !== 'function') return value
      return (...values: unknown[]) => {
        calls.push([String(name), ...values.filter((argument) => !isCallOptions(argument))])
        return value.apply(target, values)
      }
    }
  })
}

const isCallOptions = (argument: unknown): boolean =>
  typeof argument === 'object' &&
  argument !== null &&
  Object.keys(argument).length === 1 &&
  (argument as { signal?: unknown }).signal instanceof AbortSignal

export const section: HttpApiSection = {
  httpListenMultiaddress: ['/ip4/127.0.0.1/tcp/0'],
  sslCertFile: undefined,
  sslKeyFile: undefined,
  readTimeoutMs: 0,
  readHeaderTimeoutMs: 5_000,
  writeTimeoutMs: 0,
  idleTimeoutMs: 120_000,
  maxHeaderBytes: 4096,
  libp2pListenMultiaddress: [],
  id: '',
  privateKey: '',
  basicAuthCredentials: undefined,
  httpLogFile: undefined,
  headers: {},
  corsAllowedOrigins: ['*'],
  corsAllowedMethods: ['GET'],
  corsAllowedHeaders: [],
  corsExposedHeaders: ['Content-Type', 'X-Stream-Output', 'X-Chunked-Output', 'X-Content-Length'],
  corsAllowCredentials: true,
  corsMaxAgeMs: 0
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** What was sent after the body. */
  readonly trailers: NodeJS.Dict<string>
}

export class ApiServer implements AsyncDisposable {
  readonly api: HttpApi
  readonly calls: [string, ...unknown[]][]
  /** Messages of the log at the level of errors. */
  readonly errors: string[]
  readonly warnings: string[]
  readonly port: number
  private readonly agent = new Agent()

  private constructor(api: HttpApi, calls: [string, ...unknown[]][], errors: string[], warnings: string[]) {
    this.api = api
    this.calls = calls
    this.errors = errors
    this.warnings = warnings
    this.port = Number(api.addresses()[0]!.split('/').at(-1))
  }

  static async start(
    overrides: PeerOverrides = {},
    config: Partial<HttpApiSection> = {},
    notReady: () => string | undefined = () => undefined,
    maxConnections?: number
  ): Promise<ApiServer> {
    const calls: [string, ...unknown[]][] = []
    const errors: string[] = []
    const nothing = (): void => undefined
    const error = (fields: object | string): void => void errors.push(JSON.stringify(fields))
    const warnings: string[] = []
    const warn = (_fields: object | string, message?: string): void => void warnings.push(message ?? '')
    const logger: Logger = { debug: nothing, info: nothing, warn, error }
    const parts = { peer: fakePeer(overrides, calls), logger, notReady }
    const api = new HttpApi(parts, { ...section, ...config }, maxConnections)
    await api.start()
    return new ApiServer(api, calls, errors, warnings)
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${this.port}`
  }

  client(options: object = {}): QuorateClient {
    return createClient({ baseUrl: this.baseUrl, ...options })
  }

  /** One exchange, read to its end. */
  async ask(method: string, path: string, { body, ...options }: RequestOptions & { body?: string | Buffer } = {}) {
    const request = httpRequest({ host: '127.0.0.1', port: this.port, agent: this.agent, method, path, ...options })
    request.end(body)
    const [response] = await once(request, 'response')
    let text = ''
    for await (const chunk of response) text += chunk
    const answer: Answer = {
      status: response.statusCode,
      headers: response.headers,
      body: text,
      trailers: response.trailers
    }
    return answer
  }

  /** Bytes in, bytes out, until the server closes the connection. */
  async askRaw(text: string): Promise<string> {
    const socket = connect(this.port, '127.0.0.1')
    socket.write(text)
    let answer = ''
    for await (const chunk of socket.setEncoding('latin1')) answer += chunk
    return answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.agent.destroy()
    await this.api.stop()
  }
}
