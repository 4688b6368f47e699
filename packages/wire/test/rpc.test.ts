import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRpc, type RpcEndpoint, type RpcInit } from '../src/index.ts'
import { createHost, introduce, type TestHost, until } from './support/host.ts'

const PROTOCOL = '/test/rpc/1'

async function startRpc(host: TestHost, init: Partial<RpcInit> = {}): Promise<RpcEndpoint> {
  const rpc = createRpc({ libp2p: host.libp2p, protocol: PROTOCOL, authorize: () => true, ...init })
  await rpc.start()
  return rpc
}

interface Pair extends AsyncDisposable {
  readonly a: TestHost
  readonly b: TestHost
  /** At a. */
  readonly caller: RpcEndpoint
  /** At b. */
  readonly server: RpcEndpoint
}

async function pair(init: Partial<RpcInit> = {}): Promise<Pair> {
  const a = await createHost()
  const b = await createHost()
  await introduce(a, b)
  const caller = await startRpc(a, init)
  const server = await startRpc(b, init)
  return {
    a,
    b,
    caller,
    server,
    async [Symbol.asyncDispose]() {
      await Promise.all([caller.stop(), server.stop()])
      await Promise.all([a.libp2p.stop(), b.libp2p.stop()])
    }
  }
}

describe('RpcEndpoint', () => {
  it('answers many calls over one stream', async () => {
    await using p = await pair()
    p.server.handle('double', async (request, { peer }) => {
      assert.equal(peer, p.a.id)
      return Buffer.concat([request, request])
    })
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => p.caller.call(p.b.id, 'double', Buffer.from(`${i},`)))
    )
    assert.deepEqual(
      answers.map((answer) => Buffer.from(answer).toString()),
      Array.from({ length: 200 }, (_, i) => `${i},${i},`)
    )
    const streams = p.a.libp2p.getConnections().flatMap((connection) => connection.streams)
    assert.equal(streams.filter((stream) => stream.protocol === PROTOCOL).length, 1)
  })

  it('calls a stranger by its address', async () => {
    await using a = await createHost()
    await using b = await createHost()
    const caller = await startRpc(a)
    const server = await startRpc(b)
    server.handle('who', async (_request, { peer }) => Buffer.from(peer))
    const answer = await caller.call(b.libp2p.getMultiaddrs()[0]!.toString(), 'who', new Uint8Array())
    assert.equal(Buffer.from(answer).toString(), a.id)
    await Promise.all([caller.stop(), server.stop()])
  })

  it('streams no faster than the caller consumes', async () => {
    await using p = await pair({ limits: { windowBytes: 64 * 1024 } })
    let made = 0
    p.server.handle('count', async function* () {
      for (; made < 1000; made++) yield Buffer.alloc(8 * 1024, made & 0xff)
    })
    let consumed = 0
    for await (const item of p.caller.stream(p.b.id, 'count', new Uint8Array())) {
      assert.equal(item[0], consumed & 0xff)
      consumed++
      assert.ok(made - consumed <= 9, `${made} made, ${consumed} consumed`)
    }
    assert.equal(consumed, 1000)
  })

  it('joins a streamed answer for call, within its bound', async () => {
    await using p = await pair({ limits: { maxAnswerBytes: 1000 } })
    p.server.handle('items', async function* (request) {
      for (let i = 0; i < request[0]!; i++) yield Buffer.alloc(100, i)
    })
    assert.equal((await p.caller.call(p.b.id, 'items', Uint8Array.of(10))).length, 1000)
    await assert.rejects(p.caller.call(p.b.id, 'items', Uint8Array.of(11)), { name: 'RangeError' })
  })

  it('cancels the handler when the loop is left', async () => {
    await using p = await pair()
    let cancelled = false
    p.server.handle('endless', async function* (_request, { signal }) {
      signal.addEventListener('abort', () => {
        cancelled = true
      })
      while (!signal.aborted) yield Buffer.alloc(1000)
    })
    for await (const _item of p.caller.stream(p.b.id, 'endless', new Uint8Array())) break
    await until('the handler is cancelled', () => cancelled)
  })

  it('carries name, code and message of an error', async () => {
    await using p = await pair()
    p.server.handle('fail', async () => {
      throw Object.assign(new Error('no such pin'), { name: 'PinNotFoundError', code: 'not-found' })
    })
    await assert.rejects(p.caller.call(p.b.id, 'fail', new Uint8Array()), {
      name: 'RpcRemoteError',
      remoteName: 'PinNotFoundError',
      code: 'not-found',
      message: 'no such pin',
      peer: p.b.id
    })
  })

  it('refuses what is not allowed, not known, or too large', async () => {
    await using p = await pair({ authorize: (_peer, method) => method !== 'secret', limits: { maxMessageBytes: 1000 } })
    p.server.handle('secret', async () => new Uint8Array())
    p.server.handle('big', async () => new Uint8Array(1001))
    const refused = (method: string, code: string, bytes = 0) =>
      assert.rejects(p.caller.call(p.b.id, method, new Uint8Array(bytes)), { name: 'RpcRefusedError', code })
    await refused('secret', 'forbidden')
    await refused('nothing', 'unknown-method')
    await refused('big', 'too-large')
    await refused('big', 'too-large', 1001)
  })

  it('bounds the calls under way', async () => {
    await using p = await pair({ limits: { maxCalls: 4 } })
    const gate = Promise.withResolvers<void>()
    p.server.handle('wait', async () => {
      await gate.promise
      return new Uint8Array()
    })
    await p.caller.call(p.b.id, 'none', new Uint8Array()).catch(() => {})
    const calls = Array.from({ length: 5 }, () => p.caller.call(p.b.id, 'wait', new Uint8Array()))
    await assert.rejects(calls[4]!, { name: 'RpcRefusedError', code: 'busy' })
    gate.resolve()
    await Promise.all(calls.slice(0, 4))
  })

  it('ends a call by signal and by time, and says so to the handler', async () => {
    await using p = await pair()
    let ended = 0
    p.server.handle('hang', (_request, { signal }) => {
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          ended++
          reject(signal.reason)
        })
      })
    })
    const abort = new AbortController()
    const call = p.caller.call(p.b.id, 'hang', new Uint8Array(), { signal: abort.signal })
    abort.abort(new Error('enough'))
    await assert.rejects(call, { message: 'enough' })
    await assert.rejects(p.caller.call(p.b.id, 'hang', new Uint8Array(), { timeoutMs: 50 }), {
      name: 'RpcTimeoutError',
      timeoutMs: 50
    })
    await until('the handler that had begun is cancelled', () => ended >= 1)
  })

  it('says whether a request may have arrived when the peer cannot be reached', async () => {
    await using p = await pair()
    const stranger = await createHost()
    await stranger.libp2p.stop()
    await assert.rejects(p.caller.call(stranger.id, 'x', new Uint8Array()), {
      name: 'RpcUnreachableError',
      code: 'dial-failed'
    })
    let begun = false
    p.server.handle('hang', (_request, { signal }) => {
      begun = true
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    })
    const call = p.caller.call(p.b.id, 'hang', new Uint8Array())
    await until('the call has arrived', () => begun)
    for (const connection of p.b.libp2p.getConnections()) connection.abort(new Error('gone'))
    await assert.rejects(call, { name: 'RpcUnreachableError', code: 'connection-lost' })
  })

  it('closes a stream that is idle, and opens another when it is needed', async () => {
    await using p = await pair({ limits: { idleMs: 40 } })
    p.server.handle('echo', async (request) => request)
    const streams = () =>
      p.a.libp2p.getConnections().flatMap((c) => c.streams.filter((stream) => stream.protocol === PROTOCOL))
    await p.caller.call(p.b.id, 'echo', new Uint8Array(1))
    await until('the stream is closed', () => streams().length === 0)
    assert.equal((await p.caller.call(p.b.id, 'echo', new Uint8Array(2))).length, 2)
  })

  it('goes on after the stream was lost between two calls', async () => {
    await using p = await pair()
    p.server.handle('echo', async (request) => request)
    for (let i = 1; i <= 5; i++) {
      assert.equal((await p.caller.call(p.b.id, 'echo', new Uint8Array(i))).length, i)
      for (const connection of p.a.libp2p.getConnections()) {
        for (const stream of connection.streams) if (stream.protocol === PROTOCOL) stream.abort(new Error('lost'))
      }
    }
  })

  it('ends the stream of a peer that breaks the protocol, without harm', async () => {
    await using p = await pair()
    p.server.handle('echo', async (request) => request)
    for (const bytes of [
      Buffer.alloc(64, 0xff),
      Buffer.from([5, 0, 0, 0, 99, 1, 0, 0, 0]),
      Buffer.from([1, 0, 0, 0, 1])
    ]) {
      const stream = await p.a.libp2p.dialProtocol(p.b.libp2p.getMultiaddrs(), PROTOCOL)
      let closed = false
      stream.addEventListener('close', () => {
        closed = true
      })
      stream.send(bytes)
      await until('the stream is closed', () => closed)
    }
    assert.equal((await p.caller.call(p.b.id, 'echo', new Uint8Array(3))).length, 3)
  })

  it('sends no more empty items than the caller consumes either', async () => {
    await using p = await pair({ limits: { windowBytes: 64 * 1024 } })
    let made = 0
    p.server.handle('nothing', async function* () {
      for (; made < 50_000; made++) {
        if (made % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
        yield new Uint8Array(0)
      }
    })
    const items = p.caller.stream(p.b.id, 'nothing', new Uint8Array())
    await items.next()
    let last = -1
    let still = 0
    await until('the server waits', () => {
      still = made === last ? still + 1 : 0
      last = made
      return still === 10
    })
    assert.ok(made <= 1100, `${made} items were made, 1 was consumed`)
    let consumed = 1
    for await (const item of items) consumed += item.length + 1
    assert.equal(consumed, 50_000)
  })

  it('fails a call whose handler throws nothing at all', async () => {
    await using p = await pair()
    p.server.handle('throw', () => Promise.reject(undefined))
    await assert.rejects(p.caller.call(p.b.id, 'throw', new Uint8Array()), { name: 'RpcRemoteError' })
  })

  it('goes on answering others while a peer sends it any frames', async () => {
    await using p = await pair()
    await using stranger = await createHost()
    p.server.handle('echo', async (request) => request)
    let seed = 1
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
      return (seed >>> 8) % below
    }
    for (let i = 0; i < 60; i++) {
      const stream = await stranger.libp2p.dialProtocol(p.b.libp2p.getMultiaddrs(), PROTOCOL)
      let closed = false
      stream.addEventListener('close', () => {
        closed = true
      })
      const body = Buffer.from(Array.from({ length: random(40) }, () => random(256)))
      if (body.length > 0) body[0] = random(9)
      const header = Buffer.alloc(4)
      header.writeUInt32LE(i % 10 === 0 ? 0xffff_ffff : body.length)
      stream.send(Buffer.concat([header, body]))
      if (i % 10 === 0) await until('a stream that announces too much is closed', () => closed)
      else stream.abort(new Error('enough'))
    }
    assert.deepEqual(Buffer.from(await p.caller.call(p.b.id, 'echo', Buffer.from('x'))), Buffer.from('x'))
  })
})
