/**
 * The sign of life that every peer gives: that it is there, its name, and how its IPFS node can be reached. Its value is JSON with
 * IPFS Cluster's keys (`cluster.go`, `PingValue`). Made here, read by `daemon/compose.ts` and whatever shows peers.
 */

import type { IpfsId, MultiaddrString, PeerIdString } from '@quorate/client/api'
import type { Informer } from '../ports.ts'

export interface PingValue {
  readonly peername: string
  /** Undefined while the IPFS node cannot be asked. */
  readonly ipfsId: PeerIdString | undefined
  readonly ipfsAddresses: readonly MultiaddrString[]
}

/** A peer's own word is cut to what a few addresses need: it is held once for each member. */
const MAX_ADDRESSES = 64
const MAX_TEXT_LENGTH = 1024

export interface PingInformerInit {
  readonly peername: string
  /** What is known of the IPFS node. */
  readonly ipfsId: () => IpfsId | undefined
  readonly ttlMs: number
}

export function createPingInformer(init: PingInformerInit): Informer {
  return {
    name: 'ping',
    ttlMs: init.ttlMs,
    async measure() {
      const ipfs = init.ipfsId()
      const value = formatPing({ peername: init.peername, ipfsId: ipfs?.id, ipfsAddresses: ipfs?.addresses ?? [] })
      return [{ name: 'ping', value, weight: 0, partitionable: false, valid: true }]
    }
  }
}

export function formatPing(ping: PingValue): string {
  return JSON.stringify({
    peer_name: ping.peername,
    ...(ping.ipfsId === undefined ? {} : { ipfs_id: ping.ipfsId }),
    ipfs_addresses: ping.ipfsAddresses.slice(0, MAX_ADDRESSES)
  })
}

/** Reads another peer's ping; undefined if it is none. What is wrong in it, or too long, is left out. */
export function parsePing(value: string): PingValue | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch {
    return undefined
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined
  const { peer_name: peername, ipfs_id: ipfsId, ipfs_addresses: addresses } = parsed as Record<string, unknown>
  return {
    peername: isText(peername) ? peername : '',
    ipfsId: isText(ipfsId) && ipfsId !== '' ? ipfsId : undefined,
    ipfsAddresses: Array.isArray(addresses) ? addresses.filter(isText).slice(0, MAX_ADDRESSES) : []
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT_LENGTH
}
