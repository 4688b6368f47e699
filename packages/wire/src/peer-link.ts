/**
 * The sending half of a link: keeps one outgoing stream to one peer up for as long as it is wanted, dialling again whenever it
 * is down. libp2p 3 does not dial by itself, and gives up on tagged peers after five attempts. Made by `links.ts`.
 *
 * A stream counts as up once the peer has answered the hello with ACCEPTED. The peer answers on the same stream, in the
 * direction that carries nothing else: one byte, and after REFUSED the reason as text.
 *
 * The hello begins with a byte that says whether this end wants the link, or only answers one that the peer wants; when that
 * changes an empty frame says so. Without it two ends that answer each other would do so for ever.
 */

import { type Frame, FramedStream } from './framed-stream.ts'
import { asError, type Libp2pHost, peerAddress } from './host.ts'

export const HELLO_REFUSED = 0
export const HELLO_ACCEPTED = 1

/** First byte of a hello. */
export const LINK_ANSWERS = 0
export const LINK_WANTED = 1

const EMPTY = new Uint8Array(0)

/** Longest hello, its first byte included. */
export const MAX_HELLO_BYTES = 4096

/** Longest reason taken from a peer. */
export const MAX_REASON_BYTES = 1024

export interface PeerLinkInit {
  readonly host: Libp2pHost
  readonly peer: string
  readonly protocol: string
  readonly maxFrameBytes: number
  readonly maxQueuedBytes: number
  readonly minRedialMs: number
  readonly maxRedialMs: number
  /** For one attempt: dialling, opening the stream, and the answer to the hello. */
  readonly dialTimeoutMs: number
  readonly random: () => number
  readonly hello: () => Uint8Array
  readonly onUp: () => void
  readonly onDown: () => void
  readonly onRefused: (reason: string) => void
  /** An attempt failed. */
  readonly onFailed: (error: Error) => void
}

export class PeerLink {
  readonly #init: PeerLinkInit
  readonly #stopped = new AbortController()
  /** Set while the peer has accepted the hello and the stream stands. */
  #up: FramedStream | undefined
  /** Attempts in a row that did not bring the link up. */
  #failures = 0
  #wanted: boolean
  /** What the peer was told last, on the stream that stands. */
  #toldWanted = false
  #wake: (() => void) | undefined

  /** @param wanted - this end wants the link, as opposed to: it answers the peer */
  constructor(init: PeerLinkInit, wanted: boolean) {
    this.#init = init
    this.#wanted = wanted
    void this.#run()
  }

  get up(): boolean {
    return this.#up !== undefined
  }

  get queuedBytes(): number {
    return this.#up?.queuedBytes ?? 0
  }

  /** @returns false if the frame was dropped */
  send(frame: Frame): boolean {
    return this.#up?.send(frame) ?? false
  }

  /** Says whether this end wants the link from now on. */
  set wanted(wanted: boolean) {
    this.#wanted = wanted
    this.#tellWanted()
  }

  #tellWanted(): void {
    if (this.#up === undefined || this.#toldWanted === this.#wanted) return
    this.#toldWanted = this.#wanted
    // A dropped change would be wrong for ever, a new stream begins with the truth.
    if (!this.#up.send(EMPTY)) this.#up.abort(new Error('the queue is full'))
  }

  /** There is a reason to believe that the peer can be reached: try now. */
  hurry(): void {
    this.#wake?.()
  }

  /** Ends the link for good. Sends what waits, if that is quickly done. */
  async stop(): Promise<void> {
    if (this.#stopped.signal.aborted) return
    const up = this.#up
    this.#up = undefined
    // Closed before the abort below, which would end a young stream with what waits on it.
    const closing = up?.close()
    this.#stopped.abort()
    this.#wake?.()
    await closing
    if (up !== undefined) this.#init.onDown()
  }

  async #run(): Promise<void> {
    const stopped = this.#stopped.signal
    while (!stopped.aborted) {
      try {
        await this.#connectAndHold()
      } catch (error) {
        if (stopped.aborted) return
        this.#init.onFailed(asError(error))
      }
      if (!stopped.aborted) await this.#pause()
    }
  }

  /** Opens the stream, says hello, and resolves when the stream is over. Rejects if it never came up. */
  async #connectAndHold(): Promise<void> {
    const { host, peer, protocol, maxFrameBytes, maxQueuedBytes, dialTimeoutMs } = this.#init
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(dialTimeoutMs)])
    const stream = await host.dialProtocol(peerAddress(peer), protocol, { signal, maxOutboundStreams: 8 })
    const over = Promise.withResolvers<void>()
    const framed: FramedStream = new FramedStream(stream, {
      maxFrameBytes,
      maxQueuedBytes,
      onFrame: (frame) => this.#onAnswer(framed, frame),
      onClose: (error) => {
        const wasUp = this.#up === framed
        if (wasUp) {
          this.#up = undefined
          this.#init.onDown()
        }
        if (wasUp || error === undefined) over.resolve()
        else over.reject(error)
      }
    })
    const giveUp = () => framed.abort(new Error(`Peer ${peer} did not answer the hello within ${dialTimeoutMs} ms`))
    if (signal.aborted) giveUp()
    signal.addEventListener('abort', () => {
      if (this.#up !== framed) giveUp()
    })
    this.#toldWanted = this.#wanted
    framed.send([Uint8Array.of(this.#wanted ? LINK_WANTED : LINK_ANSWERS), this.#init.hello()])
    await over.promise
  }

  #onAnswer(framed: FramedStream, frame: Uint8Array): void {
    if (this.#up === framed || this.#stopped.signal.aborted) return
    if (frame.length === 1 && frame[0] === HELLO_ACCEPTED) {
      this.#up = framed
      this.#failures = 0
      this.#tellWanted()
      this.#init.onUp()
      return
    }
    if (frame[0] === HELLO_REFUSED) {
      this.#init.onRefused(new TextDecoder().decode(frame.subarray(1, 1 + MAX_REASON_BYTES)))
    }
    framed.abort(new Error('the peer refused the hello'))
  }

  /** Waits before the next attempt: doubling from `minRedialMs` to `maxRedialMs`, half of it at random so that peers do not dial in step. */
  #pause(): Promise<void> {
    const { minRedialMs, maxRedialMs, random } = this.#init
    const ceiling = Math.min(maxRedialMs, minRedialMs * 2 ** Math.min(this.#failures++, 20))
    return new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ceiling * (0.5 + random() / 2))
      timer.unref()
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    }).then(() => {
      this.#wake = undefined
    })
  }
}
