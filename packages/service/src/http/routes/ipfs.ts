/** The IPFS nodes: `/ipfs/gc`, and the content of a file at `/ipfs/<cid>`. */

import { once } from 'node:events'

import { type PeerIdString, type RepoGc, routes } from '@quorate/client/api'
import type { ClusterPeer } from '../../ports.ts'
import { headersOf, type RouteServer } from '../route-server.ts'

export function ipfsRoutes(server: RouteServer, peer: ClusterPeer): void {
  server.object(routes.repoGc, async ({ query, signal }) => {
    const peerMap: Record<PeerIdString, RepoGc> = {}
    for await (const result of peer.repoGc(query, { signal })) {
      peerMap[result.peer] = {
        peer: result.peer,
        peername: result.peername,
        keys: result.keys.map((key) => ({ key, error: '' })),
        error: result.error
      }
    }
    return { peerMap }
  })

  server.raw(routes.content, async ({ params, signal }, _request, reply) => {
    const chunks = peer.cat(params.path, { signal })[Symbol.asyncIterator]()
    try {
      // The first chunk is waited for, so that what cannot be read is an ordinary error.
      let step = await chunks.next()
      const response = reply.raw
      response.writeHead(200, {
        ...headersOf(reply),
        'Content-Type': 'application/octet-stream',
        // As the client wrote it, since names hold characters that a header does not take.
        'X-Ipfs-Path': params.path.split('/').map(encodeURIComponent).join('/')
      })
      while (step.done !== true) {
        if (!response.write(step.value)) await once(response, 'drain', { signal })
        step = await chunks.next()
      }
      response.end()
    } finally {
      await chunks.return?.()
    }
  })
}
