/**
 * The network of a node over libp2p: messages on `/quorate/raft/1`, one long-lived stream each way between two members
 * (`@quorate/wire` links), and snapshots on `/quorate/bulk/1`, in calls that fetch one chunk each, so that bulk never stands ahead
 * of consensus by more than what is in flight. The driver calls it; it implements `Transport` of `../ports.ts`.
 *
 * A link leads to a peer, a message to a name (`node-name.ts`): which of its names a peer has now it says in its hello, and what it sends
 * counts as that name's. What is meant for another name of it is dropped: whoever had that name is gone. A name whose disk holds less
 * than it promised (`peers-seen.ts`) is refused at its hello, with the reason.
 *
 * A frame that cannot be decoded is dropped and logged. It cannot be an accident of the network, which authenticates what it
 * carries, so the peer is broken or of a version that said nothing of itself; Raft goes on without the message.
 */

import { createLinks, createRpc, type FrameLinks, type Libp2pHost, type RpcEndpoint } from '@quorate/wire'
import type { RaftLogger } from '../api.ts'
import { SUPPORTED_LEVEL } from '../core/announcements.ts'
import type { Message } from '../core/messages.ts'
import type { NodeId } from '../core/types.ts'
import type { MessageLimits, Transport, TransportHandler } from '../ports.ts'
import { checksum } from '../storage/checksum.ts'
import { MAX_CHUNK_BYTES } from '../storage/snapshot-manifest.ts'
import { answerBulkCalls, BulkCaller } from './bulk-calls.ts'
import { decodeMessage, encodeMessage, isOfKnownKind, largestMessageBytes } from './codec.ts'
import { decodeHello, encodeHello, type Hello, type Life } from './hello.ts'
import { isNameOf, peerOf } from './node-name.ts'
import type { PeersSeen, Seen } from './peers-seen.ts'

/** Protocol of consensus messages. */
export const RAFT_PROTOCOL = '/quorate/raft/1'
/** Protocol of bulk transfers. */
export const BULK_PROTOCOL = '/quorate/bulk/1'

const DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024

/** What a refusal begins with that says so; what follows is for people. */
const OLDER_COPY = 'older copy: '

/** Peers whose hello is remembered, beyond those that there is a link with. */
const MAX_CALLERS = 512

export interface Libp2pTransportInit {
  /** A started host. Stopped by its owner, after the transport. */
  readonly libp2p: Libp2pHost
  /** This node's name in the configuration, one of the host's peer ID (`nodeNameOf`). @default the peer ID */
  readonly nodeId?: NodeId
  /** Names the group: only members that say the same are listened to. At most 255 bytes. */
  readonly clusterId: string
  /** Names this life of the node's data folder. At most 255 bytes. */
  readonly incarnation: string
  /** This start, as `countBoot` counted it, for the others to know an older copy by. @default none: they cannot */
  readonly life?: Life
  /** What the others promised. Written to. @default none: an older copy of another's disk is not known as one */
  readonly seen?: PeersSeen
  /** A peer refused us, in its words: another cluster id, another version. At most every ten seconds for the same reason. */
  readonly onRefused?: (peer: string, reason: string) => void
  /**
   * A member says that this node's disk is an older copy of what it was. The node has fallen silent by then: it neither votes nor
   * acknowledges. Whether it goes on under another name is for the application to find out from a leader.
   */
  readonly onOlderCopy?: (peer: string, reason: string) => void
  readonly logger?: RaftLogger
  /** What the hello says that this node knows: the `supportedLevel` of its `RaftInit`. @default the version's own */
  readonly featureLevel?: number
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

export interface Libp2pTransport extends Transport {
  /** Sends nothing and takes nothing any more, but keeps its links: for a node that may have lost what it promised. */
  fallSilent(): void
  /** Takes nothing more from a name, now and later: it does not hold what it acknowledged. Its peer is told at its next hello. */
  condemn(name: NodeId, why: string): void
}

/**
 * Makes a transport that is not started yet; `openRaft` starts and stops it.
 *
 * @throws {RangeError} when `nodeId` is not a name of the host's peer ID, or a field of the hello is too long
 */
export function createLibp2pTransport(init: Libp2pTransportInit): Libp2pTransport {
  return new PeerTransport(init)
}

/** The far end of the streams that a peer opens, going by its last hello. */
interface Caller {
  readonly name: NodeId
  readonly featureLevel: number
  /** Undefined: the peer keeps no count of its starts, or this node no table. */
  readonly seen: Seen | undefined
  /** Its hello was refused: nothing is taken from it, and nothing sent to it. */
  readonly refused: boolean
}

class PeerTransport extends BulkCaller implements Libp2pTransport {
  readonly #init: Libp2pTransportInit
  readonly #maxMessageBytes: number
  readonly #links: FrameLinks
  readonly #bulk: RpcEndpoint
  #handler: TransportHandler | undefined
  #silent = false
  #wanted: ReadonlySet<string> = new Set()
  /** The peers of the members, so that no message costs a new string. */
  #peers: ReadonlyMap<NodeId, string> = new Map()
  readonly #callers = new Map<string, Caller>()
  /** Which name the node was told is up, of each peer. */
  readonly #up = new Map<string, Caller>()

  constructor(init: Libp2pTransportInit) {
    super()
    this.#init = init
    this.#maxMessageBytes = init.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES
    const { libp2p, logger } = init
    const self = libp2p.peerId.toString()
    const memberId = init.nodeId ?? self
    if (!isNameOf(memberId, self)) throw new RangeError(`${memberId} is not a name of the peer ${self}`)
    const hello: Hello = {
      clusterId: init.clusterId,
      memberId,
      incarnation: init.incarnation,
      featureLevel: init.featureLevel ?? SUPPORTED_LEVEL,
      life: init.life
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
      authorize: (peer) => this.#callerOf(peer) !== undefined && this.#links.hears(peer),
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
    this.#handler = handler
    answerBulkCalls(
      (method, answer) => this.#bulk.handle(method, answer),
      handler,
      (peer) => this.#nameOf(peer)
    )
    await this.#bulk.start()
    await this.#links.start({
      onFrame: (peer, frame) => {
        const caller = this.#callerOf(peer)
        if (caller === undefined) return undefined
        const message = decodeMessage(frame, checksum)
        if (typeof message === 'string') {
          // Of a later version, perhaps, which may rightly say more than this one understands. All else is no message of anybody's.
          if (!isOfKnownKind(frame)) this.#init.logger?.warn(`Dropped a message of ${caller.name}: ${message}`)
          return isOfKnownKind(frame) ? `a message makes no sense: ${message}` : undefined
        }
        if (caller.seen !== undefined) this.#init.seen?.heard(caller.seen, message)
        handler.onMessage(caller.name, message)
        return undefined
      },
      onUp: (peer) => {
        // What a peer said before its streams broke is not what it is now: it will say hello again. Who was refused stays so until then.
        if (!this.#links.hears(peer) && this.#callers.get(peer)?.refused !== true) this.#callers.delete(peer)
        this.#tellUp(peer)
      },
      onDown: (peer) => this.#tellDown(peer),
      onRefused: (peer, reason) => {
        this.#init.logger?.warn(`Peer ${peer} refuses this peer: ${reason}`)
        this.#init.onRefused?.(peer, reason)
        // A node whose log is gone altogether knows nobody, and believes whoever knows it.
        const fromMember = this.#wanted.has(peer) || this.#wanted.size === 0
        if (!reason.startsWith(OLDER_COPY) || !fromMember) return
        this.fallSilent()
        this.#init.onOlderCopy?.(peer, reason.slice(OLDER_COPY.length))
      }
    })
  }

  setPeers(peers: readonly NodeId[]): void {
    this.#peers = new Map(peers.map((name) => [name, peerOf(name)]))
    this.#wanted = new Set(this.#peers.values())
    this.#links.setPeers(this.#wanted)
  }

  send(to: NodeId, message: Message): void {
    if (this.#silent) return
    const peer = this.#peers.get(to) ?? peerOf(to)
    const caller = this.#callers.get(peer)
    // Before its hello is there a peer may well be who is meant: what it answers will come under its name.
    if (caller !== undefined && (caller.refused || caller.name !== to)) return
    this.#links.send(peer, encodeMessage(message))
  }

  fallSilent(): void {
    this.#silent = true
    for (const peer of [...this.#up.keys()]) this.#tellDown(peer)
  }

  condemn(name: NodeId, why: string): void {
    this.#init.seen?.condemn(name, why)
    const peer = peerOf(name)
    const caller = this.#callers.get(peer)
    if (caller?.name !== name) return
    this.#callers.set(peer, { ...caller, refused: true })
    this.#tellDown(peer)
  }

  async stop(): Promise<void> {
    await Promise.all([this.#links.stop(), this.#bulk.stop()])
  }

  protected call(to: NodeId, method: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    return this.#bulk.call(peerOf(to), method, request, { signal, timeoutMs: this.#init.bulkTimeoutMs ?? 20_000 })
  }

  /** The name behind a peer's streams, if it may speak. */
  #callerOf(peer: string): Caller | undefined {
    const caller = this.#callers.get(peer)
    return caller === undefined || caller.refused || this.#silent ? undefined : caller
  }

  #nameOf(peer: string): NodeId {
    return this.#callers.get(peer)?.name ?? peer
  }

  /** Tells the node who is up behind the link to a peer, once both directions stand; and that who was is not, if that is another. */
  #tellUp(peer: string): void {
    const caller = this.#callerOf(peer)
    const told = this.#up.get(peer)
    if (told !== undefined && told.name !== caller?.name) this.#tellDown(peer)
    if (caller === undefined || !this.#links.isUp(peer)) return
    if (this.#up.get(peer)?.featureLevel === caller.featureLevel) return
    this.#up.set(peer, caller)
    this.#handler?.onPeerUp(caller.name, { featureLevel: caller.featureLevel })
  }

  #tellDown(peer: string): void {
    const told = this.#up.get(peer)
    if (told === undefined) return
    this.#up.delete(peer)
    this.#handler?.onPeerDown(told.name)
  }

  #judge(peer: string, bytes: Uint8Array): string | undefined {
    const hello = decodeHello(bytes)
    if (typeof hello === 'string') return hello
    const objection = this.#objection(peer, hello)
    const { memberId: name, featureLevel, life } = hello
    const refused = objection !== undefined
    const seen = refused || life === undefined ? undefined : this.#init.seen?.met(name, life)
    this.#forgetCallers()
    this.#callers.set(peer, { name, featureLevel, seen, refused })
    this.#tellUp(peer)
    return objection
  }

  #objection(peer: string, hello: Hello): string | undefined {
    const { memberId, life } = hello
    if (!isNameOf(memberId, peer)) return `it says it is ${memberId}, and its connection says ${peer}`
    const { clusterId, seen } = this.#init
    if (hello.clusterId !== clusterId) {
      return `it belongs to the cluster ${hello.clusterId || '(none)'}, and this peer to the cluster ${clusterId || '(none)'}`
    }
    const older = life === undefined ? undefined : seen?.objection(memberId, life)
    return older === undefined ? undefined : `${OLDER_COPY}${older}`
  }

  /** Keeps strangers from filling the memory by coming and going. */
  #forgetCallers(): void {
    if (this.#callers.size < MAX_CALLERS) return
    for (const peer of this.#callers.keys()) {
      if (!this.#links.hears(peer) && !this.#links.isUp(peer)) this.#callers.delete(peer)
    }
  }
}
