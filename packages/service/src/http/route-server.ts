/**
 * Binds the typed routes of `client/src/api/routes.ts` to fastify: reads parameters before anything is done, calls the handler,
 * writes its answer. `routes/` holds the handlers, `server.ts` the listener.
 */

import type { ServerResponse } from 'node:http'
import {
  BadRequestError,
  encodeJson,
  type NoAnswer,
  type ObjectAnswer,
  type Route,
  type StreamAnswer
} from '@quorate/client/api'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { errorResponse } from './error-response.ts'
import { answerStream } from './stream-answer.ts'

/** A request as a handler sees it. */
export interface Call<Params, Query, Body> {
  readonly params: Params
  readonly query: Query
  readonly body: Body
  /** Aborts when the client goes away or the peer stops. */
  readonly signal: AbortSignal
  setHeader(name: string, value: string): void
}

type AnyRoute<A> = Route<unknown, unknown, unknown, A>

export class RouteServer {
  readonly app: FastifyInstance
  private readonly stopping: AbortSignal
  private readonly onFailure: (request: FastifyRequest, error: unknown) => void
  private readonly methodsOf = new Map<string, Set<string>>()

  /**
   * @param stopping - aborts when the server is to stop
   * @param onFailure - told of every request that failed and was answered here, not by fastify's error handler
   */
  constructor(
    app: FastifyInstance,
    stopping: AbortSignal,
    onFailure: (request: FastifyRequest, error: unknown) => void
  ) {
    this.app = app
    this.stopping = stopping
    this.onFailure = onFailure
  }

  object<P, Q, B, T>(route: Route<P, Q, B, ObjectAnswer<T>>, handler: (call: Call<P, Q, B>) => Promise<T>): void {
    this.register(route as AnyRoute<unknown>, async (request, reply) => {
      const { call, done } = this.begin(route, request, reply)
      try {
        const value = await handler(call)
        // As bytes, since fastify adds a charset to text.
        const body = Buffer.from(`${encodeJson(route.answer.codec.encode(value))}\n`)
        return reply.header('Content-Type', 'application/json').send(body)
      } finally {
        done()
      }
    })
  }

  none<P, Q, B>(route: Route<P, Q, B, NoAnswer>, handler: (call: Call<P, Q, B>) => Promise<void>): void {
    this.register(route as AnyRoute<unknown>, async (request, reply) => {
      const { call, done } = this.begin(route, request, reply)
      try {
        await handler(call)
        return reply.code(204).type('application/json').send()
      } finally {
        done()
      }
    })
  }

  stream<P, Q, B, T>(route: Route<P, Q, B, StreamAnswer<T>>, handler: (call: Call<P, Q, B>) => AsyncIterable<T>): void {
    this.register(route as AnyRoute<unknown>, async (request, reply) => {
      const { call, done } = this.begin(route, request, reply)
      reply.hijack()
      try {
        const { signal } = call
        const failed = await answerStream(reply.raw, headersOf(reply), handler(call), route.answer.codec, signal)
        if (failed !== undefined) this.onFailure(request, failed.error)
      } catch (error) {
        this.fail(request, reply, error)
      } finally {
        done()
      }
    })
  }

  /** For answers with a form of their own; the handler writes to `reply.raw` after `reply.hijack()`. */
  raw<P, Q, B, A>(
    route: Route<P, Q, B, A>,
    handler: (call: Call<P, Q, B>, request: FastifyRequest, reply: FastifyReply) => Promise<void>
  ): void {
    this.register(route as AnyRoute<unknown>, async (request, reply) => {
      const { call, done } = this.begin(route, request, reply)
      reply.hijack()
      try {
        await handler(call, request, reply)
      } catch (error) {
        this.fail(request, reply, error)
      } finally {
        done()
      }
    })
  }

  /** Tells of a failure that the handler of a raw route has answered in its own way. */
  report(request: FastifyRequest, error: unknown): void {
    this.onFailure(request, error)
  }

  /** Paths that exist answer 405 to other methods. Call once, after all routes. */
  refuseOtherMethods(): void {
    for (const [path, methods] of this.methodsOf) {
      const others = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].filter(
        (method) => !methods.has(method)
      )
      this.app.route({ method: others, url: path, handler: (_request, reply) => reply.code(405).send() })
    }
  }

  /** An error before anything of a hijacked answer was sent is an ordinary error; after that only the connection can tell. */
  private fail(request: FastifyRequest, reply: FastifyReply, error: unknown): void {
    this.onFailure(request, error)
    const response: ServerResponse = reply.raw
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    const { status, headers, body } = errorResponse(error)
    response.writeHead(status, { ...headersOf(reply), ...headers })
    response.end(body)
  }

  private register(
    route: AnyRoute<unknown>,
    handler: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>
  ): void {
    this.methodsOf.set(route.path, (this.methodsOf.get(route.path) ?? new Set()).add(route.method))
    this.app.route({ method: route.method, url: route.path, handler, config: { open: route.open } })
  }

  /** Reads all parameters: a mistake in one is a 400 and nothing has happened. */
  private begin<P, Q, B, A>(
    route: Route<P, Q, B, A>,
    request: FastifyRequest,
    reply: FastifyReply
  ): { call: Call<P, Q, B>; done: () => void } {
    const params = route.params.read(request.params as Record<string, string | undefined>)
    const question = request.raw.url?.indexOf('?') ?? -1
    const query = route.query.read(new URLSearchParams(question === -1 ? '' : request.raw.url?.slice(question + 1)))
    const body =
      route.bodyCodec === undefined ? (undefined as B) : readBody(() => route.bodyCodec!.decode(request.body))
    const gone = new AbortController()
    const response = reply.raw
    const onClose = (): void => gone.abort(new DOMException('the client went away', 'AbortError'))
    const onStop = (): void => gone.abort(this.stopping.reason)
    response.on('close', onClose)
    this.stopping.addEventListener('abort', onStop)
    if (this.stopping.aborted) onStop()
    const done = (): void => {
      response.off('close', onClose)
      this.stopping.removeEventListener('abort', onStop)
    }
    return {
      call: { params, query, body, signal: gone.signal, setHeader: (name, value) => void reply.header(name, value) },
      done
    }
  }
}

function readBody<B>(decode: () => B): B {
  try {
    return decode()
  } catch (error) {
    throw new BadRequestError(
      `error decoding request body: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error }
    )
  }
}

/** Headers set on the reply so far, for an answer that bypasses fastify. */
export function headersOf(reply: FastifyReply): Record<string, string | string[]> {
  return reply.getHeaders() as Record<string, string | string[]>
}
