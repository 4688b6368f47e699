/**
 * `/add`: imports an upload while it arrives and answers while it is read. With `stream-channels` the status is sent before the
 * content is seen, so that a failure stands in the trailer; without, the answer is one array, or an error with its status.
 */

import {
  type AddedOutput,
  BadRequestError,
  encodeJson,
  encodeLine,
  routes,
  streamErrorTrailer
} from '@quorate/client/api'
import type { ClusterPeer } from '../../ports.ts'
import { answerFailure, headersOf, type RouteServer } from '../route-server.ts'
import { LineWriter } from '../stream-answer.ts'
import { isMultipart, readUpload } from '../upload.ts'

export function addRoute(server: RouteServer, peer: ClusterPeer): void {
  server.raw(routes.add, async ({ query, signal }, request, reply) => {
    if (!isMultipart(request.raw)) {
      const found = request.headers['content-type']
      throw new BadRequestError(
        `request Content-Type isn't multipart/form-data: ${found === undefined ? 'there is none' : found.slice(0, 80)}`
      )
    }
    const response = reply.raw
    const headers = {
      ...headersOf(reply),
      'Content-Type': 'application/json',
      'Cache-Control': 'no-cache',
      Connection: 'close'
    }
    const { codec, arrayCodec } = routes.add.answer
    const outputs = peer.add(readUpload(request.raw, signal), query, { signal })

    if (query.streamChannels) {
      response.writeHead(200, { ...headers, 'X-Chunked-Output': '1', Trailer: streamErrorTrailer })
      response.flushHeaders()
      const lines = new LineWriter(response, signal)
      let failure = ''
      try {
        for await (const output of outputs) await lines.write(encodeLine(codec, output))
      } catch (error) {
        failure = error instanceof Error ? error.message : String(error)
      }
      lines.end(failure)
    } else {
      const all: AddedOutput[] = []
      try {
        for await (const output of outputs) all.push(output)
      } catch (error) {
        for (const [name, value] of Object.entries(headers)) reply.header(name, value)
        answerFailure(reply, error)
        return
      }
      response.writeHead(200, headers)
      response.end(`${encodeJson(arrayCodec.encode(all))}\n`)
    }
    // What is left of a body that was not read to its end would block the client in its writing.
    request.raw.resume()
  })
}
