/**
 * Where Kubo's RPC API is, from `ipfs_connector.ipfshttp.node_multiaddress`. Called by the two ways in which it is spoken to.
 */

import { multiaddr } from '@multiformats/multiaddr'
import { IpfsRequestError } from '../errors.ts'

export type Endpoint = { readonly secure: boolean } & (
  | { readonly host: string; readonly port: number }
  | { readonly socketPath: string }
)

/**
 * `/ip4/…/tcp/…`, `/dns4/…/tcp/…`, with `/https` or `/tls` spoken to over TLS; or `/unix/<path>`.
 * @throws {IpfsRequestError} `bad-request` for anything else
 */
export function parseEndpoint(address: string): Endpoint {
  // By hand, because JavaScript's multiaddrs want the slashes of the path escaped, and IPFS Cluster's do not have them so.
  if (address.startsWith('/unix/')) {
    const path = decodeURIComponent(address.slice('/unix/'.length))
    return { secure: false, socketPath: path.startsWith('/') ? path : `/${path}` }
  }
  const components = multiaddr(address).getComponents()
  const secure = components.some(({ name }) => name === 'https' || name === 'tls')
  const host = components.find(({ name }) => ['ip4', 'ip6', 'dns', 'dns4', 'dns6'].includes(name))?.value
  const port = components.find(({ name }) => name === 'tcp')?.value
  if (host === undefined || port === undefined) {
    throw new IpfsRequestError(`node_multiaddress ${address} is neither a TCP address nor a Unix socket`, 'bad-request')
  }
  return { secure, host, port: Number(port) }
}
