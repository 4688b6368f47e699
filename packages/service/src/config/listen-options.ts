/** Where a server of this peer listens, as the configuration says it. Called by `http/server.ts` and `metrics/server.ts`. */

import { multiaddr } from '@multiformats/multiaddr'

/** Host and port of `/ip4/127.0.0.1/tcp/9094` and the like, whose form was checked as the configuration was read. */
export function listenOptions(address: string): { readonly host: string; readonly port: number } {
  const parts = multiaddr(address).getComponents()
  return { host: parts[0]?.value ?? '', port: Number(parts.find(({ name }) => name === 'tcp')?.value) }
}
