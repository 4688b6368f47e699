/**
 * Links between peers for a protocol of small, frequent, droppable messages (consensus, gossip): to each wanted peer one
 * long-lived stream, kept up by its own redial loop.
 *
 * Each side sends on the stream that it opened and receives on the one that the other opened. Either side can then redial
 * without agreeing with the other on whose stream counts, two peers that dial at the same moment need no tie-break, and a
 * stream that breaks in one direction says so to the side that has to act. The price is one more stream per pair.
 *
 * The first frame on a stream is a hello of the application's making; the receiver accepts it, or refuses it with a reason
 * that the sender is told. A frame that does not fit the bounded queue is dropped: the protocols above send again by themselves.
 */

import type { Connection, PeerId, Stream } from '@libp2p/interface'
import { WireProtocolError } from './errors.ts'
import { type Frame, FramedStream } from './framed-stream.ts'
import { asError, type Libp2pHost, type WireLogger } from './host.ts'
import {
  HELLO_ACCEPTED,
  HELLO_REFUSED,
  LINK_WANTED,
  MAX_HELLO_BYTES,
  MAX_REASON_BYTES,
  PeerLink,
  type PeerLinkInit
} from './peer-link.ts'

export interface LinksInit {
  readonly libp2p: Libp2pHost
  /** Protocol id, like `/quorate/raft/1`. */
  readonly protocol: string
  /** Largest frame sent or taken. A peer that announces a larger one has its stream aborted. */
  readonly maxFrameBytes: number
  /** Most bytes that wait for one peer; what comes on top is dropped. */
  readonly maxQueuedBytes: number
  /** Makes the first frame of each stream that this end opens; at most 4 KiB. */
  readonly hello: () => Uint8Array
  /** Judges the first frame of each stream that a peer opens. @returns why it is refused, in plain words for the peer's operator; undefined to accept */
  readonly onHello: (peer: string, hello: Uint8Array) => string | undefined
  readonly logger?: WireLogger
  /** First wait before dialling again. @default 50 */
  readonly minRedialMs?: number
  /** Longest wait before dialling again. @default 1000 */
  readonly maxRedialMs?: number
  /** Limit of one attempt, from dialling to the answer to the hello. @default 3000 */
  readonly dialTimeoutMs?: number
  /** Spreads redials; in [0, 1). @default Math.random */
  readonly random?: () => number
}

/** What happens on links. Called synchronously from the network's events; must not throw. */
export interface LinksHandler {
  /**
   * Frames of one peer arrive in the order sent. Shares memory with the network's buffers: keep it, but never write to it.
   *
   * @returns why nobody who keeps to the protocol could have sent it, in plain words: the peer's stream is aborted, and it has to begin anew;
   * undefined to go on
   */
  onFrame(peer: string, frame: Uint8Array): string | undefined
  /** Frames can be sent to the peer from now on. */
  onUp(peer: string): void
  /** The stream to the peer is gone. Fires at once when the peer's process dies, since its system then resets the connection. */
  onDown(peer: string): void
  /** The peer refused our hello, with this reason. At most every ten seconds for the same peer and reason. */
  onRefused?(peer: string, reason: string): void
}

export interface FrameLinks {
  /** Begins to accept streams and to dial. */
  start(handler: LinksHandler): Promise<void>
  /**
   * Whom to keep links to, from now on. A peer that keeps a link to us is kept one to in any case, so that it can be
   * answered. Own ID and duplicates are ignored.
   */
  setPeers(peers: Iterable<string>): void
  /** Queues a frame of at least one byte; all that is queued for a peer within one turn leaves in one write. @returns false if it was dropped */
  send(peer: string, frame: Frame): boolean
  isUp(peer: string): boolean
  /** Whether a stream stands that the peer opened and whose hello was accepted. */
  hears(peer: string): boolean
  /** Bytes that wait for this peer. */
  queuedBytes(peer: string): number
  /** Takes no more frames from this peer until `resume`; makes it wait once its window is full. */
  pause(peer: string): void
  resume(peer: string): void
  /** Closes all streams, and accepts no more. */
  stop(): Promise<void>
}

/** A stream that says nothing for so long after it was opened is aborted. */
const HELLO_TIMEOUT_MS = 5000
const REFUSED_THROTTLE_MS = 10_000
/** How often a peer may say on one stream that it wants the link, or no longer does: each costs this end a dial, and the peer 4 bytes. */
const MAX_WISHES = 64
/** Peers that may have a stream to us open although we did not ask for them. */
const MAX_UNASKED_PEERS = 256

/**
 * Makes links that are not started yet.
 *
 * @example
 * const links = createLinks({
 *   libp2p, protocol: '/example/1', maxFrameBytes: 1 << 20, maxQueuedBytes: 8 << 20,
 *   hello: () => new TextEncoder().encode('group-a'),
 *   onHello: (peer, hello) => new TextDecoder().decode(hello) === 'group-a' ? undefined : 'this is group-a'
 * })
 * await links.start({ onFrame: (peer, frame) => undefined, onUp: (peer) => links.send(peer, frame), onDown: (peer) => {} })
 * links.setPeers(['12D3KooW…'])
 */
export function createLinks(init: LinksInit): FrameLinks {
  return new Links(init)
}

class Links implements FrameLinks {
  readonly #init: LinksInit
  readonly #self: string
  #handler: LinksHandler | undefined
  #wanted: ReadonlySet<string> = new Set()
  readonly #outgoing = new Map<string, PeerLink>()
  /** Accepted streams that peers opened, one a peer: a newer one ends the older. */
  readonly #incoming = new Map<string, FramedStream>()
  /** Peers that want the stream that they opened, as opposed to: that answer ours. A subset of the keys of `#incoming`. */
  readonly #wantedBy = new Set<string>()
  /** Streams whose hello has not been judged yet. */
  readonly #strangers = new Set<FramedStream>()
  readonly #lastRefusal = new Map<string, { readonly reason: string; readonly atMs: number }>()
  readonly #onConnected = (event: CustomEvent<PeerId>) => this.#outgoing.get(event.detail.toString())?.hurry()

  constructor(init: LinksInit) {
    this.#init = init
    this.#self = init.libp2p.peerId.toString()
  }

  async start(handler: LinksHandler): Promise<void> {
    if (this.#handler !== undefined) throw new Error(`The links of ${this.#init.protocol} are started already`)
    this.#handler = handler
    const { libp2p, protocol } = this.#init
    libp2p.addEventListener('peer:connect', this.#onConnected)
    await libp2p.handle(protocol, (stream, connection) => this.#accept(stream, connection), {
      maxInboundStreams: 8,
      maxOutboundStreams: 8
    })
    this.#reconcile()
  }

  async stop(): Promise<void> {
    if (this.#handler === undefined) return
    this.#handler = undefined
    const { libp2p, protocol } = this.#init
    libp2p.removeEventListener('peer:connect', this.#onConnected)
    await libp2p.unhandle(protocol)
    const streams = [...this.#incoming.values(), ...this.#strangers]
    this.#incoming.clear()
    this.#wantedBy.clear()
    this.#strangers.clear()
    const links = [...this.#outgoing.values()]
    this.#outgoing.clear()
    await Promise.all([...streams.map((stream) => stream.close()), ...links.map((link) => link.stop())])
  }

  setPeers(peers: Iterable<string>): void {
    this.#wanted = new Set(peers)
    this.#reconcile()
  }

  send(peer: string, frame: Frame): boolean {
    if (frame.length === 0) return false
    return this.#outgoing.get(peer)?.send(frame) ?? false
  }

  isUp(peer: string): boolean {
    return this.#outgoing.get(peer)?.up ?? false
  }

  hears(peer: string): boolean {
    return this.#incoming.has(peer)
  }

  queuedBytes(peer: string): number {
    return this.#outgoing.get(peer)?.queuedBytes ?? 0
  }

  pause(peer: string): void {
    this.#incoming.get(peer)?.pause()
  }

  resume(peer: string): void {
    this.#incoming.get(peer)?.resume()
  }

  /** Makes the links match whom we want and who wants us. */
  #reconcile(): void {
    if (this.#handler === undefined) return
    for (const peer of [...this.#wanted, ...this.#wantedBy]) {
      if (peer !== this.#self && !this.#outgoing.has(peer)) this.#outgoing.set(peer, this.#link(peer))
    }
    for (const [peer, link] of this.#outgoing) {
      link.wanted = this.#wanted.has(peer)
      if (this.#wanted.has(peer) || this.#wantedBy.has(peer)) continue
      this.#outgoing.delete(peer)
      this.#lastRefusal.delete(peer)
      void link.stop()
    }
  }

  #link(peer: string): PeerLink {
    const { libp2p, protocol, maxFrameBytes, maxQueuedBytes, hello, logger } = this.#init
    const linkInit: PeerLinkInit = {
      host: libp2p,
      peer,
      protocol,
      maxFrameBytes,
      maxQueuedBytes,
      hello,
      minRedialMs: this.#init.minRedialMs ?? 50,
      maxRedialMs: this.#init.maxRedialMs ?? 1000,
      dialTimeoutMs: this.#init.dialTimeoutMs ?? 3000,
      random: this.#init.random ?? Math.random,
      onUp: () => this.#handler?.onUp(peer),
      onDown: () => this.#handler?.onDown(peer),
      onRefused: (reason) => this.#onRefused(peer, reason),
      onFailed: (error) => logger?.debug(`${protocol}: no link to ${peer}: ${error.message}`)
    }
    return new PeerLink(linkInit, this.#wanted.has(peer))
  }

  #onRefused(peer: string, reason: string): void {
    const last = this.#lastRefusal.get(peer)
    const nowMs = performance.now()
    if (last !== undefined && last.reason === reason && nowMs - last.atMs < REFUSED_THROTTLE_MS) return
    this.#lastRefusal.set(peer, { reason, atMs: nowMs })
    this.#handler?.onRefused?.(peer, reason)
  }

  #accept(stream: Stream, connection: Connection): void {
    const peer = connection.remotePeer.toString()
    if (this.#handler === undefined || this.#strangers.size >= MAX_UNASKED_PEERS) {
      stream.abort(new Error('no more streams are accepted'))
      return
    }
    let accepted = false
    const timer = setTimeout(() => framed.abort(new WireProtocolError('no hello came')), HELLO_TIMEOUT_MS)
    timer.unref()
    let wishes = 0
    const framed: FramedStream = new FramedStream(stream, {
      // Nobody may make this end hold more before it is known who it is.
      maxFrameBytes: MAX_HELLO_BYTES,
      maxQueuedBytes: 4 * MAX_REASON_BYTES,
      onFrame: (frame) => {
        if (accepted) {
          if (frame.length > 0) this.#take(peer, framed, frame)
          else if (++wishes > MAX_WISHES) framed.abort(new WireProtocolError('the peer changes its mind without end'))
          else if (this.#incoming.get(peer) === framed) this.#onWish(peer, !this.#wantedBy.has(peer))
          return
        }
        clearTimeout(timer)
        this.#strangers.delete(framed)
        accepted = this.#judge(peer, framed, frame)
      },
      onClose: () => {
        clearTimeout(timer)
        this.#strangers.delete(framed)
        if (this.#incoming.get(peer) !== framed) return
        this.#incoming.delete(peer)
        this.#onWish(peer, false)
      }
    })
    this.#strangers.add(framed)
  }

  /** A frame of an accepted stream. One that means nothing ends the stream: what else came on it would be no better. */
  #take(peer: string, framed: FramedStream, frame: Uint8Array): void {
    const reason = this.#handler?.onFrame(peer, frame)
    if (reason === undefined) return
    this.#init.logger?.warn(`${this.#init.protocol}: ended the stream of ${peer}: ${reason}`)
    framed.abort(new WireProtocolError(reason))
  }

  /** Answers the hello. @returns whether it is accepted */
  #judge(peer: string, framed: FramedStream, hello: Uint8Array): boolean {
    const reason = this.#refusal(peer, hello.subarray(1))
    if (reason !== undefined) {
      this.#init.logger?.warn(`${this.#init.protocol}: refused ${peer}: ${reason}`)
      const text = new TextEncoder().encode(reason).subarray(0, MAX_REASON_BYTES)
      framed.send([Uint8Array.of(HELLO_REFUSED), text])
      void framed.close()
      return false
    }
    const older = this.#incoming.get(peer)
    this.#incoming.set(peer, framed)
    older?.abort(new Error('the peer opened a newer stream'))
    framed.allowFrames(this.#init.maxFrameBytes)
    framed.send(Uint8Array.of(HELLO_ACCEPTED))
    this.#onWish(peer, hello[0] === LINK_WANTED)
    this.#outgoing.get(peer)?.hurry()
    return true
  }

  #onWish(peer: string, wants: boolean): void {
    if (wants) this.#wantedBy.add(peer)
    else this.#wantedBy.delete(peer)
    this.#reconcile()
  }

  #refusal(peer: string, hello: Uint8Array): string | undefined {
    try {
      const reason = this.#init.onHello(peer, hello)
      if (reason !== undefined) return reason
    } catch (error) {
      return `the hello could not be read: ${asError(error).message}`
    }
    const unasked = [...this.#incoming.keys()].filter((other) => !this.#wanted.has(other)).length
    if (unasked >= MAX_UNASKED_PEERS && !this.#wanted.has(peer)) return 'too many peers are connected'
    return undefined
  }
}
