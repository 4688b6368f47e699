/**
 * Exchange of blocks with other IPFS nodes: the protocol `/ipfs/bitswap/1.2.0` on a libp2p host. Called by the embedded node; made of
 * `wants.ts` (whom we ask), `ledger.ts` (what we are asked), `peer-link.ts` (what is sent) and `message.ts` (the bytes).
 *
 * Why not `@helia/bitswap`: it sends every want for a block to all peers and never tells them that it has come, so that in a cluster each
 * block travels several times; one peer that is stuck holds up the wants to all others; a want that is given up and taken up again
 * can be forgotten; and a stranger's want list decides how many blocks are read into memory at once.
 */

import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import type { Logger } from '../../../ports.ts'
import { blockKey, hashFunctionOf, RAW } from '../../cids.ts'
import { IpfsUnavailableError } from '../../errors.ts'
import { Semaphore } from '../semaphore.ts'
import { Ledger, type LocalBlocks } from './ledger.ts'
import { decodeMessage, FrameReader, HAVE, type MessageBlock } from './message.ts'
import { BITSWAP_PROTOCOL, PeerLink } from './peer-link.ts'
import { Session, TICK_MS, Wants } from './wants.ts'

/** The other implementations send at most 4 MiB. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024 + 64 * 1024
const MAX_INBOUND_STREAMS = 16
/** Messages with blocks in memory at once, over all peers: at most some 80 MB. */
const CONCURRENT_SENDS = 32

export interface BitswapComponents {
  readonly libp2p: Libp2p
  readonly blocks: LocalBlocks
  readonly logger: Logger
  /** See `WantsInit`. */
  readonly onStarved: (cid: CID) => void
}

export class Bitswap {
  readonly #libp2p: Libp2p
  readonly #blocks: LocalBlocks
  readonly #logger: Logger
  readonly #peers = new Map<string, PeerLink>()
  readonly #sending = new Semaphore(CONCURRENT_SENDS)
  readonly #wants: Wants
  #topologyId: string | undefined
  #ticking: NodeJS.Timeout | undefined
  #stopped = false

  constructor(components: BitswapComponents) {
    this.#libp2p = components.libp2p
    this.#blocks = components.blocks
    this.#logger = components.logger
    this.#wants = new Wants({
      peers: () => this.#peers.values(),
      onStarved: components.onStarved,
      nowMs: () => performance.now()
    })
  }

  async start(): Promise<void> {
    await this.#libp2p.handle(BITSWAP_PROTOCOL, (stream, connection) => this.#onStream(stream, connection), {
      maxInboundStreams: MAX_INBOUND_STREAMS,
      maxOutboundStreams: 64
    })
    this.#topologyId = await this.#libp2p.register(BITSWAP_PROTOCOL, {
      onConnect: (peer) => {
        this.#wants.connected(this.#linkTo(peer))
      },
      onDisconnect: (peer) => this.#onDisconnect(peer)
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#ticking)
    this.#wants.stop(new IpfsUnavailableError('the IPFS node is stopping'))
    if (this.#topologyId !== undefined) this.#libp2p.unregister(this.#topologyId)
    for (const peer of this.#peers.values()) peer.close()
    this.#peers.clear()
    await this.#libp2p.unhandle(BITSWAP_PROTOCOL)
  }

  /** For the blocks of one DAG. */
  session(): Session {
    return new Session()
  }

  /** Fetches a block; waits for as long as the signal allows. The bytes are verified. */
  want(cid: CID, session: Session, signal: AbortSignal): Promise<Uint8Array> {
    if (this.#stopped) return Promise.reject(new IpfsUnavailableError('the IPFS node is stopping'))
    this.#ticking ??= setInterval(() => {
      if (this.#wants.size > 0) return this.#wants.tick()
      clearInterval(this.#ticking)
      this.#ticking = undefined
    }, TICK_MS)
    return this.#wants.want(cid, session, signal)
  }

  /** A block has been stored here: whoever waits for it gets it. */
  stored(cid: CID, bytes: Uint8Array): void {
    const key = blockKey(cid)
    this.#wants.received(key, bytes, undefined)
    for (const peer of this.#peers.values()) if (peer.ledger.notify(key)) peer.wake()
  }

  #linkTo(peer: PeerId): PeerLink {
    const name = peer.toString()
    let link = this.#peers.get(name)
    if (link === undefined) {
      link = new PeerLink({
        libp2p: this.#libp2p,
        peer,
        ledger: new Ledger(this.#blocks),
        sending: this.#sending,
        onLost: () => this.#onLost(name)
      })
      this.#peers.set(name, link)
    }
    return link
  }

  #onLost(name: string): void {
    const link = this.#peers.get(name)
    if (link !== undefined) this.#wants.lost(link)
  }

  #onDisconnect(peer: PeerId): void {
    // One of two connections may have closed, as when both sides dialled at once.
    if (this.#libp2p.getConnections(peer).length > 0) return
    const name = peer.toString()
    const link = this.#peers.get(name)
    if (link === undefined) return
    this.#peers.delete(name)
    link.close()
    this.#wants.lost(link)
  }

  #onStream(stream: Stream, connection: Connection): void {
    const frames = new FrameReader(MAX_MESSAGE_BYTES)
    stream.addEventListener('message', (event) => {
      try {
        const chunk = event.data instanceof Uint8Array ? event.data : event.data.subarray()
        const link = this.#peers.get(connection.remotePeer.toString())
        if (link !== undefined) link.heardAtMs = performance.now()
        for (const frame of frames.push(chunk)) this.#onMessage(frame, connection.remotePeer)
      } catch (error) {
        this.#logger.debug(
          { peer: connection.remotePeer.toString(), error: (error as Error).message },
          'closed a bitswap stream'
        )
        stream.abort(error instanceof Error ? error : new Error(String(error)))
      }
    })
    const close = () => {
      stream.close({ signal: AbortSignal.timeout(10_000) }).catch((error) => stream.abort(error))
    }
    stream.addEventListener('remoteCloseWrite', close)
  }

  #onMessage(frame: Uint8Array, from: PeerId): void {
    // What was still on the way from a peer that has gone must not bring its link back.
    if (this.#stopped || this.#libp2p.getConnections(from).length === 0) return
    const message = decodeMessage(frame)
    const link = this.#linkTo(from)
    for (const block of message.blocks) this.#onBlock(block, link)
    for (const { cid, type } of message.presences) {
      const key = blockKey(CID.decode(cid))
      if (type === HAVE) this.#wants.hasBlock(key, link)
      else this.#wants.lacksBlock(key, link)
    }
    link.ledger.receive(message.wants, message.full)
    if (link.ledger.hasWork) link.wake()
  }

  #onBlock(block: MessageBlock, from: PeerLink): void {
    const multihash = multihashOf(block)
    if (multihash === undefined) return
    const key = blockKey(CID.createV1(RAW, multihash))
    this.#wants.received(key, block.data, from)
  }
}

/** Computed from the data: what the peer says of its block proves nothing. Undefined if it cannot be computed here. */
function multihashOf(block: MessageBlock): Digest.Digest<number, number> | undefined {
  const numbers: number[] = []
  let value = 0
  let factor = 1
  for (const byte of block.prefix) {
    value += (byte & 0x7f) * factor
    factor *= 128
    if (byte < 0x80) {
      numbers.push(value)
      value = 0
      factor = 1
    }
  }
  const [, , code, length] = numbers
  const hash = code === undefined ? undefined : hashFunctionOf(code)
  if (hash === undefined || length === undefined) return undefined
  const digest = hash.digest(block.data)
  if (length < 20 || length > digest.length) return undefined
  return Digest.create(hash.code, digest.subarray(0, length))
}
