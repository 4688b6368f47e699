/**
 * Addresses of other peers as people write them: a multiaddress that ends in `/p2p/<peer ID>`, or a `/dnsaddr/` that leads to such ones.
 * Called for the peerstore file, `init --peers` and `daemon --bootstrap`.
 */

import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'

/** The peer ID at the end of an address; undefined if there is none or it is not one. */
export function peerIdOf(address: string): string | undefined {
  try {
    const last = multiaddr(address).getComponents().at(-1)
    return last?.name === 'p2p' && last.value !== undefined ? peerIdFromString(last.value).toString() : undefined
  } catch {
    return undefined
  }
}

/** Why a text cannot be the address of a peer; undefined if it can. */
export function peerAddressFault(address: string): string | undefined {
  if (!address.startsWith('/')) return 'an address begins with a slash'
  try {
    const components = multiaddr(address).getComponents()
    // A dnsaddr may leave the ID out, since each address that it leads to has one.
    const id = components.findLast(({ name }) => name === 'p2p')
    if (id === undefined) return components[0]?.name === 'dnsaddr' ? undefined : 'it does not end in /p2p/<peer ID>'
    if (components.at(-1) !== id) return 'something follows its /p2p/<peer ID>'
    if (components.length === 1) return 'it names a peer and no way there'
    return peerIdOf(address) === undefined ? `${JSON.stringify(id.value)} is not a peer ID` : undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
