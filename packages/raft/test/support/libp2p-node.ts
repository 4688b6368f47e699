/** A node as it runs in earnest: libp2p with a private network, on loopback, and its log in a folder. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { noise } from '@chainsafe/libp2p-noise'
import type { PrivateKey } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { quietLengths, secretProtector } from '@quorate/wire'
import { createLibp2p, type Libp2p } from 'libp2p'
import type { Raft, RaftInit } from '../../src/api.ts'
import { openRaft } from '../../src/driver/driver.ts'
import type { StateMachine } from '../../src/ports.ts'
import { openSegmentLog } from '../../src/storage/segment-log.ts'
import { openSnapshotStore } from '../../src/storage/snapshot-files.ts'
import { createLibp2pTransport, type Libp2pTransportInit } from '../../src/transport/libp2p-transport.ts'

/** A new secret of a private network. */
export const newSecret = (): Uint8Array => randomBytes(32)

export interface HostInit {
  /** 32 bytes. */
  readonly secret: Uint8Array
  /** @default a new one */
  readonly privateKey?: PrivateKey
  /** @default 0: any free one */
  readonly port?: number
}

export function createHost({ secret, privateKey, port = 0 }: HostInit): Promise<Libp2p> {
  return createLibp2p({
    ...(privateKey === undefined ? {} : { privateKey }),
    addresses: { listen: [`/ip4/127.0.0.1/tcp/${port}`] },
    transports: [tcp()],
    connectionEncrypters: [quietLengths(noise())],
    streamMuxers: [yamux()],
    connectionProtector: secretProtector({ secret, onMismatch: (error) => assert.fail(error.message) }),
    connectionManager: { inboundConnectionThreshold: 1000, maxIncomingPendingConnections: 100 },
    connectionMonitor: { enabled: false }
  })
}

export interface NodeInit<Result> extends Omit<RaftInit, 'id'> {
  readonly libp2p: Libp2p
  readonly folder: string
  readonly stateMachine: StateMachine<Result>
  readonly clusterId?: string
  /** @default the peer ID */
  readonly nodeId?: string
  readonly transport?: Partial<Libp2pTransportInit>
}

/** Starts a node on a host. Its log and snapshots lie in `folder`. */
export function startNode<Result>(init: NodeInit<Result>): Promise<Raft<Result>> {
  const { libp2p, folder, stateMachine, clusterId = 'test', transport, ...rest } = init
  const { nodeId = libp2p.peerId.toString() } = init
  return openRaft(
    {
      storage: openSegmentLog({ folder }),
      snapshots: openSnapshotStore({ folder }),
      transport: createLibp2pTransport({
        libp2p,
        nodeId,
        clusterId,
        incarnation: folder,
        maxRedialMs: 100,
        ...transport
      }),
      stateMachine
    },
    { ...rest, id: nodeId }
  )
}
