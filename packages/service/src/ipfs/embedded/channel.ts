/**
 * Typed calls over a `MessagePort`, with streams both ways. The embedded node runs in a worker thread (`worker.ts`), the connector on
 * the main thread (`embedded-connector.ts`); this is the language that they speak and the two ends of it. What plain messages lack is
 * here: a stream has a window of bytes, so that a fast sender cannot fill the other thread's memory; an abort on one side
 * reaches the other; and when the worker is gone every call that waits ends with `IpfsUnavailableError`.
 *
 * A call has an id that the caller chose. Its life: `call`, then any number of `progress`, `chunk` (either way) and `credit`, then one
 * `result` or `error`. `abort` asks the other side to stop; the answer to it is dropped.
 */

import { abortReason, IpfsRequestError, type IpfsRequestErrorCode, IpfsUnavailableError } from '../errors.ts'

/** Bytes of a stream that may be on the way without having been consumed. */
const WINDOW_BYTES = 4 * 1024 * 1024
/** A chunk message is sent at the latest when it holds this much; earlier at the end of the event-loop turn. */
const CHUNK_BYTES = 512 * 1024
const CHUNK_ITEMS = 512
/** What an item without bytes of its own counts for. */
const ITEM_BYTES = 128

export interface WireError {
  readonly name: string
  readonly message: string
  readonly code?: IpfsRequestErrorCode
}

export type Message =
  | { readonly type: 'call'; readonly id: number; readonly method: string; readonly args: readonly unknown[] }
  | { readonly type: 'abort'; readonly id: number }
  | { readonly type: 'chunk'; readonly id: number; readonly items: readonly unknown[] }
  | { readonly type: 'end'; readonly id: number; readonly error?: WireError }
  | { readonly type: 'credit'; readonly id: number; readonly bytes: number }
  | { readonly type: 'progress'; readonly id: number; readonly value: unknown }
  | { readonly type: 'result'; readonly id: number; readonly value: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: WireError }

/** What both ends need of a port. */
export interface Port {
  postMessage(message: unknown, transfer?: readonly ArrayBuffer[]): void
}

export function toWireError(error: unknown): WireError {
  if (error instanceof IpfsRequestError) return { name: error.name, message: error.message, code: error.code }
  if (error instanceof Error) return { name: error.name, message: error.message }
  return { name: 'Error', message: String(error) }
}

export function fromWireError(error: WireError): Error {
  if (error.name === 'IpfsUnavailableError') return new IpfsUnavailableError(error.message)
  if (error.name === 'AbortError') return new DOMException(error.message, 'AbortError')
  return new IpfsRequestError(error.message, error.code ?? 'failed')
}

function sizeOf(item: unknown): number {
  if (item instanceof Uint8Array) return ITEM_BYTES + item.byteLength
  const bytes = (item as { bytes?: unknown } | null)?.bytes
  return ITEM_BYTES + (bytes instanceof Uint8Array ? bytes.byteLength : 0)
}

/** The sending end of a stream: batches items, and waits while the window is full. `sent - acknowledged <= window + one item`. */
class StreamSender {
  readonly #port: Port
  readonly #id: number
  readonly #owned: boolean
  #batch: unknown[] = []
  #batchBytes = 0
  #outstandingBytes = 0
  #flushScheduled = false
  #wake: (() => void) | undefined

  constructor(port: Port, id: number, owned: boolean) {
    this.#port = port
    this.#id = id
    this.#owned = owned
  }

  async send(source: AsyncIterable<unknown>, signal: AbortSignal): Promise<void> {
    const stop = () => this.#wake?.()
    signal.addEventListener('abort', stop)
    try {
      signal.throwIfAborted()
      for await (const item of source) {
        signal.throwIfAborted()
        this.#add(item)
        while (this.#outstandingBytes >= WINDOW_BYTES) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve
          })
          this.#wake = undefined
          signal.throwIfAborted()
        }
      }
      this.#flush()
    } finally {
      signal.removeEventListener('abort', stop)
      this.#batch = []
    }
  }

  credit(bytes: number): void {
    this.#outstandingBytes -= bytes
    this.#wake?.()
  }

  #add(item: unknown): void {
    const bytes = sizeOf(item)
    this.#batch.push(item)
    this.#batchBytes += bytes
    this.#outstandingBytes += bytes
    if (this.#batchBytes >= CHUNK_BYTES || this.#batch.length >= CHUNK_ITEMS) this.#flush()
    else if (!this.#flushScheduled) {
      this.#flushScheduled = true
      setImmediate(() => {
        this.#flushScheduled = false
        this.#flush()
      })
    }
  }

  #flush(): void {
    if (this.#batch.length === 0) return
    const items = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    const transfer: ArrayBuffer[] = []
    const packed = items.map((item) => pack(item, this.#owned, transfer))
    this.#port.postMessage({ type: 'chunk', id: this.#id, items: packed } satisfies Message, transfer)
  }
}

/**
 * Prepares an item for the other thread. A view into a larger buffer would be copied with all of that buffer, so it becomes a
 * buffer of its own, which is given away. A whole buffer is given away only if the caller owns it, since its owner loses it.
 */
function pack(item: unknown, owned: boolean, transfer: ArrayBuffer[]): unknown {
  const bytes = item instanceof Uint8Array ? item : (item as { bytes?: unknown } | null)?.bytes
  if (!(bytes instanceof Uint8Array)) return item
  const whole = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer
  const packed = whole ? bytes : new Uint8Array(bytes)
  if (!whole || owned) transfer.push(packed.buffer as ArrayBuffer)
  return item instanceof Uint8Array ? packed : { ...(item as object), bytes: packed }
}

/** The receiving end of a stream: an iterable that gives credit as its items are taken. */
class StreamReceiver implements AsyncIterableIterator<unknown> {
  readonly #port: Port
  readonly #id: number
  readonly #onReturn: () => void
  #items: unknown[] = []
  #next = 0
  #owedBytes = 0
  #ended = false
  #error: unknown
  #wake: (() => void) | undefined

  constructor(port: Port, id: number, onReturn: () => void) {
    this.#port = port
    this.#id = id
    this.#onReturn = onReturn
  }

  push(items: readonly unknown[]): void {
    if (this.#ended) return
    if (this.#next === this.#items.length) {
      this.#items = [...items]
      this.#next = 0
    } else this.#items.push(...items)
    this.#wake?.()
  }

  end(error?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    // What has arrived before an orderly end is still handed out; after a failure nothing is.
    if (error !== undefined) this.#items = []
    this.#wake?.()
  }

  async next(): Promise<IteratorResult<unknown>> {
    for (;;) {
      if (this.#next < this.#items.length) {
        const item = this.#items[this.#next]
        this.#items[this.#next] = undefined
        this.#next++
        this.#owedBytes += sizeOf(item)
        if (this.#owedBytes >= WINDOW_BYTES / 4) {
          this.#port.postMessage({ type: 'credit', id: this.#id, bytes: this.#owedBytes } satisfies Message)
          this.#owedBytes = 0
        }
        return { done: false, value: item }
      }
      if (this.#ended) {
        const error = this.#error
        this.#error = undefined
        if (error !== undefined) throw error
        return { done: true, value: undefined }
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }

  return(): Promise<IteratorResult<unknown>> {
    this.#onReturn()
    this.end()
    this.#items = []
    this.#next = 0
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((value: unknown) => void) | undefined
  /** Sent with the call, as a stream. */
  readonly upload?: AsyncIterable<unknown> | undefined
}

interface PendingCall {
  readonly settle: (outcome: { value: unknown } | { error: unknown }) => void
  readonly onProgress: ((value: unknown) => void) | undefined
  readonly sender: StreamSender | undefined
  readonly receiver: StreamReceiver | undefined
}

/** The end that calls. */
export class Caller {
  readonly #port: Port
  readonly #pending = new Map<number, PendingCall>()
  #nextId = 1

  constructor(port: Port) {
    this.#port = port
  }

  /** One answer. The id of the call is the answer's handle, for those calls that leave something behind in the worker. */
  call(method: string, args: readonly unknown[], options: CallOptions = {}): { id: number; result: Promise<unknown> } {
    const id = this.#nextId++
    return { id, result: this.#call(id, method, args, options) }
  }

  async #call(id: number, method: string, args: readonly unknown[], options: CallOptions): Promise<unknown> {
    const { signal, upload } = options
    signal?.throwIfAborted()
    const uploadEnd = new AbortController()
    const sender = upload === undefined ? undefined : new StreamSender(this.#port, id, false)
    let onAbort: (() => void) | undefined
    let sending: Promise<void> | undefined
    try {
      return await new Promise<unknown>((resolve, reject) => {
        this.#pending.set(id, {
          settle: (outcome) => ('error' in outcome ? reject(outcome.error) : resolve(outcome.value)),
          onProgress: options.onProgress,
          sender,
          receiver: undefined
        })
        onAbort = () => {
          this.#port.postMessage({ type: 'abort', id } satisfies Message)
          reject(abortReason(signal as AbortSignal))
        }
        signal?.addEventListener('abort', onAbort)
        this.#port.postMessage({ type: 'call', id, method, args } satisfies Message)
        if (sender !== undefined && upload !== undefined) {
          sending = sender.send(upload, uploadEnd.signal).then(
            () => this.#port.postMessage({ type: 'end', id } satisfies Message),
            (error) => {
              // The source failed: the worker stops, and the caller sees the source's own error.
              this.#port.postMessage({ type: 'abort', id } satisfies Message)
              reject(error)
            }
          )
        }
      })
    } finally {
      this.#pending.delete(id)
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort)
      uploadEnd.abort()
      void sending
    }
  }

  /** A stream of answers. Leaving the loop early stops the worker's side. */
  async *stream(method: string, args: readonly unknown[], options: CallOptions = {}): AsyncGenerator<unknown> {
    const { signal } = options
    signal?.throwIfAborted()
    const id = this.#nextId++
    let finished = false
    const abort = () => {
      if (!finished) this.#port.postMessage({ type: 'abort', id } satisfies Message)
      finished = true
    }
    const receiver = new StreamReceiver(this.#port, id, abort)
    const onAbort = () => {
      abort()
      receiver.end(abortReason(signal as AbortSignal))
    }
    this.#pending.set(id, {
      settle: (outcome) => {
        finished = true
        receiver.end('error' in outcome ? outcome.error : undefined)
      },
      onProgress: undefined,
      sender: undefined,
      receiver
    })
    signal?.addEventListener('abort', onAbort)
    try {
      this.#port.postMessage({ type: 'call', id, method, args } satisfies Message)
      yield* receiver
    } finally {
      abort()
      this.#pending.delete(id)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** A message without an answer. */
  tell(method: string, args: readonly unknown[]): void {
    this.#port.postMessage({ type: 'call', id: 0, method, args } satisfies Message)
  }

  receive(message: Message): void {
    const call = this.#pending.get(message.id)
    if (call === undefined) return
    switch (message.type) {
      case 'result':
        call.settle({ value: message.value })
        return
      case 'error':
        call.settle({ error: fromWireError(message.error) })
        return
      case 'progress':
        call.onProgress?.(message.value)
        return
      case 'chunk':
        call.receiver?.push(message.items)
        return
      case 'credit':
        call.sender?.credit(message.bytes)
        return
      default:
        return
    }
  }

  /** Ends every call that waits. */
  failAll(error: Error): void {
    for (const call of [...this.#pending.values()]) call.settle({ error })
    this.#pending.clear()
  }
}

export interface ServedCall {
  readonly id: number
  readonly signal: AbortSignal
  readonly progress: (value: unknown) => void
  /** The caller's stream, if it sends one. */
  readonly upload: AsyncIterable<unknown>
}

/** A method answers once (a promise) or with a stream. */
export type Handler = (args: readonly unknown[], call: ServedCall) => Promise<unknown> | AsyncIterable<unknown>

/** The end that answers. */
export class Answerer {
  readonly #port: Port
  readonly #handlers: Readonly<Record<string, Handler>>
  readonly #running = new Map<number, { controller: AbortController; upload: StreamReceiver; sender: StreamSender }>()

  constructor(port: Port, handlers: Readonly<Record<string, Handler>>) {
    this.#port = port
    this.#handlers = handlers
  }

  receive(message: Message): void {
    if (message.type === 'call') {
      void this.#serve(message.id, message.method, message.args)
      return
    }
    const call = this.#running.get(message.id)
    if (call === undefined) return
    switch (message.type) {
      case 'abort':
        call.controller.abort()
        call.upload.end(call.controller.signal.reason)
        return
      case 'chunk':
        call.upload.push(message.items)
        return
      case 'end':
        call.upload.end()
        return
      case 'credit':
        call.sender.credit(message.bytes)
        return
      default:
        return
    }
  }

  /** Aborts what still runs. */
  abortAll(): void {
    for (const { controller, upload } of this.#running.values()) {
      controller.abort()
      upload.end(controller.signal.reason)
    }
  }

  async #serve(id: number, method: string, args: readonly unknown[]): Promise<void> {
    const controller = new AbortController()
    const upload = new StreamReceiver(this.#port, id, () => undefined)
    const sender = new StreamSender(this.#port, id, true)
    if (id !== 0) this.#running.set(id, { controller, upload, sender })
    try {
      const handler = this.#handlers[method]
      if (handler === undefined) throw new Error(`no method ${method}`)
      const progress = (value: unknown) => this.#port.postMessage({ type: 'progress', id, value } satisfies Message)
      const answer = handler(args, { id, signal: controller.signal, progress, upload })
      let value: unknown
      if (Symbol.asyncIterator in answer) await sender.send(answer, controller.signal)
      else value = await answer
      const transfer: ArrayBuffer[] = []
      this.#port.postMessage({ type: 'result', id, value: pack(value, true, transfer) } satisfies Message, transfer)
    } catch (error) {
      this.#port.postMessage({ type: 'error', id, error: toWireError(error) } satisfies Message)
    } finally {
      this.#running.delete(id)
      upload.end(new Error('the call has ended'))
    }
  }
}
