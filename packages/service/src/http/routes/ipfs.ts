/** Work on the IPFS nodes: `/ipfs/gc`. */

import { type PeerIdString, type RepoGc, routes } from '@quorate/client/api'
import type { ClusterPeer } from '../../ports.ts'
import type { RouteServer } from '../route-server.ts'

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
}
