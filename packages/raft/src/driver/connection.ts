/**
 * The transport's one handler, in two lives: while a node is repaired nothing but bulk calls is answered, and what the links say of peers is
 * kept for the node that follows. Used by `driver.ts`, and by `startup.ts` where peers are needed before there is a node.
 */

import type { Message } from '../core/messages.ts'
import type { Index, LogBase, NodeId } from '../core/types.ts'
import type {
  EntriesAnswer,
  EntriesRequest,
  LogReport,
  MessageLimits,
  SnapshotManifest,
  Transport,
  TransportHandler
} from '../ports.ts'

/** What a node serves before it takes part. */
export type BulkHandler = Required<Omit<TransportHandler, 'onMessage' | 'onPeerUp' | 'onPeerDown'>>

type About = Parameters<TransportHandler['onPeerUp']>[1]

export class Connection {
  readonly #transport: Transport
  readonly #limits: MessageLimits
  #reception: Reception | undefined

  constructor(transport: Transport, limits: MessageLimits) {
    this.#transport = transport
    this.#limits = limits
  }

  /** Starts the transport, if need be, for a node that takes no part yet. */
  async serve(bulk: BulkHandler): Promise<void> {
    if (this.#reception !== undefined) {
      this.#reception.bulk = bulk
      return
    }
    this.#reception = new Reception(bulk)
    await this.#transport.start(this.#reception, this.#limits)
  }

  /** All that comes goes to `handler` from now on; of peers that are up already it is told at once. */
  async handOver(handler: TransportHandler): Promise<void> {
    if (this.#reception === undefined) await this.#transport.start(handler, this.#limits)
    else this.#reception.handOver(handler)
  }
}

class Reception implements TransportHandler {
  bulk: BulkHandler
  #node: TransportHandler | undefined
  readonly #up = new Map<NodeId, About>()

  constructor(bulk: BulkHandler) {
    this.bulk = bulk
  }

  handOver(node: TransportHandler): void {
    this.#node = node
    for (const [peer, about] of this.#up) node.onPeerUp(peer, about)
    this.#up.clear()
  }

  onMessage(from: NodeId, message: Message): void {
    this.#node?.onMessage(from, message)
  }

  onPeerUp(peer: NodeId, about?: About): void {
    if (this.#node === undefined) this.#up.set(peer, about)
    else this.#node.onPeerUp(peer, about)
  }

  onPeerDown(peer: NodeId): void {
    this.#up.delete(peer)
    this.#node?.onPeerDown(peer)
  }

  onFetchManifest(from: NodeId, base: LogBase): Promise<SnapshotManifest> {
    return (this.#node ?? this.bulk).onFetchManifest(from, base)
  }

  onFetchChunk(from: NodeId, snapshotId: string, chunk: number): Promise<Uint8Array> {
    return (this.#node ?? this.bulk).onFetchChunk(from, snapshotId, chunk)
  }

  onFetchLogReport(from: NodeId): Promise<LogReport> {
    return (this.#node?.onFetchLogReport ?? this.bulk.onFetchLogReport)(from)
  }

  onFetchEntries(from: NodeId, request: EntriesRequest): Promise<EntriesAnswer> {
    return (this.#node?.onFetchEntries ?? this.bulk.onFetchEntries)(from, request)
  }

  onFetchOffer(from: NodeId, atLeast: Index): Promise<LogBase> {
    return (this.#node?.onFetchOffer ?? this.bulk.onFetchOffer)(from, atLeast)
  }
}
