/**
 * `/add`: imports an upload while it arrives and answers while it is read. With `stream-channels` the status is sent before the
 * content is seen, so that a failure stands in the trailer; without, the answer is one array, or an error with its status.
 *
 * IPFS Cluster closes the connection after each answer. Here it stays: to close it while a client still sends would reset it, and the
 * client would see a broken connection instead of the reason.
 */

import { type AddedOutput, BadRequestError, encodeJson, encodeLine, routes } from '@quorate/client/api'
import type { ClusterPeer } from '../../ports.ts'
import { headersOf, type RouteServer } from '../route-server.ts'
import { LineWriter, trailerHeader } from '../stream-answer.ts'
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
    const { codec, arrayCodec } = routes.add.answer
    reply.headers({ 'Content-Type': 'application/json', 'Cache-Control': 'no-cache' })
    const outputs = peer.add(readUpload(request.raw, signal), query, { signal })
    try {
      if (query.streamChannels) {
        response.writeHead(200, { ...headersOf(reply), 'X-Chunked-Output': '1', ...trailerHeader(response) })
        response.flushHeaders()
        const lines = new LineWriter(response, signal)
        let failed: { readonly error: unknown } | undefined
        try {
          for await (const output of outputs) await lines.write(encodeLine(codec, output))
        } catch (error) {
          failed = { error }
          server.report(request, error)
        }
        lines.end(failed)
      } else {
        const all: AddedOutput[] = []
        for await (const output of outputs) all.push(output)
        response.writeHead(200, headersOf(reply))
        response.end(`${encodeJson(arrayCodec.encode(all))}\n`)
      }
    } finally {
      // What is left of a body that was not read to its end would block the client in its writing.
      request.raw.resume()
    }
  })
}
