/** The peer itself and its members: `/id`, `/version`, `/health`, `/peers`, `/peers/raft`. */

import { routes } from '@quorate/client/api'
import type { ClusterPeer } from '../../ports.ts'
import type { RouteServer } from '../route-server.ts'

export function peerRoutes(server: RouteServer, peer: ClusterPeer): void {
  server.object(routes.id, ({ signal }) => peer.info({ signal }))
  server.object(routes.version, async () => ({ version: peer.version }))
  server.none(routes.health, async () => undefined)
  server.stream(routes.peers, ({ signal }) => peer.peers({ signal }))
  server.object(routes.peerAdd, ({ body, signal }) => peer.peerAdd(body.peerId, { signal }))
  server.stream(routes.peersRaft, ({ signal }) => peer.peersRaft({ signal }))
  server.object(routes.peersTransfer, async ({ query, signal }) => ({
    leader: await peer.peersTransfer(query.to, { signal })
  }))
  server.none(routes.peerRemove, ({ params, signal }) => peer.peerRemove(params.peer, { signal }))
}
