/** Who may connect with whom, and what both sides are told when they may not. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { noise } from '@chainsafe/libp2p-noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p } from 'libp2p'
import { type SecretMismatchError, secretProtector } from '../src/private-network.ts'
import { until } from './support/until.ts'

const one = Buffer.alloc(32, 1)
const two = Buffer.alloc(32, 2)

interface Host extends AsyncDisposable {
  readonly libp2p: Libp2p
  readonly port: number
  readonly problems: SecretMismatchError[]
}

/** @param greetingTimeoutMs - long enough never to pass, unless the test waits for it */
async function openHost(secret: Uint8Array | undefined, greetingTimeoutMs = 60_000): Promise<Host> {
  const problems: SecretMismatchError[] = []
  const libp2p = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionManager: { inboundConnectionThreshold: 1_000 },
    connectionProtector: secretProtector({ secret, greetingTimeoutMs, onMismatch: (error) => problems.push(error) })
  })
  return {
    libp2p,
    port: Number(
      libp2p
        .getMultiaddrs()[0]!
        .getComponents()
        .find(({ name }) => name === 'tcp')!.value
    ),
    problems,
    async [Symbol.asyncDispose]() {
      await libp2p.stop()
    }
  }
}

const codes = (host: Host): string[] => host.problems.map(({ code }) => code)

/** A connection that speaks no libp2p; it may be closed in order or reset. */
function stranger(host: Host): { socket: Socket; closed: Promise<void> } {
  const socket = connect(host.port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.resume()
  return { socket, closed: new Promise((resolve) => socket.on('close', () => resolve())) }
}

describe('two hosts', () => {
  it('with the same secret, or both without one, connect and can talk', async () => {
    for (const secret of [one, undefined]) {
      await using a = await openHost(secret)
      await using b = await openHost(secret)
      const { promise: heard, resolve } = Promise.withResolvers<string>()
      await b.libp2p.handle('/hello', (stream) => {
        stream.addEventListener('message', (event) => resolve(Buffer.from(event.data.subarray()).toString()))
      })
      const stream = await a.libp2p.dialProtocol(b.libp2p.getMultiaddrs()[0]!, '/hello')
      stream.send(Buffer.from('hello'))
      assert.equal(await heard, 'hello')
      assert.deepEqual([...codes(a), ...codes(b)], [])
    }
  })

  it('with different secrets are told so on both sides', async () => {
    for (const [secretA, secretB, codeA, codeB] of [
      [one, two, 'different-secret', 'different-secret'],
      [one, undefined, 'they-have-none', 'we-have-none'],
      [undefined, two, 'we-have-none', 'they-have-none']
    ] as const) {
      await using a = await openHost(secretA)
      await using b = await openHost(secretB)
      await assert.rejects(a.libp2p.dial(b.libp2p.getMultiaddrs()[0]!))
      await until(() => b.problems.length > 0)
      assert.deepEqual([codes(a), codes(b)], [[codeA], [codeB]])
      assert.match(
        a.problems[0]!.message,
        new RegExp(`^Cannot connect with the peer at /ip4/127\\.0\\.0\\.1/tcp/${b.port}`)
      )
      assert.deepEqual([a.libp2p.getConnections(), b.libp2p.getConnections()], [[], []])
    }
  })
})

describe('a stranger', () => {
  it('that speaks something else is named as such, and cut off', async () => {
    for (const text of [
      'GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: somebody\r\n\r\n',
      '\x13/multistream/1.0.0\n'.repeat(3)
    ]) {
      await using host = await openHost(one)
      const { socket, closed } = stranger(host)
      socket.write(text)
      await closed
      assert.deepEqual(codes(host), ['not-quorate'])
    }
  })

  it('that says nothing, or too little, is cut off in time and not reported', async () => {
    for (const text of ['', 'QRT1 and no more']) {
      await using host = await openHost(one, 50)
      const { socket, closed } = stranger(host)
      socket.write(text)
      await closed
      assert.deepEqual(codes(host), [])
    }
  })

  it('that answers a dial with nothing ends it in time', async () => {
    const sockets: Socket[] = []
    const server = createServer((socket) => void sockets.push(socket.on('error', () => undefined))).listen(
      0,
      '127.0.0.1'
    )
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    await using host = await openHost(one, 50)
    await assert.rejects(host.libp2p.dial(multiaddr(`/ip4/127.0.0.1/tcp/${port}`)))
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  it('that sends any bytes, in any pieces, is cut off, and keeps nobody else from connecting', async () => {
    await using host = await openHost(one, 300)
    await using friend = await openHost(one)
    let state = 7
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return (state >>> 8) % below
    }
    const strangers = Array.from({ length: 60 }, (_, i) => {
      const bytes = Buffer.from(Array.from({ length: random(200) }, () => random(256)))
      // Some begin as a peer does, so that the tag is looked at, and some go on behind it as if they were welcome.
      if (i % 3 === 0) bytes.write('QRT1')
      const { socket, closed } = stranger(host)
      const cut = random(bytes.length + 1)
      socket.write(bytes.subarray(0, cut))
      socket.write(bytes.subarray(cut))
      return closed
    })
    // So many at once may fill the queue of those that are greeted: who is turned away then comes again, as every link does.
    const address = host.libp2p.getMultiaddrs()[0]!
    let connected = false
    for (let tries = 0; !connected && tries < 20; tries++) {
      connected = await friend.libp2p.dial(address).then(
        () => true,
        () => false
      )
    }
    await Promise.all(strangers)
    if (!connected) await friend.libp2p.dial(address)
    assert.deepEqual(
      [...new Set(codes(host))].filter((code) => code !== 'not-quorate' && code !== 'different-secret'),
      []
    )
    assert.ok(codes(host).includes('not-quorate') && codes(host).includes('different-secret'))
    assert.deepEqual(
      host.libp2p.getConnections().map(({ remotePeer }) => remotePeer.toString()),
      [friend.libp2p.peerId.toString()]
    )
  })

  it('that repeats a greeting that it overheard gets no further than the encryption', async () => {
    await using host = await openHost(one, 200)
    const overheard = connect(host.port, '127.0.0.1')
    const [greeting] = await once(overheard, 'data')
    assert.equal(greeting.length, 44)
    overheard.destroy()
    const { socket, closed } = stranger(host)
    socket.write(Buffer.concat([greeting, Buffer.alloc(200, 7)]))
    await closed
    assert.deepEqual(host.libp2p.getConnections(), [])
    assert.deepEqual(codes(host), [])
  })
})

describe('a greeting', () => {
  it('is a new one each time, and does not hold the secret', async () => {
    await using host = await openHost(one)
    const greetings = new Set<string>()
    for (let i = 0; i < 3; i++) {
      const socket = connect(host.port, '127.0.0.1')
      const [greeting] = await once(socket, 'data')
      socket.destroy()
      greetings.add(greeting.toString('hex'))
      assert.equal(greeting.includes(one.subarray(0, 8)), false)
    }
    assert.equal(greetings.size, 3)
  })
})
