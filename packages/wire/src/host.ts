/** The part of a libp2p host that this package uses, and how it names peers: by the string of their peer ID. */

import type { Libp2p } from '@libp2p/interface'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'

/** A libp2p host, started by its owner. It needs a stream muxer, and a way to learn addresses: peer store, peer routing, or both. */
export type Libp2pHost = Pick<
  Libp2p,
  'peerId' | 'dialProtocol' | 'handle' | 'unhandle' | 'addEventListener' | 'removeEventListener'
>

/** Where this package writes what an operator may want to read. */
export interface WireLogger {
  debug(message: string): void
  warn(message: string): void
}

/** An address that names a peer and no place: libp2p takes an open connection, or looks the place up. @throws {Error} for what is no peer ID */
export const peerAddress = (peer: string): Multiaddr => multiaddr(`/p2p/${peer}`)

/** The peer that an address ends with. */
export function peerOfAddress(address: Multiaddr): string | undefined {
  return address.getComponents().findLast((component) => component.name === 'p2p')?.value
}

export const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)))
