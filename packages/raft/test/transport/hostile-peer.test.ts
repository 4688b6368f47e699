/** A member that sends what no message can be has its stream ended, with a reason; a node that never showed that it belongs to the group is told so. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Libp2p } from 'libp2p'
import type { Message } from '../../src/core/messages.ts'
import type { TransportHandler } from '../../src/ports.ts'
import { encodeMessage } from '../../src/transport/codec.ts'
import { encodeHello } from '../../src/transport/hello.ts'
import { createLibp2pTransport, type Libp2pTransport, RAFT_PROTOCOL } from '../../src/transport/libp2p-transport.ts'
import { createHost, newSecret } from '../support/libp2p-node.ts'
import { until } from '../support/until.ts'

const sound: Message = { type: 'vote-response', term: 3, granted: true }
const limits = { maxEntryBytes: 1024, maxAppendBytes: 1024 }

/** A node's transport, and a host of the same private network that says what it likes. */
class Scene implements AsyncDisposable {
  readonly taken: Message[] = []
  readonly warnings: string[] = []
  readonly #member: Libp2p
  readonly #stranger: Libp2p
  readonly #transport: Libp2pTransport

  private constructor(member: Libp2p, stranger: Libp2p) {
    this.#member = member
    this.#stranger = stranger
    const logger = {
      debug: () => {},
      info: () => {},
      warn: (line: string) => void this.warnings.push(line),
      error: () => {}
    }
    this.#transport = createLibp2pTransport({ libp2p: member, clusterId: 'test', incarnation: '', logger })
  }

  static async open(): Promise<Scene> {
    const secret = newSecret()
    const scene = new Scene(await createHost({ secret }), await createHost({ secret }))
    const handler = {
      onMessage: (_from: string, message: Message) => void scene.taken.push(message),
      onPeerUp: () => {},
      onPeerDown: () => {}
    } as unknown as TransportHandler
    await scene.#transport.start(handler, limits)
    return scene
  }

  /** Opens a stream and sends frames on it; the first is the hello. */
  async speak(frames: readonly Uint8Array[]): Promise<() => boolean> {
    const stream = await this.#stranger.dialProtocol(this.#member.getMultiaddrs(), RAFT_PROTOCOL)
    let closed = false
    stream.addEventListener('close', () => {
      closed = true
    })
    for (const frame of frames) {
      const header = Buffer.alloc(4)
      header.writeUInt32LE(frame.length)
      stream.send(Buffer.concat([header, frame]))
    }
    return () => closed
  }

  hello(clusterId: string): Uint8Array {
    const memberId = this.#stranger.peerId.toString()
    const hello = { clusterId, memberId, incarnation: '', featureLevel: 1, life: undefined }
    return Buffer.concat([Uint8Array.of(1), encodeHello(hello)])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport.stop()
    await this.#member.stop()
    await this.#stranger.stop()
  }
}

describe('a member that sends what no message can be', () => {
  it('is heard up to there; then its stream is ended, and the reason is in the log', async () => {
    await using scene = await Scene.open()
    const [message] = [Buffer.concat(encodeMessage(sound))]
    const closed = await scene.speak([scene.hello('test'), message, message.subarray(0, 5), message])
    await until('the stream is closed', closed)
    assert.deepEqual(scene.taken, [sound])
    const ended = scene.warnings.filter((line) => line.includes('ended the stream'))
    assert.equal(ended.length, 1, scene.warnings.join('\n'))
    assert.match(ended[0] ?? '', /a message makes no sense: a message of kind 4 has 5 bytes/)
  })

  it('may say more than this version understands: that is passed over', async () => {
    await using scene = await Scene.open()
    const message = Buffer.concat(encodeMessage(sound))
    await scene.speak([scene.hello('test'), Buffer.alloc(30, 0xfe), message])
    await until('what came behind it is there', () => scene.taken.length === 1)
  })

  it('is told that it belongs to another cluster, if it does, and nothing of it is taken (T36)', async () => {
    await using scene = await Scene.open()
    const message = Buffer.concat(encodeMessage(sound))
    const closed = await scene.speak([scene.hello('other'), message])
    await until('the stream is closed', closed)
    assert.deepEqual(scene.taken, [])
    assert.match(scene.warnings.join('\n'), /it belongs to the cluster other, and this peer to the cluster test/)
  })
})
