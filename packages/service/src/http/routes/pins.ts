/** The pinset and its status: `/allocations`, `/pins`, recover (step 2 of `docs/life-of-a-pin.md`). */

import { type CidString, type GlobalPinInfo, type Pin, routes, staleHeader } from '@quorate/client/api'
import type { ClusterPeer } from '../../ports.ts'
import type { RouteServer } from '../route-server.ts'

export function pinRoutes(server: RouteServer, peer: ClusterPeer): void {
  server.stream(routes.allocations, ({ query, signal }) => ofTypes(peer.allocations({ signal }), query.filter))
  server.object(routes.allocation, async ({ params, query, signal, setHeader }) => {
    const { pin, stale } = await peer.allocation(params.cid, query.consistency, { signal })
    if (stale) setHeader(staleHeader, 'true')
    return pin
  })

  server.object(routes.pin, ({ params, query, signal }) => peer.pin(params.cid, query, { signal }))
  for (const route of [routes.pinIpfs, routes.pinIpns, routes.pinIpld]) {
    server.object(route, ({ params, query, signal }) => peer.pinPath(params.path, query, { signal }))
  }
  server.object(routes.unpin, ({ params, signal }) => peer.unpin(params.cid, { signal }))
  for (const route of [routes.unpinIpfs, routes.unpinIpns, routes.unpinIpld]) {
    server.object(route, ({ params, signal }) => peer.unpinPath(params.path, { signal }))
  }

  server.object(routes.status, ({ params, query, signal }) => peer.status(params.cid, query, { signal }))
  server.stream(routes.statusAll, ({ query: { cids, ...options }, signal }) =>
    cids.length > 0 ? statusOf(peer, cids, options.local, signal) : peer.statusAll(options, { signal })
  )
  server.object(routes.recover, ({ params, query, signal }) => peer.recover(params.cid, query, { signal }))
  server.stream(routes.recoverAll, ({ query, signal }) => peer.recoverAll(query, { signal }))
}

async function* ofTypes(pins: AsyncIterable<Pin>, types: ReadonlySet<Pin['type']> | undefined): AsyncIterable<Pin> {
  for await (const pin of pins) if (types === undefined || types.has(pin.type)) yield pin
}

async function* statusOf(
  peer: ClusterPeer,
  cids: readonly CidString[],
  local: boolean,
  signal: AbortSignal
): AsyncIterable<GlobalPinInfo> {
  for (const cid of cids) yield await peer.status(cid, { local }, { signal })
}
