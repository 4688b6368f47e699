/** The private network under load: several busy connections of one process, chunks of all sizes. */

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { noise } from '@chainsafe/libp2p-noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2p } from 'libp2p'
import { secretProtector } from '../src/private-network.ts'
import { quietLengths } from '../src/quiet-lengths.ts'

const secret = randomBytes(32)
const PROTOCOL = '/count/1'
/** Larger than any chunk that a socket or a muxer hands over. */
const CHUNK_BYTES = 200_000
const ROUNDS = 100

const openHost = (): Promise<Libp2p> =>
  createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [quietLengths(noise())],
    streamMuxers: [yamux()],
    connectionManager: { inboundConnectionThreshold: 1_000 },
    connectionProtector: secretProtector({ secret, onMismatch: (error) => assert.fail(error.message) })
  })

describe('connections of one private network', () => {
  it('carry what is sent, unharmed by each other', async () => {
    const hosts = await Promise.all([openHost(), openHost(), openHost()])
    const [hub, ...others] = hosts as [Libp2p, Libp2p, Libp2p]
    try {
      const heard = new Map<string, { bytes: number; hash: ReturnType<typeof createHash>; done: () => void }>()
      const finished = others.map(
        (other) =>
          new Promise<void>((resolve) => {
            heard.set(other.peerId.toString(), { bytes: 0, hash: createHash('sha256'), done: resolve })
          })
      )
      await hub.handle(PROTOCOL, (stream, connection) => {
        const account = heard.get(connection.remotePeer.toString())!
        stream.addEventListener('message', ({ data }) => {
          for (const chunk of data instanceof Uint8Array ? [data] : data) account.hash.update(chunk)
          account.bytes += data.byteLength
          if (account.bytes === CHUNK_BYTES * ROUNDS) account.done()
        })
      })
      const sent = await Promise.all(
        others.map(async (other) => {
          const hash = createHash('sha256')
          const stream = await other.dialProtocol(hub.getMultiaddrs(), PROTOCOL)
          for (let round = 0; round < ROUNDS; round++) {
            const chunk = randomBytes(CHUNK_BYTES)
            hash.update(chunk)
            if (!stream.send(chunk)) await stream.onDrain()
          }
          return hash.digest('hex')
        })
      )
      await Promise.all(finished)
      assert.deepEqual(
        others.map((other) => heard.get(other.peerId.toString())!.hash.digest('hex')),
        sent
      )
    } finally {
      await Promise.all(hosts.map((host) => host.stop()))
    }
  })
})
