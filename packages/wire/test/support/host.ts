/** Real libp2p hosts on loopback, for the tests of this package. */

import { noise } from '@chainsafe/libp2p-noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2p } from 'libp2p'

export interface TestHost extends AsyncDisposable {
  readonly libp2p: Libp2p
  readonly id: string
}

/** Starts a host on a free port. It allows the many connections from one address that loopback tests make. */
export async function createHost(): Promise<TestHost> {
  const libp2p = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionManager: { inboundConnectionThreshold: 1000, maxIncomingPendingConnections: 100 },
    connectionMonitor: { enabled: false }
  })
  return {
    libp2p,
    id: libp2p.peerId.toString(),
    async [Symbol.asyncDispose]() {
      await libp2p.stop()
    }
  }
}

/** Tells each host where the others are. */
export async function introduce(...hosts: readonly TestHost[]): Promise<void> {
  for (const host of hosts) {
    for (const other of hosts) {
      if (host === other) continue
      await host.libp2p.peerStore.merge(other.libp2p.peerId, { multiaddrs: other.libp2p.getMultiaddrs() })
    }
  }
}

/** Resolves once `condition` holds; asks again at each turn of the timers. */
export async function until(what: string, condition: () => boolean, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
