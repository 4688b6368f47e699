/** The client against a server that answers by the byte: requests, answers, errors, streams, aborts, uploads. */

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import {
  type AddedOutput,
  ApiError,
  addedOutputCodec,
  ClientConfigError,
  createClient,
  DecodeError,
  encodeJson,
  globalPinInfoCodec,
  PinNotFoundError,
  peerInfoCodec,
  pinCodec,
  type QuorateClient,
  RequestTimeoutError,
  raftPeerCodec,
  TransportError,
  UnauthorizedError
} from '@quorate/client'
import { cidV0, cidV1, peer, peerA, peerB, pin, raftPeer, status } from './api/fixtures.ts'
import { deadPort, FakePeer, gate, type Handler, sendJson, sendStream } from './fake-peer.ts'

const pinJson = JSON.parse(encodeJson(pinCodec.encode(pin)))
const peerJson = JSON.parse(encodeJson(peerInfoCodec.encode(peer)))
const statusJson = JSON.parse(encodeJson(globalPinInfoCodec.encode(status)))
const madeJson = (name: string): unknown =>
  addedOutputCodec.encode({ name, cid: cidV0, bytes: 0, size: 1, allocations: [] })

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

async function readAll(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += (chunk as Buffer).toString('latin1')
  return text
}

/** Runs the same facts over both transports. */
for (const [platform, fetch] of [
  ['node:http', undefined],
  ['fetch', globalThis.fetch]
] as const) {
  const connect = (fake: FakePeer, more: object = {}): QuorateClient =>
    createClient({ baseUrl: fake.baseUrl, ...(fetch === undefined ? {} : { fetch }), ...more })

  describe(`the client over ${platform}`, () => {
    it('asks each route with its method and path, and decodes the answer', async () => {
      const answers: Record<string, Handler> = {
        'GET /id': (_, response) => sendJson(response, 200, peerJson),
        'GET /version': (_, response) => sendJson(response, 200, { version: '1.1.6' }),
        'GET /health': (_, response) => void response.writeHead(204).end(),
        'GET /peers': (_, response) => sendStream(response, [peerJson, peerJson]),
        'POST /peers': async (request, response) => {
          assert.equal(await readAll(request), `{"peer_id":"${peerA}"}`)
          sendJson(response, 200, peerJson)
        },
        [`DELETE /peers/${peerA}`]: (_, response) => void response.writeHead(204).end(),
        'GET /peers/raft': (_, response) => sendStream(response, [raftPeerCodec.encode(raftPeer)]),
        'POST /peers/transfer': (_, response) => sendJson(response, 200, { leader: peerA }),
        [`POST /peers/transfer?to=${peerB}`]: (_, response) => sendJson(response, 200, { leader: peerB }),
        [`POST /pins/ipfs/${cidV1}?name=n&mode=direct`]: (_, response) => sendJson(response, 200, pinJson),
        'POST /pins/ipns/example.org/a': (_, response) => sendJson(response, 200, pinJson),
        [`POST /pins/ipfs/${cidV1}/b`]: (_, response) => sendJson(response, 200, pinJson),
        [`DELETE /pins/ipfs/${cidV1}`]: (_, response) => sendJson(response, 200, pinJson),
        [`GET /allocations/${cidV1}`]: (_, response) => sendJson(response, 200, pinJson, { 'X-Quorate-Stale': 'true' }),
        'GET /allocations?filter=pin': (_, response) => sendStream(response, [pinJson]),
        [`GET /pins/${cidV0}?local=true`]: (_, response) => sendJson(response, 200, statusJson),
        'GET /pins?filter=error': (_, response) => sendStream(response, [statusJson]),
        [`POST /pins/${cidV0}/recover`]: (_, response) => sendJson(response, 200, statusJson),
        'POST /pins/recover': (_, response) => sendStream(response, []),
        'POST /ipfs/gc?local=true': (_, response) => sendJson(response, 200, { peer_map: {} })
      }
      await using fake = await FakePeer.start((request, response) => {
        const answer = answers[`${request.method} ${request.url}`]
        if (answer === undefined) return sendJson(response, 404, { code: 404, message: 'not found' })
        return answer(request, response)
      })
      const client = connect(fake)
      assert.deepEqual(await client.id(), peer)
      assert.equal(await client.version(), '1.1.6')
      await client.health()
      assert.deepEqual(await collect(client.peers()), [peer, peer])
      assert.deepEqual(await client.peerAdd(peerA), peer)
      await client.peerRemove(peerA)
      assert.deepEqual(await collect(client.peersRaft()), [raftPeer])
      assert.equal(await client.peersTransfer(), peerA)
      assert.equal(await client.peersTransfer(peerB), peerB)
      assert.deepEqual(await client.pin(cidV1, { name: 'n', mode: 'direct' }), pin)
      assert.deepEqual(await client.pin('/ipns/example.org/a'), pin)
      assert.deepEqual(await client.pin(`/ipfs/${cidV1}/a/../b/`), pin)
      assert.deepEqual(await client.unpin(cidV1), pin)
      assert.deepEqual(await client.allocation(cidV1), { pin, stale: true })
      assert.deepEqual(await collect(client.allocations({ filter: ['pin'] })), [pin])
      assert.deepEqual(await client.status(cidV0, { local: true }), status)
      assert.deepEqual(await collect(client.statusAll({ filter: ['pin_error', 'unpin_error', 'cluster_error'] })), [
        status
      ])
      assert.deepEqual(await client.recover(cidV0), status)
      assert.deepEqual(await collect(client.recoverAll()), [])
      assert.deepEqual(await client.repoGc({ local: true }), { peerMap: {} })
      assert.deepEqual(fake.requests, Object.keys(answers))
    })

    it('takes 204 for an empty list, as IPFS Cluster answers it', async () => {
      await using fake = await FakePeer.start((_, response) => void response.writeHead(204).end())
      assert.deepEqual(await collect(connect(fake).statusAll()), [])
    })

    it('sends credentials, also beyond ASCII', async () => {
      await using fake = await FakePeer.start((_, response) => sendJson(response, 200, { version: 'x' }))
      await connect(fake, { basicAuth: 'user:pässword' }).version()
      const [, encoded = ''] = fake.headers[0]?.authorization?.split(' ') ?? []
      assert.equal(Buffer.from(encoded, 'base64').toString(), 'user:pässword')
    })

    it('throws the class of an error: by the header, by the message, by the status', async () => {
      const answers: [number, unknown, Record<string, string>][] = [
        [500, { code: 500, message: 'whatever' }, { 'X-Quorate-Error': 'not-enough-allocations' }],
        [404, { code: 404, message: 'pin is not part of the pinset' }, {}],
        [401, { code: 401, message: 'unauthorized: access denied' }, {}]
      ]
      await using fake = await FakePeer.start((_, response) => {
        const [code, body, headers] = answers.shift() as (typeof answers)[0]
        sendJson(response, code, body, headers)
      })
      const client = connect(fake)
      await assert.rejects(client.id(), {
        name: 'NotEnoughAllocationsError',
        code: 'not-enough-allocations',
        retryable: true
      })
      await assert.rejects(client.unpin(cidV0), (error) => error instanceof PinNotFoundError && error.status === 404)
      await assert.rejects(client.id(), (error) => error instanceof UnauthorizedError && !error.retryable)
    })

    it('takes the body of an error that is no JSON for its message, and makes one up for an empty body', async () => {
      const bodies = ['<html>Bad Gateway</html>', '']
      await using fake = await FakePeer.start((_, response) => void response.writeHead(502).end(bodies.shift()))
      await assert.rejects(connect(fake).id(), { status: 502, message: '<html>Bad Gateway</html>', code: 'internal' })
      await assert.rejects(connect(fake).id(), { status: 502, message: 'the peer answered with status 502' })
    })

    it('says what could not be reached', async () => {
      const port = await deadPort()
      const client = createClient({ baseUrl: `http://127.0.0.1:${port}`, ...(fetch === undefined ? {} : { fetch }) })
      await assert.rejects(
        client.id(),
        (error) =>
          error instanceof TransportError && error.code === 'unreachable' && error.message.includes(`127.0.0.1:${port}`)
      )
    })

    it('goes on to the next address when one cannot be reached, and stays there', async () => {
      await using fake = await FakePeer.start((_, response) => sendJson(response, 200, { version: 'x' }))
      const baseUrl = [`http://127.0.0.1:${await deadPort()}`, fake.baseUrl]
      const client = createClient({ baseUrl, ...(fetch === undefined ? {} : { fetch }) })
      assert.equal(await client.version(), 'x')
      assert.equal(await client.version(), 'x')
      assert.equal(fake.requests.length, 2)
    })

    it('refuses an answer that makes no sense', async () => {
      await using fake = await FakePeer.start((_, response) => void response.end('hello'))
      await assert.rejects(connect(fake).id(), DecodeError)
      await assert.rejects(collect(connect(fake).peers()), DecodeError)
    })

    it('gives up after its timeout, in the middle of a stream too', async () => {
      await using fake = await FakePeer.start((request, response) => {
        if (request.url === '/peers') response.write(`${JSON.stringify(peerJson)}\n`)
      })
      await assert.rejects(connect(fake, { timeoutMs: 50 }).id(), RequestTimeoutError)
      // Long enough for the first item to come through on a busy machine.
      const client = connect(fake, { timeoutMs: 1500 })
      const seen: unknown[] = []
      await assert.rejects(async () => {
        for await (const item of client.peers()) seen.push(item)
      }, /did not finish within 1500 ms: context deadline exceeded/)
      assert.equal(seen.length, 1)
    })

    it('ends with the reason of the signal: before, while waiting, and in the middle of a stream', async () => {
      const asked = gate()
      await using fake = await FakePeer.start((request, response) => {
        asked.open()
        if (request.url === '/peers') response.write(`${JSON.stringify(peerJson)}\n`)
      })
      const client = connect(fake)
      const reason = new Error('enough')
      await assert.rejects(client.id({ signal: AbortSignal.abort(reason) }), reason)
      const controller = new AbortController()
      const waiting = client.id({ signal: controller.signal })
      await asked.opened
      controller.abort(reason)
      await assert.rejects(waiting, reason)
      const second = new AbortController()
      await assert.rejects(async () => {
        for await (const _ of client.peers({ signal: second.signal })) second.abort(reason)
      }, reason)
    })

    it('closes the connection when the reader of a stream has had enough', async () => {
      const closed = gate()
      await using fake = await FakePeer.start((_, response) => {
        response.on('close', closed.open)
        response.write(`${JSON.stringify(peerJson)}\n`)
      })
      for await (const _ of connect(fake).peers()) break
      await closed.opened
    })

    it('throws when a stream breaks off without its end', async () => {
      await using fake = await FakePeer.start((_, response) => {
        response.write(`${JSON.stringify(peerJson)}\n`, () => response.destroy())
      })
      await assert.rejects(
        collect(connect(fake).peers()),
        (error) => error instanceof TransportError && error.code === 'broken-off'
      )
    })

    it('uploads files and directories as a multipart body', async () => {
      let body = ''
      await using fake = await FakePeer.start(async (request, response) => {
        body = await readAll(request)
        sendStream(response, [madeJson('d/a b.txt'), madeJson('d')])
      })
      let sent = 0
      const outputs = await collect(
        connect(fake).add(
          [
            { path: 'd', type: 'directory' },
            { path: 'd/a b.txt', content: 'hello' },
            { path: 'd/link', type: 'symlink', content: 'a b.txt' },
            { path: 'd/ü', content: new Blob(['blob']) }
          ],
          { name: 'n', cidVersion: 1 },
          { onUpload: (bytes) => (sent = bytes) }
        )
      )
      assert.deepEqual(
        outputs.map(({ name }) => name),
        ['d/a b.txt', 'd']
      )
      assert.equal(sent, 'hello'.length + 'a b.txt'.length + 'blob'.length)
      assert.deepEqual(fake.requests, ['POST /add?name=n&stream-channels=true&cid-version=1&raw-leaves=true'])
      const [, boundary = ''] = fake.headers[0]?.['content-type']?.match(/^multipart\/form-data; boundary=(\w+)$/) ?? []
      const part = (name: string, type: string, content: string): string =>
        `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: ${type}\r\n\r\n${content}\r\n`
      assert.equal(
        body,
        part('d', 'application/x-directory', '') +
          part('d%2Fa%20b.txt', 'application/octet-stream', 'hello') +
          part('d%2Flink', 'application/symlink', 'a b.txt') +
          part('d%2F%C3%BC', 'application/octet-stream', 'blob') +
          `--${boundary}--\r\n`
      )
    })

    it('takes one array, or null, without stream channels', async () => {
      const bodies: unknown[] = [[madeJson('a')], null]
      await using fake = await FakePeer.start(async (request, response) => {
        await readAll(request)
        sendJson(response, 200, bodies.shift())
      })
      const add = (): Promise<AddedOutput[]> =>
        collect(connect(fake).add([{ path: 'a', content: 'x' }], { streamChannels: false }))
      assert.deepEqual(
        (await add()).map(({ name }) => name),
        ['a']
      )
      assert.deepEqual(await add(), [])
    })

    it('throws what the content of an upload throws', async () => {
      await using fake = await FakePeer.start(async (request) => void (await readAll(request)))
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield new Uint8Array(10)
        throw new Error('disk on fire')
      }
      await assert.rejects(collect(connect(fake).add([{ path: 'a', content: broken() }])), /disk on fire/)
    })
  })
}

describe('the client in Node', () => {
  it('throws the failure in the trailer of a stream after its items', async () => {
    await using fake = await FakePeer.start((_, response) => sendStream(response, [peerJson], 'lost the thread'))
    const seen: unknown[] = []
    await assert.rejects(
      async () => {
        for await (const item of createClient({ multiaddr: fake.multiaddr }).peers()) seen.push(item)
      },
      (error) => error instanceof ApiError && error.message === 'lost the thread' && error.status === 500
    )
    assert.equal(seen.length, 1)
  })

  it('reads what was made while it still uploads', async () => {
    await using fake = await FakePeer.start(async (request, response) => {
      response.writeHead(200, { Trailer: 'X-Stream-Error' })
      response.write(`${JSON.stringify(madeJson('first'))}\n`)
      await readAll(request)
      response.end(`${JSON.stringify(madeJson('last'))}\n`)
    })
    const seenFirst = gate()
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(10)
      // Would wait for ever if the answer were only read once everything is sent.
      await seenFirst.opened
      yield new Uint8Array(10)
    }
    const names: string[] = []
    for await (const { name } of createClient({ baseUrl: fake.baseUrl }).add([{ path: 'a', content: slow() }])) {
      names.push(name)
      seenFirst.open()
    }
    assert.deepEqual(names, ['first', 'last'])
  })

  it('stops an upload that is refused, and closes its source', async () => {
    const closed = gate()
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield new Uint8Array(65_536)
      } finally {
        closed.open()
      }
    }
    await using fake = await FakePeer.start((_, response) =>
      sendJson(response, 400, { code: 400, message: 'parameter x invalid' })
    )
    const client = createClient({ baseUrl: fake.baseUrl })
    await assert.rejects(collect(client.add([{ path: 'a', content: endless() }])), { code: 'bad-request' })
    await closed.opened
  })

  it('does not repeat an upload at the next address once its content has been touched', async () => {
    await using fake = await FakePeer.start((request) => void request.socket.destroy())
    await using second = await FakePeer.start((_, response) => sendStream(response, []))
    const client = createClient({ baseUrl: [fake.baseUrl, second.baseUrl] })
    await assert.rejects(collect(client.add([{ path: 'a', content: 'x' }])), TransportError)
    assert.deepEqual(second.requests, [])
  })

  it('speaks over a Unix socket', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'quorate-client-'))
    const path = join(folder, 'api.sock')
    const server = createServer((_, response) => sendJson(response, 200, { version: 'x' }))
    try {
      await new Promise<void>((resolve) => server.listen(path, resolve))
      assert.equal(await createClient({ multiaddr: `/unix${path}` }).version(), 'x')
    } finally {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true })
    }
  })

  for (const [name, options] of [
    ['no address', {}],
    ['a URL with a path', { baseUrl: 'http://localhost:1/api' }],
    ['a URL of another kind', { baseUrl: 'ftp://localhost' }],
    ['text that is no URL', { baseUrl: 'localhost' }],
    ['a multiaddr without port', { multiaddr: '/ip4/127.0.0.1' }],
    ['a multiaddr of libp2p', { multiaddr: `/ip4/127.0.0.1/tcp/1/p2p/${peerA}` }],
    ['a multiaddr of UDP', { multiaddr: '/ip4/127.0.0.1/udp/1' }],
    ['a timeout that no timer can hold', { baseUrl: 'http://localhost', timeoutMs: 2 ** 31 }]
  ] as const) {
    it(`refuses ${name}`, () => {
      assert.throws(() => createClient(options), ClientConfigError)
    })
  }

  it('refuses content that is neither CID nor path before it asks anybody', async () => {
    await assert.rejects(createClient({ baseUrl: 'http://127.0.0.1:1' }).pin('what'), SyntaxError)
  })
})
