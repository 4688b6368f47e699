/** Real hosts of the cluster network on loopback, with a connection between them. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { type ClusterHost, type ClusterHostInit, openClusterHost } from '../../src/cluster-host/host.ts'

export interface TestHost extends AsyncDisposable {
  readonly libp2p: ClusterHost
  readonly id: string
  /** Where it listens, with its ID. */
  readonly address: string
}

export async function openHost(init: Partial<ClusterHostInit> = {}, privateKey?: PrivateKey): Promise<TestHost> {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-host-'))
  const host = await openClusterHost({
    privateKey: privateKey ?? (await generateKeyPair('Ed25519')),
    secret: undefined,
    listenMultiaddrs: ['/ip4/127.0.0.1/tcp/0'],
    announceMultiaddrs: [],
    noAnnounceMultiaddrs: [],
    maxConnections: 100,
    dialTimeoutMs: 5_000,
    mdns: false,
    folder,
    onSecretMismatch: () => undefined,
    ...init
  })
  return {
    libp2p: host.libp2p,
    id: host.libp2p.peerId.toString(),
    address: String(host.libp2p.getMultiaddrs()[0]),
    async [Symbol.asyncDispose]() {
      await host.stop()
      await rm(folder, { recursive: true, force: true })
    }
  }
}
