/**
 * The asking end of one stream of calls: numbers them, hands answers to whoever waits, and gives credit for what was consumed.
 * Made by `rpc.ts` when a peer is called and no stream to it stands; closed by it when idle.
 */

import type { Stream } from '@libp2p/interface'
import {
  type RpcRefusedCode,
  RpcRefusedError,
  RpcRemoteError,
  RpcUnreachableError,
  WireProtocolError
} from './errors.ts'
import { FramedStream } from './framed-stream.ts'
import type { RpcLimits } from './rpc.ts'
import {
  creditFrame,
  frameHead,
  itemCost,
  maxRpcFrameBytes,
  payloadOfFrame,
  RpcFrame,
  readFailure,
  readHead,
  requestHead
} from './rpc-frames.ts'

/** Gets what comes back for one call, in order; `onEnd` is the last, and comes once. */
export interface RpcReceiver {
  onItem(payload: Uint8Array): void
  /** @param error - undefined when the answer is complete */
  onEnd(error: Error | undefined): void
}

interface Pending {
  readonly method: string
  readonly receiver: RpcReceiver
  /** Bytes that the server may still send; it may overdraw with one item, and sends nothing at or below 0. */
  credit: number
  /** Bytes consumed for which no credit was given yet. `credit + owed` and what waits to be consumed make `windowBytes`. */
  owed: number
}

const refusedCodes: ReadonlySet<string> = new Set<RpcRefusedCode>(['forbidden', 'unknown-method', 'busy', 'too-large'])

export class RpcClient {
  readonly peer: string
  readonly #limits: RpcLimits
  readonly #framed: FramedStream
  readonly #pending = new Map<number, Pending>()
  #nextId = 1
  #lastUsedMs = performance.now()

  constructor(stream: Stream, peer: string, limits: RpcLimits, onClose: () => void) {
    this.peer = peer
    this.#limits = limits
    this.#framed = new FramedStream(stream, {
      maxFrameBytes: maxRpcFrameBytes(limits.maxMessageBytes),
      maxQueuedBytes: limits.maxQueuedBytes,
      onFrame: (frame) => this.#onFrame(frame),
      onClose: (error) => {
        onClose()
        const options = error === undefined ? undefined : { cause: error }
        for (const { method, receiver } of this.#pending.values()) {
          const message = `Lost the stream to peer ${peer} before it had answered ${method}`
          receiver.onEnd(new RpcUnreachableError('connection-lost', peer, message, options))
        }
        this.#pending.clear()
      }
    })
  }

  get closed(): boolean {
    return this.#framed.closed
  }

  /** How long nothing was asked and nothing was awaited; 0 while a call is under way. */
  idleMs(nowMs: number): number {
    return this.#pending.size > 0 ? 0 : nowMs - this.#lastUsedMs
  }

  close(): Promise<void> {
    return this.#framed.close()
  }

  /**
   * Sends a request.
   *
   * @returns the call's id, for `grant` and `cancel`
   * @throws {RpcRefusedError} when too many calls or bytes wait, or the request is too large
   */
  begin(method: string, request: Uint8Array, receiver: RpcReceiver): number {
    const { maxMessageBytes, maxCalls, windowBytes } = this.#limits
    if (request.length > maxMessageBytes) {
      const message = `The request ${method} has ${request.length} bytes, the most that is sent is ${maxMessageBytes}`
      throw new RpcRefusedError('too-large', this.peer, message)
    }
    const id = this.#nextId
    const fits = this.#pending.size < maxCalls && this.#framed.send([requestHead(id, windowBytes, method), request])
    if (!fits) {
      const message = `Cannot call ${method} at peer ${this.peer}: ${this.#pending.size} calls and ${this.#framed.queuedBytes} bytes wait already`
      throw new RpcRefusedError('busy', this.peer, message)
    }
    this.#nextId = id === 0xffff_ffff ? 1 : id + 1
    this.#pending.set(id, { method, receiver, credit: windowBytes, owed: 0 })
    this.#lastUsedMs = performance.now()
    return id
  }

  /** An item was consumed: lets the server send as much more, by the half window. */
  grant(id: number, item: Uint8Array): void {
    const call = this.#pending.get(id)
    if (call === undefined) return
    call.owed += itemCost(item)
    if (call.owed < this.#limits.windowBytes / 2) return
    const bytes = call.owed
    call.owed = 0
    call.credit += bytes
    if (!this.#framed.send(creditFrame(id, bytes))) {
      // Without credit the answer would hang for ever, so the stream ends instead. It takes megabytes that the peer does not read.
      this.#framed.abort(new Error('the peer does not read'))
    }
  }

  /** Forgets the call; its receiver hears no more. */
  cancel(id: number): void {
    if (this.#pending.delete(id)) this.#framed.send(frameHead(RpcFrame.cancel, id))
    this.#lastUsedMs = performance.now()
  }

  #onFrame(frame: Uint8Array): void {
    const head = readHead(frame)
    if (head === undefined) {
      this.#broken('a frame without a head')
      return
    }
    const call = this.#pending.get(head.id)
    switch (head.type) {
      case RpcFrame.response:
        // Forgotten first: nobody has to give credit for what comes whole.
        this.#forget(head.id)
        call?.receiver.onItem(payloadOfFrame(frame))
        call?.receiver.onEnd(undefined)
        return
      case RpcFrame.item: {
        if (call === undefined) return
        if (call.credit <= 0) {
          this.#broken('more than it had credit for')
          return
        }
        const payload = payloadOfFrame(frame)
        call.credit -= itemCost(payload)
        call.receiver.onItem(payload)
        return
      }
      case RpcFrame.end:
        this.#end(head.id, undefined)
        return
      case RpcFrame.failure: {
        const failure = readFailure(frame)
        if (failure === undefined) {
          this.#broken('a bad failure')
          return
        }
        const { refused, name, code, message } = failure
        const error =
          refused && refusedCodes.has(code)
            ? new RpcRefusedError(code as RpcRefusedCode, this.peer, message)
            : new RpcRemoteError(this.peer, name, code, message)
        this.#end(head.id, error)
        return
      }
      default:
        this.#broken(`a frame of type ${head.type}`)
    }
  }

  #end(id: number, error: Error | undefined): void {
    const call = this.#pending.get(id)
    this.#forget(id)
    call?.receiver.onEnd(error)
  }

  #forget(id: number): void {
    this.#pending.delete(id)
    this.#lastUsedMs = performance.now()
  }

  #broken(what: string): void {
    this.#framed.abort(new WireProtocolError(`Cannot read the answers of ${this.peer}: ${what}`))
  }
}
