/**
 * One libp2p stream that carries frames both ways: parses what arrives, and gathers what is sent within one turn of the event
 * loop into one write, since muxing and encrypting cost per write and not per byte. Used by `links.ts`, `peer-link.ts`,
 * `rpc-client.ts` and `rpc-server.ts`.
 *
 * Three habits of libp2p streams are dealt with here, so that nobody else has to know them: `send` takes any amount and only
 * answers false, so the queue is bounded and waits for `drain`; the receiver slows its sender only by `pause`; an exception in
 * an event listener would end the process, so nothing leaves a listener.
 */

import type { Stream } from '@libp2p/interface'
import { WireProtocolError } from './errors.ts'
import { FRAME_HEADER_BYTES, FrameParser } from './frame-parser.ts'
import { thinWindowUpdates } from './window-updates.ts'

/** One message: its bytes, or the parts that make it up. Must not be written to after it was given away. */
export type Frame = Uint8Array | readonly Uint8Array[]

/** Most bytes handed to libp2p in one write: enough to pay for the write, little enough for heartbeats of other streams to get between. */
const MAX_WRITE_BYTES = 256 * 1024

/** The largest receive window of yamux is 16 MiB: as much may still arrive after `pause`, and must not count as an overrun. */
const MAX_READ_BUFFER_BYTES = 17 * 1024 * 1024

/** How long a stream that is closed may take to send what waits, and its peer to close its end. */
const CLOSE_TIMEOUT_MS = 1000

export interface FramedStreamInit {
  /** Largest frame taken, until `allowFrames` says otherwise, or sent; without its header. */
  readonly maxFrameBytes: number
  /** Most bytes that wait to be sent, headers included. */
  readonly maxQueuedBytes: number
  /** A frame arrived. Shares memory with the network's buffers; keep it as long as you like, write to it never. */
  readonly onFrame: (frame: Uint8Array) => void
  /** The stream is over, in either direction, for whatever reason. Called exactly once, never from within a method of this class. */
  readonly onClose: (error: Error | undefined) => void
  /** The queue is empty again after `send` has answered false. */
  readonly onWritable?: () => void
}

const partsOf = (frame: Frame): readonly Uint8Array[] => (frame instanceof Uint8Array ? [frame] : frame)

export class FramedStream {
  readonly #stream: Stream
  readonly #init: FramedStreamInit
  readonly #parser: FrameParser
  /** Frames that wait, oldest first, each as its parts; `#queuedBytes` is the sum of their sizes and headers. */
  #queue: { readonly parts: readonly Uint8Array[]; readonly bytes: number }[] = []
  #queuedBytes = 0
  #flushScheduled = false
  /** libp2p asked to wait for `drain`. */
  #blocked = false
  #refusedSome = false
  #closed = false

  constructor(stream: Stream, init: FramedStreamInit) {
    this.#stream = stream
    this.#init = init
    this.#parser = new FrameParser(init.maxFrameBytes, (frame) => {
      if (!this.#closed) init.onFrame(frame)
    })
    thinWindowUpdates(stream)
    stream.maxReadBufferLength = MAX_READ_BUFFER_BYTES
    stream.maxWriteBufferLength = 2 * (MAX_WRITE_BYTES + init.maxFrameBytes)
    stream.addEventListener('message', (event) => {
      try {
        this.#receive(event.data instanceof Uint8Array ? [event.data] : event.data)
      } catch (error) {
        this.abort(error instanceof Error ? error : new Error(String(error)))
      }
    })
    stream.addEventListener('drain', () => {
      this.#blocked = false
      this.#scheduleFlush()
    })
    stream.addEventListener('close', (event) => this.#onEnd(event.error))
    // The peer will send no more. Neither end uses half a stream, so this is its end.
    stream.addEventListener('end', () => {
      void this.close()
    })
    if (stream.status !== 'open') queueMicrotask(() => this.#onEnd(undefined))
  }

  /** Takes frames of up to `bytes` from the next one on. */
  allowFrames(bytes: number): void {
    this.#parser.maxFrameBytes = bytes
  }

  /** Bytes that wait to be sent. */
  get queuedBytes(): number {
    return this.#queuedBytes + this.#stream.writeBufferLength
  }

  get closed(): boolean {
    return this.#closed
  }

  /**
   * Queues one frame; it leaves with all others of this turn.
   *
   * @returns false if it was dropped: the stream is over, the queue is full, or the frame is larger than `maxFrameBytes`
   */
  send(frame: Frame): boolean {
    if (this.#closed) return false
    const parts = partsOf(frame)
    let bytes = 0
    for (const part of parts) bytes += part.length
    if (bytes > this.#init.maxFrameBytes) return false
    // One frame always fits, however small the bound.
    const queued = this.queuedBytes
    if (queued > 0 && queued + bytes + FRAME_HEADER_BYTES > this.#init.maxQueuedBytes) {
      this.#refusedSome = true
      return false
    }
    this.#queue.push({ parts, bytes })
    this.#queuedBytes += bytes + FRAME_HEADER_BYTES
    this.#scheduleFlush()
    return true
  }

  /** Takes no more frames until `resume`, and makes the peer wait; those of the chunk at hand still arrive. */
  pause(): void {
    if (this.#closed) return
    try {
      this.#stream.pause()
    } catch {
      // It is closing: nothing more arrives anyway.
    }
  }

  resume(): void {
    if (this.#closed) return
    try {
      this.#stream.resume()
    } catch {
      // As for `pause`.
    }
  }

  /** Ends the stream now; what waits is lost. */
  abort(reason: Error): void {
    if (this.#closed) return
    this.#stream.abort(reason)
    this.#onEnd(reason)
  }

  /** Sends what waits, then ends the stream. Never rejects. */
  async close(): Promise<void> {
    if (this.#closed) return
    const signal = AbortSignal.timeout(CLOSE_TIMEOUT_MS)
    while (this.#queue.length > 0 && !this.#closed) this.#write()
    this.#onEnd(undefined)
    try {
      await this.#stream.close({ signal })
    } catch (error) {
      this.#stream.abort(error instanceof Error ? error : new Error(String(error)))
    }
    // The other end may never close its half: this end does not wait for that for ever.
    signal.addEventListener('abort', () => this.#stream.abort(new Error('the peer did not close its end')), {
      once: true
    })
  }

  #receive(chunks: Iterable<Uint8Array>): void {
    if (this.#closed) return
    for (const chunk of chunks) {
      const failure = this.#parser.push(chunk)
      if (failure !== undefined) {
        this.abort(new WireProtocolError(`Cannot read from the stream: ${failure}`))
        return
      }
    }
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#blocked || this.#closed) return
    this.#flushScheduled = true
    queueMicrotask(() => {
      this.#flushScheduled = false
      while (this.#queue.length > 0 && !this.#blocked && !this.#closed) this.#write()
      if (this.#queue.length === 0 && this.#refusedSome && !this.#closed) {
        this.#refusedSome = false
        this.#init.onWritable?.()
      }
    })
  }

  /** Hands the oldest frames to libp2p, as many as make one write. */
  #write(): void {
    let count = 0
    let bytes = 0
    while (count < this.#queue.length && (count === 0 || bytes < MAX_WRITE_BYTES)) {
      bytes += this.#queue[count++]!.bytes + FRAME_HEADER_BYTES
    }
    const chunk = Buffer.allocUnsafe(bytes)
    let at = 0
    for (let i = 0; i < count; i++) {
      const frame = this.#queue[i]!
      at = chunk.writeUInt32LE(frame.bytes, at)
      for (const part of frame.parts) {
        chunk.set(part, at)
        at += part.length
      }
    }
    if (count === this.#queue.length) this.#queue = []
    else this.#queue.splice(0, count)
    this.#queuedBytes -= bytes
    try {
      if (!this.#stream.send(chunk)) this.#blocked = this.#stream.writableNeedsDrain
    } catch (error) {
      this.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #onEnd(error: Error | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#queue = []
    this.#queuedBytes = 0
    queueMicrotask(() => this.#init.onClose(error))
  }
}
