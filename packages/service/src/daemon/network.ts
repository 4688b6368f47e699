/**
 * The part of a peer that is there before it belongs to a cluster: identity on the network, addresses, calls. A joiner needs no more
 * to ask its way in. `run.ts` opens it first and closes it last; `compose.ts` builds the rest of the peer on it.
 */

import { join } from 'node:path'
import type { PrivateKey } from '@libp2p/interface'
import type { SecretMismatchError } from '@quorate/wire'
import { AddressBook } from '../cluster-host/address-book.ts'
import { type ClusterHost, openClusterHost } from '../cluster-host/host.ts'
import { newSession, Sessions } from '../cluster-host/sessions.ts'
import type { ServiceConfig } from '../config/schema.ts'
import type { Logger } from '../ports.ts'
import { PeerRpc } from '../rpc/peer-rpc.ts'

/** The same wrong peer is reported once in so long. */
const MISMATCH_REPORT_MS = 30_000
/** Addresses remembered for that; the oldest is forgotten. */
const MAX_REPORTED = 1_000

export interface Network {
  readonly id: string
  readonly libp2p: ClusterHost
  readonly rpc: PeerRpc
  readonly addressBook: AddressBook
  readonly sessions: Sessions
  /** Says who is a member, once there is a configuration to ask; until then nobody is. */
  setMembershipTest(isMember: (peer: string) => boolean): void
  /** Peers there is a connection to, this one included. */
  connected(): ReadonlySet<string>
  stop(): Promise<void>
}

export interface NetworkInit {
  readonly config: ServiceConfig
  readonly privateKey: PrivateKey
  readonly logger: (component: string) => Logger
  /** Writes what was learned of the other peers' addresses. */
  readonly savePeerstore: (addresses: readonly string[]) => Promise<void>
}

export async function openNetwork({ config, privateKey, logger, savePeerstore }: NetworkInit): Promise<Network> {
  const { cluster } = config
  let isMember = (_peer: string): boolean => false
  const host = await openClusterHost({
    privateKey,
    secret: cluster.secret,
    listenMultiaddrs: cluster.listenMultiaddress,
    announceMultiaddrs: cluster.announceMultiaddress,
    noAnnounceMultiaddrs: cluster.noAnnounceMultiaddress,
    maxConnections: cluster.connectionManager.highWater,
    dialTimeoutMs: cluster.dialPeerTimeoutMs,
    mdns: cluster.mdnsIntervalMs > 0,
    folder: join(config.folder, 'libp2p'),
    onSecretMismatch: reporter(logger('libp2p'))
  })
  const { libp2p } = host
  const addressBook = new AddressBook({ libp2p, logger: logger('pstoremgr'), save: savePeerstore })
  const sessions = new Sessions(libp2p, newSession(Date.now()))
  const rpc = new PeerRpc({ libp2p, isMember: (peer) => isMember(peer) })
  const stop = async (): Promise<void> => {
    await addressBook.stop()
    await rpc.stop()
    await sessions.stop()
    await host.stop()
  }
  try {
    await sessions.start()
    await rpc.start()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    id: libp2p.peerId.toString(),
    libp2p,
    rpc,
    addressBook,
    sessions,
    setMembershipTest: (test) => {
      isMember = test
    },
    connected: () => new Set([libp2p.peerId.toString(), ...libp2p.getPeers().map(String)]),
    stop
  }
}

/** One line for each peer with a wrong secret, not one for each of its tries. */
function reporter(logger: Logger): (error: SecretMismatchError) => void {
  const reportedAtMs = new Map<string, number>()
  return (error) => {
    // The port of an incoming connection is a new one each time.
    const key = `${error.code} ${error.address.replace(/\/tcp\/\d+.*/, '')}`
    const now = performance.now()
    if (now - (reportedAtMs.get(key) ?? Number.NEGATIVE_INFINITY) < MISMATCH_REPORT_MS) return
    reportedAtMs.delete(key)
    reportedAtMs.set(key, now)
    for (const oldest of reportedAtMs.keys()) {
      if (reportedAtMs.size <= MAX_REPORTED) break
      reportedAtMs.delete(oldest)
    }
    logger.warn({ address: error.address, problem: error.code }, error.message)
  }
}
