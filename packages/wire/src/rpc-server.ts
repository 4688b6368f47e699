/**
 * The answering end of one stream of calls: runs handlers, bounds how many run and how much they may have waiting, and sends
 * what they answer no faster than the caller gives credit. Made by `rpc.ts` for each stream that a peer opens.
 */

import type { Stream } from '@libp2p/interface'
import { type RpcRefusedCode, WireProtocolError } from './errors.ts'
import { FramedStream } from './framed-stream.ts'
import type { RpcHandler, RpcLimits } from './rpc.ts'
import {
  failureFrame,
  frameHead,
  itemCost,
  maxRpcFrameBytes,
  RpcFrame,
  type RpcRequest,
  readCredit,
  readHead,
  readRequest
} from './rpc-frames.ts'

export interface RpcServerInit {
  readonly stream: Stream
  readonly peer: string
  readonly limits: RpcLimits
  readonly handler: (method: string) => RpcHandler | undefined
  readonly authorize: (peer: string, method: string) => boolean
  /** Counts one call against what the peer may have under way over all of its streams. @returns false if that is too many */
  readonly begin: () => boolean
  readonly end: () => void
  readonly onClose: () => void
}

/** A call that is being answered. */
interface Serving {
  readonly abort: AbortController
  /** Bytes of items that may still be sent; an item is sent whole, so it can go below 0. */
  credit: number
  /** Called when `credit` grew, or the stream can be written to again. */
  wake: (() => void) | undefined
}

const isAsyncIterable = (value: unknown): value is AsyncIterable<Uint8Array> =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value

const textOf = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '')

export class RpcServer {
  readonly #init: RpcServerInit
  readonly #framed: FramedStream
  readonly #serving = new Map<number, Serving>()

  constructor(init: RpcServerInit) {
    this.#init = init
    this.#framed = new FramedStream(init.stream, {
      maxFrameBytes: maxRpcFrameBytes(init.limits.maxMessageBytes),
      maxQueuedBytes: init.limits.maxQueuedBytes,
      onFrame: (frame) => this.#onFrame(frame),
      onWritable: () => {
        this.#framed.resume()
        for (const call of this.#serving.values()) call.wake?.()
      },
      onClose: () => {
        for (const call of this.#serving.values()) call.abort.abort(new Error('the caller is gone'))
        for (const call of this.#serving.values()) call.wake?.()
        init.onClose()
      }
    })
  }

  /** No call is being answered. */
  get idle(): boolean {
    return this.#serving.size === 0
  }

  close(): Promise<void> {
    return this.#framed.close()
  }

  #onFrame(frame: Uint8Array): void {
    const head = readHead(frame)
    if (head === undefined) {
      this.#broken('a frame without a head')
      return
    }
    const call = this.#serving.get(head.id)
    switch (head.type) {
      case RpcFrame.request: {
        const request = readRequest(frame)
        if (request === undefined || call !== undefined) {
          this.#broken('a bad request')
          return
        }
        this.#onRequest(head.id, request)
        return
      }
      case RpcFrame.credit: {
        const bytes = readCredit(frame)
        if (bytes === undefined) {
          this.#broken('a bad credit')
          return
        }
        if (call === undefined) return
        call.credit = Math.min(call.credit + bytes, 0xffff_ffff)
        call.wake?.()
        return
      }
      case RpcFrame.cancel:
        call?.abort.abort(new Error('the caller cancelled the call'))
        call?.wake?.()
        return
      default:
        this.#broken(`a frame of type ${head.type}`)
    }
  }

  #broken(what: string): void {
    this.#framed.abort(new WireProtocolError(`Cannot read a call of ${this.#init.peer}: ${what}`))
  }

  #onRequest(id: number, request: RpcRequest): void {
    const { peer, authorize, handler } = this.#init
    const { method } = request
    const run = handler(method)
    // Who may not call a method does not learn whether it exists.
    if (!authorize(peer, method)) {
      this.#refuse(id, 'forbidden', `Peer ${peer} may not call ${method}`)
      return
    }
    if (run === undefined) {
      this.#refuse(id, 'unknown-method', `There is no method ${method} here`)
      return
    }
    if (!this.#init.begin()) {
      this.#refuse(id, 'busy', `Peer ${peer} has too many calls under way here`)
      return
    }
    const call: Serving = { abort: new AbortController(), credit: request.credit, wake: undefined }
    this.#serving.set(id, call)
    void this.#run(id, call, run, request).finally(() => {
      this.#serving.delete(id)
      this.#init.end()
    })
  }

  /** Never rejects. */
  async #run(id: number, call: Serving, run: RpcHandler, request: RpcRequest): Promise<void> {
    const { signal } = call.abort
    try {
      const answer = await run(request.payload, { peer: this.#init.peer, signal })
      if (isAsyncIterable(answer)) await this.#sendItems(id, call, answer)
      else await this.#sendPayload(RpcFrame.response, id, call, answer)
    } catch (error) {
      if (signal.aborted) return
      const refused = error instanceof TooLargeError
      // Whatever was thrown, even nothing.
      const { name, code, message } = (error ?? {}) as { name?: unknown; code?: unknown; message?: unknown }
      const failure = { refused, name: textOf(name), code: textOf(code), message: textOf(message) }
      await this.#send(failureFrame(id, failure), call)
    }
  }

  async #sendItems(id: number, call: Serving, items: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const item of items) {
      while (call.credit <= 0 && !call.abort.signal.aborted) await this.#wait(call)
      if (call.abort.signal.aborted) return
      call.credit -= itemCost(item)
      await this.#sendPayload(RpcFrame.item, id, call, item)
    }
    await this.#send(frameHead(RpcFrame.end, id), call)
  }

  async #sendPayload(type: number, id: number, call: Serving, payload: Uint8Array): Promise<void> {
    const { maxMessageBytes } = this.#init.limits
    if (payload.length > maxMessageBytes) throw new TooLargeError(payload.length, maxMessageBytes)
    await this.#send([frameHead(type, id), payload], call)
  }

  /** Waits until the frame fits the queue; gives up when the call is cancelled or the stream is over. */
  async #send(frame: Uint8Array | readonly Uint8Array[], call: Serving): Promise<void> {
    while (!this.#framed.closed && !call.abort.signal.aborted && !this.#framed.send(frame)) {
      // A peer that asks much and reads little is not read from either.
      this.#framed.pause()
      await this.#wait(call)
    }
  }

  #wait(call: Serving): Promise<void> {
    return new Promise((resolve) => {
      call.wake = () => {
        call.wake = undefined
        resolve()
      }
    })
  }

  #refuse(id: number, code: RpcRefusedCode, message: string): void {
    // A refusal that finds the queue full is dropped: its caller times out, as it would without a connection.
    this.#framed.send(failureFrame(id, { refused: true, name: 'RpcRefusedError', code, message }))
  }
}

class TooLargeError extends Error {
  override readonly name = 'RpcRefusedError'
  readonly code: RpcRefusedCode = 'too-large'

  constructor(bytes: number, maxBytes: number) {
    super(`The answer has ${bytes} bytes, the most that is sent at once is ${maxBytes}`)
  }
}
