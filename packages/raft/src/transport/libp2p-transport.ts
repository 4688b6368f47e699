/**
 * The network of a node over libp2p: messages on `/quorate/raft/1`, one long-lived stream each way between two members
 * (`@quorate/wire` links), and snapshots on `/quorate/bulk/1`, in calls that fetch one chunk each, so that bulk never stands ahead
 * of consensus by more than what is in flight. The driver calls it; it implements `Transport` of `../ports.ts`.
 *
 * A frame that cannot be decoded is dropped and logged. It cannot be an accident of the network, which authenticates what it
 * carries, so the peer is broken or of a version that said nothing of itself; Raft goes on without the message.
 */

import { createLinks, createRpc, type FrameLinks, type Libp2pHost, type RpcEndpoint } from '@quorate/wire'
import type { RaftLogger } from '../api.ts'
import type { Message } from '../core/messages.ts'
import type { LogBase, NodeId } from '../core/types.ts'
import { SnapshotTransferError } from '../errors.ts'
import type { MessageLimits, SnapshotManifest, Transport, TransportHandler } from '../ports.ts'
import { checksum } from '../storage/checksum.ts'
import { decodeBase, decodeMessage, encodeBase, encodeMessage, largestMessageBytes } from './codec.ts'
import { decodeHello, encodeHello, type Hello } from './hello.ts'
import {
  decodeChunkRequest,
  decodeManifest,
  encodeChunkRequest,
  encodeManifest,
  MAX_CHUNK_BYTES
} from './manifest-codec.ts'

/** Protocol of consensus messages. */
export const RAFT_PROTOCOL = '/quorate/raft/1'
/** Protocol of bulk transfers. */
export const BULK_PROTOCOL = '/quorate/bulk/1'

const MANIFEST_METHOD = 'snapshot.manifest'
const CHUNK_METHOD = 'snapshot.chunk'

const DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024

/** What this version can do at most; a new ability that all members must have raises it. */
const FEATURE_LEVEL = 1

export interface Libp2pTransportInit {
  /** A started host. Its peer ID is the node's id. Stopped by its owner, after the transport. */
  readonly libp2p: Libp2pHost
  /** Names the group: only members that say the same are listened to. At most 255 bytes. */
  readonly clusterId: string
  /** Names this life of the node's data folder. At most 255 bytes. */
  readonly incarnation: string
  /** Has the last word on a peer of the same group that says hello. @returns why it is refused */
  readonly admit?: (peer: NodeId, hello: Hello) => string | undefined
  /** A peer refused us, in its words: another cluster id, another version. At most every ten seconds for the same reason. */
  readonly onRefused?: (peer: NodeId, reason: string) => void
  readonly logger?: RaftLogger
  /**
   * Largest message. Must exceed `maxEntryBytes` and `maxAppendBytes` of all nodes by 64, and be at least 1 MiB (T19): checked at the start
   * for this node's own. @default 4 MiB
   */
  readonly maxMessageBytes?: number
  /** Most bytes that wait for one peer; Raft sends again what is dropped. @default 32 MiB */
  readonly maxQueuedBytes?: number
  /** Longest wait before a lost peer is dialled again. @default 1000 */
  readonly maxRedialMs?: number
  /** For one call of the bulk protocol. @default 20000 */
  readonly bulkTimeoutMs?: number
}

/** Makes a transport that is not started yet; `openRaft` starts and stops it. */
export function createLibp2pTransport(init: Libp2pTransportInit): Transport {
  return new Libp2pTransport(init)
}

class Libp2pTransport implements Transport {
  readonly #init: Libp2pTransportInit
  readonly #maxMessageBytes: number
  readonly #links: FrameLinks
  readonly #bulk: RpcEndpoint

  constructor(init: Libp2pTransportInit) {
    this.#init = init
    this.#maxMessageBytes = init.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES
    const { libp2p, logger } = init
    const hello: Hello = {
      clusterId: init.clusterId,
      memberId: libp2p.peerId.toString(),
      incarnation: init.incarnation,
      featureLevel: FEATURE_LEVEL
    }
    const encodedHello = encodeHello(hello)
    this.#links = createLinks({
      libp2p,
      protocol: RAFT_PROTOCOL,
      maxFrameBytes: this.#maxMessageBytes,
      maxQueuedBytes: init.maxQueuedBytes ?? 32 * 1024 * 1024,
      maxRedialMs: init.maxRedialMs ?? 1000,
      hello: () => encodedHello,
      onHello: (peer, bytes) => this.#judge(peer, bytes),
      ...(logger === undefined ? {} : { logger })
    })
    this.#bulk = createRpc({
      libp2p,
      protocol: BULK_PROTOCOL,
      // Nobody is served a snapshot who has not shown that it belongs to the group, and stands by it.
      authorize: (peer) => this.#links.hears(peer),
      // The largest manifest, with a full configuration, is larger than a chunk.
      limits: { maxMessageBytes: 2 * MAX_CHUNK_BYTES, maxQueuedBytes: 4 * MAX_CHUNK_BYTES, maxCalls: 16 }
    })
  }

  async start(handler: TransportHandler, limits: MessageLimits): Promise<void> {
    const largest = largestMessageBytes(limits)
    if (largest > this.#maxMessageBytes) {
      const { maxEntryBytes, maxAppendBytes } = limits
      throw new RangeError(
        `maxMessageBytes is ${this.#maxMessageBytes}, and messages have up to ${largest} bytes with maxEntryBytes ${maxEntryBytes} and maxAppendBytes ${maxAppendBytes}: a larger one would never arrive`
      )
    }
    this.#bulk.handle(MANIFEST_METHOD, async (request, { peer }) => {
      const base = decodeBase(request)
      if (base === undefined) throw new SnapshotTransferError('The request for a manifest is malformed')
      return encodeManifest(await handler.onFetchManifest(peer, base))
    })
    this.#bulk.handle(CHUNK_METHOD, async (request, { peer }) => {
      const wanted = decodeChunkRequest(request)
      if (wanted === undefined) throw new SnapshotTransferError('The request for a chunk is malformed')
      return handler.onFetchChunk(peer, wanted.snapshotId, wanted.chunk)
    })
    await this.#bulk.start()
    await this.#links.start({
      onFrame: (peer, frame) => {
        const message = decodeMessage(frame, checksum)
        if (typeof message !== 'string') handler.onMessage(peer, message)
        else this.#init.logger?.warn(`Dropped a message of ${peer}: ${message}`)
      },
      onUp: (peer) => handler.onPeerUp(peer),
      onDown: (peer) => handler.onPeerDown(peer),
      onRefused: (peer, reason) => {
        this.#init.logger?.warn(`Peer ${peer} refuses this peer: ${reason}`)
        this.#init.onRefused?.(peer, reason)
      }
    })
  }

  setPeers(peers: readonly NodeId[]): void {
    this.#links.setPeers(peers)
  }

  send(to: NodeId, message: Message): void {
    this.#links.send(to, encodeMessage(message))
  }

  async fetchManifest(from: NodeId, base: LogBase, signal: AbortSignal): Promise<SnapshotManifest> {
    const manifest = decodeManifest(await this.#call(from, MANIFEST_METHOD, encodeBase(base), signal))
    if (manifest === undefined) throw new SnapshotTransferError(`The manifest that ${from} sent is malformed`)
    return manifest
  }

  fetchChunk(from: NodeId, snapshotId: string, chunk: number, signal: AbortSignal): Promise<Uint8Array> {
    return this.#call(from, CHUNK_METHOD, encodeChunkRequest({ snapshotId, chunk }), signal)
  }

  async stop(): Promise<void> {
    await Promise.all([this.#links.stop(), this.#bulk.stop()])
  }

  #call(from: NodeId, method: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    return this.#bulk.call(from, method, request, { signal, timeoutMs: this.#init.bulkTimeoutMs ?? 20_000 })
  }

  #judge(peer: NodeId, bytes: Uint8Array): string | undefined {
    const hello = decodeHello(bytes)
    return typeof hello === 'string' ? hello : this.#objection(peer, hello)
  }

  #objection(peer: NodeId, hello: Hello): string | undefined {
    if (hello.memberId !== peer) return `it says it is ${hello.memberId}, and its connection says ${peer}`
    const { clusterId, admit } = this.#init
    if (hello.clusterId !== clusterId) {
      return `it belongs to the cluster ${hello.clusterId || '(none)'}, and this peer to the cluster ${clusterId || '(none)'}`
    }
    return admit?.(peer, hello)
  }
}
