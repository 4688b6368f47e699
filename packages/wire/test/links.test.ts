import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { multiaddr } from '@multiformats/multiaddr'
import { createLinks, type FrameLinks, type LinksInit } from '../src/index.ts'
import { createHost, introduce, type TestHost, until } from './support/host.ts'

const PROTOCOL = '/test/links/1'

interface Recorder {
  readonly links: FrameLinks
  readonly frames: { peer: string; frame: Uint8Array }[]
  readonly up: string[]
  readonly down: string[]
  readonly refused: { peer: string; reason: string }[]
  readonly warnings: string[]
}

/** A frame that begins with this byte means nothing to the handlers of these tests. */
const RUBBISH = 0xee

async function startLinks(host: TestHost, init: Partial<LinksInit> = {}): Promise<Recorder> {
  const warnings: string[] = []
  const links = createLinks({
    libp2p: host.libp2p,
    protocol: PROTOCOL,
    maxFrameBytes: 1 << 20,
    maxQueuedBytes: 8 << 20,
    minRedialMs: 5,
    maxRedialMs: 50,
    hello: () => Buffer.from('group-a'),
    onHello: (_peer, hello) => (Buffer.from(hello).toString() === 'group-a' ? undefined : 'this is group-a'),
    logger: { debug: () => {}, warn: (line) => warnings.push(line) },
    ...init
  })
  const recorder: Recorder = { links, frames: [], up: [], down: [], refused: [], warnings }
  await links.start({
    onFrame: (peer, frame) => {
      if (frame[0] === RUBBISH) return `it begins with ${frame[0]}`
      recorder.frames.push({ peer, frame })
      return undefined
    },
    onUp: (peer) => recorder.up.push(peer),
    onDown: (peer) => recorder.down.push(peer),
    onRefused: (peer, reason) => recorder.refused.push({ peer, reason })
  })
  return recorder
}

describe('FrameLinks', () => {
  it('carries frames both ways, in order, parts joined', async () => {
    await using a = await createHost()
    await using b = await createHost()
    await introduce(a, b)
    const atA = await startLinks(a)
    const atB = await startLinks(b)
    atA.links.setPeers([a.id, b.id])
    atB.links.setPeers([a.id, b.id])
    await until('both links are up', () => atA.links.isUp(b.id) && atB.links.isUp(a.id))
    for (let i = 0; i < 1000; i++) assert.ok(atA.links.send(b.id, [Buffer.from(`${i}`), Buffer.from('!')]))
    assert.ok(atB.links.send(a.id, Buffer.alloc(1 << 20, 7)))
    await until('all frames are there', () => atB.frames.length === 1000 && atA.frames.length === 1)
    assert.deepEqual(
      atB.frames.map(({ frame }) => Buffer.from(frame).toString()),
      Array.from({ length: 1000 }, (_, i) => `${i}!`)
    )
    assert.equal(Buffer.compare(atA.frames[0]!.frame, Buffer.alloc(1 << 20, 7)), 0)
    await Promise.all([atA.links.stop(), atB.links.stop()])
  })

  it('answers a peer that nobody asked for', async () => {
    await using a = await createHost()
    await using b = await createHost()
    await introduce(a, b)
    const atA = await startLinks(a)
    const atB = await startLinks(b)
    atA.links.setPeers([b.id])
    await until('b has a link to a', () => atB.links.isUp(a.id))
    assert.ok(atB.links.send(a.id, Buffer.from('hi')))
    await until('the answer is there', () => atA.frames.length === 1)
    atA.links.setPeers([])
    await until('the link to the peer that left goes down', () => atB.down.length > 0)
    await Promise.all([atA.links.stop(), atB.links.stop()])
  })

  it('tells the opener why it was refused', async () => {
    await using a = await createHost()
    await using b = await createHost()
    await introduce(a, b)
    const atA = await startLinks(a, { hello: () => Buffer.from('group-b') })
    const atB = await startLinks(b)
    atA.links.setPeers([b.id])
    await until('the refusal is there', () => atA.refused.length > 0)
    assert.deepEqual(atA.refused[0], { peer: b.id, reason: 'this is group-a' })
    assert.equal(atA.links.isUp(b.id), false)
    assert.equal(atA.links.send(b.id, Buffer.from('x')), false)
    assert.equal(atB.frames.length, 0)
    await Promise.all([atA.links.stop(), atB.links.stop()])
  })

  it('is down when the peer goes, and up again when it is back', async () => {
    await using a = await createHost()
    await using b = await createHost()
    await introduce(a, b)
    const atA = await startLinks(a)
    const atB = await startLinks(b)
    atA.links.setPeers([b.id])
    await until('the link is up', () => atA.links.isUp(b.id))
    for (const connection of b.libp2p.getConnections()) connection.abort(new Error('gone'))
    await until('the link went down', () => atA.down.length === 1)
    await until('the link is up again', () => atA.up.length === 2)
    assert.ok(atA.links.send(b.id, Buffer.from('again')))
    await until('the frame is there', () => atB.frames.length === 1)
    await Promise.all([atA.links.stop(), atB.links.stop()])
  })

  it('is down as soon as the process of the peer is killed', async () => {
    await using a = await createHost()
    const child = fork(fileURLToPath(new URL('support/peer-process.ts', import.meta.url)), {
      execArgv: ['--conditions=quorate-source']
    })
    try {
      const [addresses] = (await once(child, 'message')) as [string[]]
      const peer = addresses[0]!.split('/p2p/')[1]!
      const atA = await startLinks(a)
      await a.libp2p.dial(multiaddr(addresses[0]!))
      atA.links.setPeers([peer])
      await until('the link is up', () => atA.links.isUp(peer))
      // Both directions have carried something, so that nothing is left to be sent that would find the peer gone.
      await until('the peer answers', () => {
        atA.links.send(peer, Buffer.from('x'))
        return atA.frames.length > 0
      })
      child.kill('SIGKILL')
      await until('the link is down', () => atA.down.length === 1)
      await atA.links.stop()
    } finally {
      child.kill('SIGKILL')
    }
  })

  it('drops what exceeds the queue while the peer does not read, and nothing else', async () => {
    await using a = await createHost()
    await using b = await createHost()
    await introduce(a, b)
    const atA = await startLinks(a, { maxQueuedBytes: 1 << 20 })
    const atB = await startLinks(b)
    atA.links.setPeers([b.id])
    await until('the link is up', () => atA.links.isUp(b.id))
    await until('the peer accepted', () => atB.links.isUp(a.id))
    atB.links.pause(a.id)
    let accepted = 0
    const frame = Buffer.alloc(64 * 1024)
    await until('a frame is dropped', () => {
      for (let i = 0; i < 64; i++) {
        if (!atA.links.send(b.id, frame)) return true
        accepted++
      }
      return false
    })
    assert.ok(atA.links.queuedBytes(b.id) <= 1 << 20)
    assert.ok(accepted * frame.length < 64 << 20)
    atB.links.resume(a.id)
    await until('all that was accepted is there', () => atB.frames.length === accepted)
    await Promise.all([atA.links.stop(), atB.links.stop()])
  })

  it('ends the stream of a peer that sends no frames, without harm', async () => {
    await using a = await createHost()
    await using b = await createHost()
    await introduce(a, b)
    const atB = await startLinks(b, { maxFrameBytes: 1000 })
    const stream = await a.libp2p.dialProtocol(b.libp2p.getMultiaddrs(), PROTOCOL)
    let closed = false
    stream.addEventListener('close', () => {
      closed = true
    })
    stream.send(Buffer.alloc(64, 0xff))
    await until('the stream is closed', () => closed)
    assert.deepEqual(atB.frames, [])
    await atB.links.stop()
  })

  it('ends the stream of a peer whose frames mean nothing, says why, and takes the next one', async () => {
    await using a = await createHost()
    await using b = await createHost()
    await introduce(a, b)
    const [atA, atB] = [await startLinks(a), await startLinks(b)]
    atA.links.setPeers([b.id])
    await until('the link is up', () => atA.up.length === 1)
    atA.links.send(b.id, Uint8Array.of(1))
    atA.links.send(b.id, Uint8Array.of(RUBBISH, 1))
    atA.links.send(b.id, Uint8Array.of(2))
    await until('the link is up again', () => atA.up.length === 2)
    assert.equal(atA.down.length, 1)
    atA.links.send(b.id, Uint8Array.of(3))
    await until('a frame arrives', () => atB.frames.length === 2)
    assert.deepEqual(
      atB.frames.map(({ frame }) => frame[0]),
      [1, 3],
      'nothing is taken from a stream behind what means nothing'
    )
    assert.deepEqual(
      atB.warnings.filter((line) => line.includes('ended the stream')),
      [`${PROTOCOL}: ended the stream of ${a.id}: it begins with ${RUBBISH}`]
    )
    await Promise.all([atA.links.stop(), atB.links.stop()])
  })

  it('takes no large hello', async () => {
    await using a = await createHost()
    await using b = await createHost()
    const atB = await startLinks(b)
    const { closed } = await speak(a, b, [Buffer.alloc(5000)], 4)
    // Well before a stream that says nothing is given up.
    await until('the stream is closed', closed, 3000)
    await atB.links.stop()
  })

  it('ends the stream of a peer that changes its mind without end', async () => {
    await using a = await createHost()
    await using b = await createHost()
    const atB = await startLinks(b)
    const hello = Buffer.from('\u0001group-a')
    const { closed } = await speak(a, b, [hello, ...Array.from({ length: 1000 }, () => Buffer.alloc(0))])
    await until('the stream is closed', closed, 3000)
    assert.deepEqual(atB.frames, [])
    await atB.links.stop()
  })

  it('sends what waits when it is stopped', async () => {
    await using a = await createHost()
    await using b = await createHost()
    await introduce(a, b)
    const atA = await startLinks(a)
    const atB = await startLinks(b)
    atA.links.setPeers([b.id])
    await until('the link is up', () => atA.links.isUp(b.id))
    assert.ok(atA.links.send(b.id, Buffer.alloc(1 << 20, 1)))
    await atA.links.stop()
    await until('the frame is there', () => atB.frames.length === 1)
    await atB.links.stop()
  })
})

/** Opens a stream by hand and sends frames on it, or only the first bytes of them. */
async function speak(a: TestHost, b: TestHost, frames: readonly Buffer[], bytes?: number) {
  const stream = await a.libp2p.dialProtocol(b.libp2p.getMultiaddrs(), PROTOCOL)
  let closed = false
  stream.addEventListener('close', () => {
    closed = true
  })
  const all = frames.flatMap((frame) => {
    const header = Buffer.alloc(4)
    header.writeUInt32LE(frame.length)
    return [header, frame]
  })
  stream.send(Buffer.concat(all).subarray(0, bytes))
  return { closed: () => closed }
}
