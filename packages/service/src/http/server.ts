/**
 * The REST API's listener: fastify on one or more addresses, with what stands before every route: access log, credentials,
 * CORS, the redirect of a trailing slash, and the refusal of requests that this peer cannot answer yet. Made by `daemon/compose.ts`.
 */

import { createWriteStream, type WriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { ApiError, RouteNotFoundError, UnauthorizedError } from '@quorate/client/api'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { listenOptions } from '../config/listen-options.ts'
import type { HttpApiSection } from '../config/sections/api.ts'
import type { ClusterPeer, Logger, Startable } from '../ports.ts'
import { authorize } from './auth.ts'
import { corsHeaders, preflightHeaders } from './cors.ts'
import { codeOf, errorResponse } from './error-response.ts'
import { RouteServer } from './route-server.ts'
import { addRoute } from './routes/add.ts'
import { ipfsRoutes } from './routes/ipfs.ts'
import { peerRoutes } from './routes/peers.ts'
import { pinRoutes } from './routes/pins.ts'

/** Requests in flight are given this long when the server stops. */
const DRAIN_MS = 1_000
/** Connections of one listener. Each takes a file descriptor, and the log and the links to the other peers must not come to want one. */
const MAX_CONNECTIONS = 2048
/** That connections are refused is told once in so long. */
const REFUSAL_REPORT_MS = 30_000
/** The largest JSON body that any route takes. */
const MAX_JSON_BYTES = 64 * 1024

/** Paths that are answered from the first moment on. */
const ALWAYS_ANSWERED = new Set(['/id', '/version', '/health', '/peers', '/peers/raft'])

export interface HttpApiComponents {
  readonly peer: ClusterPeer
  readonly logger: Logger
  /** Why requests about pins cannot be answered yet; undefined when they can. */
  readonly notReady: () => string | undefined
}

export class HttpApi implements Startable {
  private readonly parts: HttpApiComponents
  private readonly config: HttpApiSection
  private readonly stopping = new AbortController()
  private readonly apps: FastifyInstance[] = []
  private accessLog: WriteStream | undefined
  private readonly maxConnections: number
  private refusalToldAtMs = Number.NEGATIVE_INFINITY

  /** @param maxConnections - of each listener; more are closed at once */
  constructor(components: HttpApiComponents, config: HttpApiSection, maxConnections = MAX_CONNECTIONS) {
    this.parts = components
    this.config = config
    this.maxConnections = maxConnections
  }

  /** Multiaddrs it listens on, with the real ports. */
  addresses(): readonly string[] {
    return this.apps.flatMap((app) =>
      app
        .addresses()
        .flatMap((address) =>
          typeof address === 'string'
            ? []
            : [`/${address.family === 'IPv6' ? 'ip6' : 'ip4'}/${address.address}/tcp/${address.port}`]
        )
    )
  }

  /** @throws {Error} when an address is taken, or a certificate cannot be read */
  async start(): Promise<void> {
    if (this.config.httpLogFile !== undefined)
      this.accessLog = createWriteStream(this.config.httpLogFile, { flags: 'a', mode: 0o600 })
    this.accessLog?.on('error', (error) =>
      this.parts.logger.error({ file: this.config.httpLogFile, error: error.message }, 'cannot write the access log')
    )
    for (const address of this.config.httpListenMultiaddress) {
      const { host, port } = listenOptions(address)
      try {
        const app = await this.createApp()
        this.apps.push(app)
        await app.listen({ host, port })
      } catch (error) {
        await this.stop()
        throw new Error(
          `Cannot serve the REST API on ${address}: ${error instanceof Error ? error.message : String(error)}`,
          { cause: error }
        )
      }
    }
  }

  /** Takes no new requests, gives those under way a moment, then ends them. */
  async stop(): Promise<void> {
    this.stopping.abort(new ApiError('shutting-down', 'the peer is shutting down'))
    const force = setTimeout(() => {
      for (const app of this.apps) app.server.closeAllConnections()
    }, DRAIN_MS)
    await Promise.all(this.apps.map((app) => app.close()))
    clearTimeout(force)
    const log = this.accessLog
    // The process may end right after this. A log that cannot be written was reported and is closed.
    if (log !== undefined && !log.destroyed) await new Promise<void>((resolve) => log.end(() => resolve()))
  }

  private async createApp(): Promise<FastifyInstance> {
    const { config, parts } = this
    const { sslCertFile, sslKeyFile } = config
    const http = { maxHeaderSize: config.maxHeaderBytes + 4096 }
    const app = fastify({
      ...(sslCertFile !== undefined && sslKeyFile !== undefined
        ? {
            https: {
              ...http,
              cert: await readFile(sslCertFile),
              key: await readFile(sslKeyFile),
              minVersion: 'TLSv1.2' as const
            }
          }
        : { http }),
      keepAliveTimeout: config.idleTimeoutMs,
      requestTimeout: config.readTimeoutMs,
      bodyLimit: MAX_JSON_BYTES,
      exposeHeadRoutes: false,
      forceCloseConnections: 'idle',
      // Fastify's own answer while it closes has no error that a client knows; the hook below gives one.
      return503OnClosing: false,
      routerOptions: { maxParamLength: 1024 },
      // What is refused before it reaches a route or a hook.
      frameworkErrors: (error: Error, _request: FastifyRequest, reply: FastifyReply) => {
        const answer = errorResponse(asApiError(error))
        void reply.code(answer.status).headers(answer.headers).send(Buffer.from(answer.body))
      },
      clientErrorHandler: refuseUnreadable
    } as Parameters<typeof fastify>[0]) as unknown as FastifyInstance
    app.server.headersTimeout = config.readHeaderTimeoutMs
    app.server.timeout = config.writeTimeoutMs
    app.server.maxConnections = this.maxConnections
    app.server.on('drop', () => this.reportRefusal())

    // Bodies are read by the routes that want them; every other body is passed over, as by IPFS Cluster.
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(
      'multipart/form-data',
      (_request: unknown, _payload: unknown, done: (error: null) => void) => done(null)
    )
    app.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => {
      if (request.method !== 'POST' || request.url.split('?')[0] !== '/peers') return done(null)
      try {
        done(null, JSON.parse(body as string))
      } catch {
        done(new ApiError('bad-request', 'error decoding request body'))
      }
    })

    app.addHook('onRequest', async (request, reply) => {
      const url = request.raw.url ?? '/'
      const path = url.split('?', 1)[0]!
      for (const [name, values] of Object.entries(config.headers)) reply.header(name, [...values])
      const denial = authorize(config.basicAuthCredentials, request.raw, path)
      if (denial !== undefined) {
        reply.header('WWW-Authenticate', denial.challenge)
        throw new UnauthorizedError(denial.message)
      }
      const cors = {
        origin: request.headers.origin,
        method: request.method,
        requestMethod: header(request.raw, 'access-control-request-method'),
        requestHeaders: header(request.raw, 'access-control-request-headers')
      }
      if (request.method === 'OPTIONS' && cors.requestMethod !== undefined) {
        return reply.code(204).headers(preflightHeaders(config, cors)).send()
      }
      reply.headers(corsHeaders(config, cors))
      if (path.length > 1 && path.endsWith('/')) {
        const location = path.replace(/\/+$/, '') + url.slice(path.length)
        return (
          reply
            .code(307)
            // Two slashes, or one of them backward, would lead a browser to another host.
            .header('Location', /^\/[/\\]/.test(location) || location === '' ? '/' : location)
            .send()
        )
      }
      this.stopping.signal.throwIfAborted()
      const reason = ALWAYS_ANSWERED.has(path) ? undefined : parts.notReady()
      if (reason !== undefined) throw new ApiError('not-ready', reason)
      return undefined
    })
    app.addHook('onResponse', async (request, reply) => this.logAccess(request.raw, reply))
    app.setNotFoundHandler(() => {
      throw new RouteNotFoundError()
    })
    app.setErrorHandler((error, request, reply) => {
      const answer = errorResponse(asApiError(error))
      this.report(request, asApiError(error))
      return reply.code(answer.status).headers(answer.headers).send(Buffer.from(answer.body))
    })

    const server = new RouteServer(app, this.stopping.signal, (request, error) => this.report(request, error))
    peerRoutes(server, parts.peer)
    pinRoutes(server, parts.peer)
    addRoute(server, parts.peer)
    ipfsRoutes(server, parts.peer)
    server.refuseOtherMethods()
    await app.ready()
    return app
  }

  private reportRefusal(): void {
    const nowMs = performance.now()
    if (nowMs - this.refusalToldAtMs < REFUSAL_REPORT_MS) return
    this.refusalToldAtMs = nowMs
    this.parts.logger.warn({ open: this.maxConnections }, 'too many connections to the REST API: new ones are closed')
  }

  /** Failures that the API has no word for go to the log; that a client went away is none. */
  private report(request: FastifyRequest, error: unknown): void {
    if (codeOf(error) !== 'internal' || request.raw.destroyed) return
    this.parts.logger.error(
      { method: request.method, url: request.url, error: error instanceof Error ? error.stack : String(error) },
      'a request failed'
    )
  }

  /** Apache's common log format. */
  private logAccess(request: IncomingMessage, reply: FastifyReply): void {
    if (this.accessLog === undefined) return
    // `Sat, 21 Nov 2026 12:32:44 GMT`
    const [, day, month, year, time] = new Date().toUTCString().split(' ')
    const client = request.socket.remoteAddress ?? '-'
    const bytes = reply.getHeader('content-length') ?? '-'
    const line = `${client} - - [${day}/${month}/${year}:${time} +0000] "${request.method} ${request.url} HTTP/${request.httpVersion}" ${reply.raw.statusCode} ${bytes}\n`
    this.accessLog.write(line)
  }
}

/** Answers what is not HTTP, or has too large a header: there is no request then, only a socket. */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code !== 'ECONNRESET' && socket.writable) {
    const [status, message] =
      error.code === 'HPE_HEADER_OVERFLOW'
        ? [431, 'the header of the request is larger than api.restapi.max_header_bytes allows']
        : [400, `the request cannot be read: ${error.message}`]
    const body = `${JSON.stringify({ code: status, message })}\n`
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`
    )
  }
  socket.destroy(error)
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

/** fastify's own refusals have a status and a code of another kind. */
function asApiError(error: unknown): unknown {
  const { statusCode, code } = error as { statusCode?: number; code?: string }
  if (error instanceof ApiError || typeof code !== 'string' || !code.startsWith('FST_')) return error
  const kind =
    statusCode === 413 ? 'too-large' : statusCode !== undefined && statusCode < 500 ? 'bad-request' : 'internal'
  return new ApiError(kind, error instanceof Error ? error.message : String(error), { cause: error })
}
