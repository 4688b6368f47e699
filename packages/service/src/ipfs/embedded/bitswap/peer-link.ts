/**
 * What goes from this node to one other: a stream, and what is to be sent on it. What we want of the peer, and what it asked of us
 * (`Ledger`), leave in common messages, made when the stream can take them; nothing is queued that could be made later, so that a slow
 * peer costs one message of memory. A stream that breaks is opened once more with the same message, because a stream breaks for
 * harmless reasons too (other implementations close idle ones); after that the peer counts as not asked.
 */

import type { Libp2p, PeerId, Stream } from '@libp2p/interface'
import type { Semaphore } from '../semaphore.ts'
import type { Ledger } from './ledger.ts'
import { encodeFrame, WANT_BLOCK, type WantEntry } from './message.ts'

export const BITSWAP_PROTOCOL = '/ipfs/bitswap/1.2.0'
/** Entries of one message; the rest follow in the next. */
const MAX_ENTRIES = 1024
/** Other implementations reset a stream on which nothing came for 10 s. */
const IDLE_CLOSE_MS = 5000
const SEND_TIMEOUT_MS = 30_000

export interface PeerLinkComponents {
  readonly libp2p: Libp2p
  readonly peer: PeerId
  readonly ledger: Ledger
  /** Bounds how many messages with blocks are held in memory at once, over all peers. */
  readonly sending: Semaphore
  /** What was sent may not have arrived. */
  readonly onLost: () => void
}

export class PeerLink {
  readonly peer: PeerId
  readonly name: string
  readonly ledger: Ledger
  /** Blocks asked of the peer that have not come. */
  outstanding = 0
  /** When anything came from it last, by `performance.now()`. */
  heardAtMs = 0
  readonly #libp2p: Libp2p
  readonly #sending: Semaphore
  readonly #onLost: () => void
  /** By block key; the latest wish replaces an earlier one that has not left. */
  readonly #entries = new Map<string, WantEntry>()
  readonly #closed = new AbortController()
  #stream: Stream | undefined
  #running = false
  #idle: NodeJS.Timeout | undefined

  constructor(components: PeerLinkComponents) {
    this.#libp2p = components.libp2p
    this.peer = components.peer
    this.name = components.peer.toString()
    this.ledger = components.ledger
    this.#sending = components.sending
    this.#onLost = components.onLost
  }

  want(key: string, cid: Uint8Array, wantType: WantEntry['wantType']): void {
    this.#entries.set(key, { cid, cancel: false, wantType, sendDontHave: true })
    this.wake()
  }

  cancel(key: string, cid: Uint8Array): void {
    this.#entries.set(key, { cid, cancel: true, wantType: WANT_BLOCK, sendDontHave: false })
    this.wake()
  }

  /** There is something to send. At the end of this turn of the event loop, so that what belongs together leaves together. */
  wake(): void {
    if (this.#running || this.#closed.signal.aborted) return
    this.#running = true
    setImmediate(() => {
      void this.#run()
    })
  }

  close(): void {
    this.#closed.abort()
    clearTimeout(this.#idle)
    this.#stream?.abort(new Error('the connection is not used any more'))
    this.#stream = undefined
    this.#entries.clear()
  }

  async #run(): Promise<void> {
    clearTimeout(this.#idle)
    try {
      while (!this.#closed.signal.aborted && (this.#entries.size > 0 || this.ledger.hasWork)) {
        const release = await this.#sending.acquire()
        try {
          const wants = this.#takeEntries()
          const { blocks, presences } = this.ledger.take()
          if (wants.length + blocks.length + presences.length === 0) continue
          await this.#send(encodeFrame({ wants, full: false, blocks, presences }))
        } finally {
          release()
        }
      }
    } catch {
      if (!this.#closed.signal.aborted) {
        this.#entries.clear()
        this.#onLost()
      }
    } finally {
      this.#running = false
      if (!this.#closed.signal.aborted) {
        this.#idle = setTimeout(() => this.#closeIdle(), IDLE_CLOSE_MS)
        // Something may have come between the last look and now.
        if (this.#entries.size > 0 || this.ledger.hasWork) this.wake()
      }
    }
  }

  #takeEntries(): WantEntry[] {
    const taken: WantEntry[] = []
    for (const [key, entry] of this.#entries) {
      if (taken.length === MAX_ENTRIES) break
      this.#entries.delete(key)
      taken.push(entry)
    }
    return taken
  }

  async #send(frame: readonly Uint8Array[]): Promise<void> {
    try {
      await this.#sendOnce(frame)
    } catch (error) {
      if (this.#closed.signal.aborted) throw error
      await this.#sendOnce(frame)
    }
  }

  async #sendOnce(frame: readonly Uint8Array[]): Promise<void> {
    const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(SEND_TIMEOUT_MS)])
    let stream = this.#stream
    if (stream === undefined || stream.writeStatus !== 'writable') stream = await this.#open(signal)
    try {
      for (const part of frame) if (!stream.send(part)) await stream.onDrain({ signal })
    } catch (error) {
      if (this.#stream === stream) this.#stream = undefined
      stream.abort(error instanceof Error ? error : new Error(String(error)))
      throw error
    }
  }

  async #open(signal: AbortSignal): Promise<Stream> {
    const connection = this.#libp2p
      .getConnections(this.peer)
      .find((candidate) => candidate.status === 'open' && candidate.limits === undefined)
    if (connection === undefined) throw new Error(`no connection to ${this.name}`)
    const stream = await connection.newStream(BITSWAP_PROTOCOL, { signal, maxOutboundStreams: 64 })
    this.#stream = stream
    return stream
  }

  #closeIdle(): void {
    const stream = this.#stream
    if (stream === undefined || this.#running) return
    this.#stream = undefined
    stream.close({ signal: AbortSignal.timeout(SEND_TIMEOUT_MS) }).catch((error) => stream.abort(error))
  }
}
