/** Calls over a message port: streams with a window, aborts both ways, errors by class, nothing left waiting. */

import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { Answerer, Caller, type Handler, type Message } from '../../../src/ipfs/embedded/channel.ts'
import { IpfsRequestError, IpfsUnavailableError } from '../../../src/ipfs/errors.ts'
import { collect, streamOf } from '../blocks.ts'

describe('Caller and Answerer', () => {
  let callerPort: MessagePort
  let answererPort: MessagePort
  let caller: Caller

  beforeEach(() => {
    const channel = new MessageChannel()
    callerPort = channel.port1
    answererPort = channel.port2
    caller = new Caller(callerPort)
    callerPort.on('message', (message: Message) => caller.receive(message))
  })

  afterEach(() => {
    callerPort.close()
  })

  function serve(handlers: Record<string, Handler>): void {
    const answerer = new Answerer(answererPort, handlers)
    answererPort.on('message', (message: Message) => answerer.receive(message))
  }

  /** Resolves when the condition holds; the test runner's timeout bounds it. */
  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((resolve) => setImmediate(resolve))
  }

  it('passes arguments, progress and the result', async () => {
    serve({
      add: async ([a, b], call) => {
        call.progress('half')
        return (a as number) + (b as number)
      }
    })
    const seen: unknown[] = []
    assert.equal(await caller.call('add', [1, 2], { onProgress: (value) => seen.push(value) }).result, 3)
    assert.deepEqual(seen, ['half'])
  })

  it('keeps the class and the code of an error', async () => {
    serve({
      refuse: () => Promise.reject(new IpfsRequestError('no room', 'no-space')),
      lost: () => Promise.reject(new IpfsUnavailableError('gone'))
    })
    await assert.rejects(caller.call('refuse', []).result, {
      name: 'IpfsRequestError',
      code: 'no-space',
      message: 'no room'
    })
    await assert.rejects(caller.call('lost', []).result, { name: 'IpfsUnavailableError' })
    await assert.rejects(caller.call('nothing', []).result, { name: 'IpfsRequestError' })
  })

  it('aborts the other side, and rejects with the reason of the signal', async () => {
    let aborted = false
    serve({
      wait: (_args, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            aborted = true
            reject(signal.reason)
          })
        })
    })
    const given = new AbortController()
    const waiting = caller.call('wait', [], { signal: given.signal }).result
    given.abort(new RangeError('given up'))
    await assert.rejects(waiting, { name: 'RangeError', message: 'given up' })
    await until(() => aborted)
  })

  it('streams answers in order', async () => {
    serve({ count: () => streamOf(Array.from({ length: 3000 }, (_, i) => i)) })
    assert.deepEqual(
      await collect(caller.stream('count', [])),
      Array.from({ length: 3000 }, (_, i) => i)
    )
  })

  it('ends a stream with its error, and the stream of the other side when it is left', async () => {
    let closed = false
    serve({
      broken: async function* () {
        yield 1
        throw new IpfsRequestError('broken off')
      },
      endless: async function* () {
        try {
          for (;;) yield new Uint8Array(100_000)
        } finally {
          closed = true
        }
      }
    })
    await assert.rejects(collect(caller.stream('broken', [])), { message: 'broken off' })
    for await (const _bytes of caller.stream('endless', [])) break
    await until(() => closed)
  })

  it('sends no more than the window ahead of a slow reader', async () => {
    let sentBytes = 0
    serve({
      endless: async function* () {
        for (;;) {
          sentBytes += 100_000
          yield new Uint8Array(100_000)
        }
      }
    })
    const stream = caller.stream('endless', [])
    await stream.next()
    let before = -1
    await until(() => {
      const still = sentBytes === before && sentBytes > 3_000_000
      before = sentBytes
      return still
    })
    assert.ok(sentBytes < 5_000_000, `${sentBytes} bytes were made`)
    await stream.return(undefined)
  })

  it('takes a stream from the caller, with a window too', async () => {
    let madeBytes = 0
    let take = (): void => undefined
    const released = new Promise<void>((resolve) => {
      take = resolve
    })
    serve({
      sum: async (_args, { upload }) => {
        let bytes = 0
        for await (const item of upload) {
          await released
          bytes += (item as Uint8Array).length
        }
        return bytes
      }
    })
    async function* source() {
      for (let i = 0; i < 200; i++) {
        madeBytes += 100_000
        yield new Uint8Array(100_000)
      }
    }
    const { result } = caller.call('sum', [], { upload: source() })
    let before = -1
    await until(() => {
      const still = madeBytes === before && madeBytes > 3_000_000
      before = madeBytes
      return still
    })
    assert.ok(madeBytes < 5_000_000, `${madeBytes} bytes were made`)
    take()
    assert.equal(await result, 20_000_000)
  })

  it('leaves the bytes of an upload with their owner, also views into a larger buffer', async () => {
    const seen: Uint8Array[] = []
    serve({
      keep: async (_args, { upload }) => {
        for await (const item of upload) seen.push((item as { bytes: Uint8Array }).bytes)
      }
    })
    const whole = new Uint8Array(10).fill(1)
    const view = new Uint8Array(1000).fill(2).subarray(10, 20)
    await caller.call('keep', [], { upload: streamOf([{ bytes: whole }, { bytes: view }]) }).result
    assert.deepEqual([whole.length, view.length], [10, 10])
    assert.deepEqual(
      seen.map((bytes) => [bytes.length, bytes.buffer.byteLength, bytes[0]]),
      [
        [10, 10, 1],
        [10, 10, 2]
      ]
    )
  })

  it('ends all that waits when the other side is gone', async () => {
    serve({
      wait: () => new Promise(() => undefined),
      stream: async function* () {
        yield 1
        await new Promise(() => undefined)
      }
    })
    const waiting = caller.call('wait', []).result
    const streaming = collect(caller.stream('stream', []))
    waiting.catch(() => undefined)
    streaming.catch(() => undefined)
    caller.failAll(new IpfsUnavailableError('the thread has ended'))
    await assert.rejects(waiting, { name: 'IpfsUnavailableError' })
    await assert.rejects(streaming, { name: 'IpfsUnavailableError' })
  })
})
