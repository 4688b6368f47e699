/** Calls between two real hosts: who may call what, what is refused for its form, and how rows travel. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import type { PinInfo } from '@quorate/client/api'
import { createRpc, type RpcEndpoint } from '@quorate/wire'
import { decode, encode } from 'cborg'
import { rpcMethods } from '../../src/rpc/methods.ts'
import { PeerRpc, RPC_PROTOCOL } from '../../src/rpc/peer-rpc.ts'
import { openHost, type TestHost } from './hosts.ts'

const session = '0'.repeat(32)

const info = (cid: string): PinInfo => ({
  cid,
  name: '',
  peer: 'p',
  allocations: [],
  origins: [],
  createdMs: 1,
  metadata: { a: 'b' },
  peername: '',
  ipfsPeerId: undefined,
  ipfsPeerAddresses: [],
  status: 'pinned',
  timestampMs: 2,
  error: '',
  attemptCount: 0,
  priorityPin: false
})

/** Two hosts; `a` calls, `b` answers what `prepare` says. */
async function withPeers(
  prepare: (rpc: PeerRpc) => void,
  run: (a: { rpc: PeerRpc; raw: RpcEndpoint }, b: TestHost, members: Set<string>) => Promise<void>
): Promise<void> {
  await using hostA = await openHost()
  await using hostB = await openHost()
  const members = new Set<string>()
  const a = new PeerRpc({ libp2p: hostA.libp2p, isMember: () => true })
  const b = new PeerRpc({ libp2p: hostB.libp2p, isMember: (peer) => members.has(peer) })
  prepare(b)
  await b.start()
  await a.start()
  // The wire beneath, to send what the typed face would not.
  const raw = createRpc({ libp2p: hostA.libp2p, protocol: RPC_PROTOCOL, authorize: () => true })
  await hostA.libp2p.dial(multiaddr(hostB.address))
  try {
    await run({ rpc: a, raw }, hostB, members)
  } finally {
    await raw.stop()
    await a.stop()
    await b.stop()
  }
}

describe('a call between peers', () => {
  it('carries a request and its answer, and tells who called', async () => {
    const seen: unknown[] = []
    await withPeers(
      (rpc) => {
        rpc.handle('Peer.twins', async (request, { peer }) => {
          seen.push(request, peer)
          return { twins: [{ session, address: '/ip4/127.0.0.1/tcp/1' }] }
        })
        rpc.handle('Tracker.status', async ({ cid }) => info(cid))
      },
      async ({ rpc }, b, members) => {
        assert.deepEqual(await rpc.call(b.id, 'Peer.twins', { session }), {
          twins: [{ session, address: '/ip4/127.0.0.1/tcp/1' }]
        })
        const [request, peer] = seen
        assert.deepEqual(request, { session })
        members.add(String(peer))
        assert.deepEqual(await rpc.call(b.id, 'Tracker.status', { cid: 'x' }), info('x'))
      }
    )
  })

  it('of a stranger reaches open methods only', async () => {
    let calledCount = 0
    await withPeers(
      (rpc) => {
        rpc.handle('Peer.twins', async () => ({ twins: [] }))
        rpc.handle('Tracker.status', async ({ cid }) => {
          calledCount++
          return info(cid)
        })
        rpc.handleStream('Tracker.statusAll', async function* () {
          calledCount++
          yield info('x')
        })
      },
      async ({ rpc, raw }, b) => {
        await rpc.call(b.id, 'Peer.twins', { session })
        const forbidden = { name: 'RpcRefusedError', code: 'forbidden' }
        await assert.rejects(rpc.call(b.id, 'Tracker.status', { cid: 'x' }), forbidden)
        await assert.rejects(rpc.stream(b.id, 'Tracker.statusAll', {})[Symbol.asyncIterator]().next(), forbidden)
        for (const method of ['toString', '__proto__', 'constructor', 'Peer', ''])
          await assert.rejects(raw.call(b.id, method, encode(null)), forbidden, method)
        assert.equal(calledCount, 0)
      }
    )
  })

  it("of a form that is not the method's is refused before the handler sees it", async () => {
    let calledCount = 0
    await withPeers(
      (rpc) =>
        rpc.handle('Peer.twins', async () => {
          calledCount++
          return { twins: [] }
        }),
      async ({ raw }, b) => {
        for (const bytes of [
          new Uint8Array(),
          Buffer.from('not CBOR'),
          // A map that says it has 2^32 entries, and one that never ends.
          Buffer.from('ba ff ff ff ff'.replaceAll(' ', ''), 'hex'),
          Buffer.from('9b00000fffffffffff', 'hex'),
          encode(null),
          encode({}),
          encode({ session: 7 }),
          encode({ session: 'x'.repeat(32) }),
          encode([session])
        ]) {
          await assert.rejects(raw.call(b.id, 'Peer.twins', bytes), (error: Error & { remoteName?: string }) => {
            assert.equal(error.name, 'RpcRemoteError')
            assert.equal(error.remoteName, 'MalformedRpcError')
            assert.match(error.message, /^Peer \S+ sent a (malformed )?request of Peer\.twins/)
            return true
          })
        }
        assert.equal(calledCount, 0)
        assert.deepEqual(decode(await raw.call(b.id, 'Peer.twins', encode({ session, more: 1 }))), { twins: [] })
      }
    )
  })

  it("whose answer is not of the method's form fails here", async () => {
    await using hostA = await openHost()
    await using hostB = await openHost()
    const rpc = new PeerRpc({ libp2p: hostA.libp2p, isMember: () => true })
    const raw = createRpc({ libp2p: hostB.libp2p, protocol: RPC_PROTOCOL, authorize: () => true })
    let answer = Buffer.from('nonsense') as Uint8Array
    raw.handle('Peer.twins', async () => answer)
    raw.handle('Tracker.statusAll', async () =>
      (async function* () {
        yield encode([{ ...info('x'), ipfsPeerId: null }])
      })()
    )
    await raw.start()
    await rpc.start()
    await hostA.libp2p.dial(multiaddr(hostB.address))
    const malformed = { name: 'MalformedRpcError', message: /sent a (malformed )?response of / }
    await assert.rejects(rpc.call(hostB.id, 'Peer.twins', { session }), malformed)
    answer = encode({ twins: Array.from({ length: 65 }, () => ({ session, address: '' })) })
    await assert.rejects(rpc.call(hostB.id, 'Peer.twins', { session }), malformed)
    await assert.rejects(rpc.stream(hostB.id, 'Tracker.statusAll', {})[Symbol.asyncIterator]().next(), malformed)
    await rpc.stop()
    await raw.stop()
  })

  it('that fails there says how, with the code of the error', async () => {
    await withPeers(
      (rpc) =>
        rpc.handle('Peer.twins', () => {
          throw Object.assign(new Error('not this time'), { name: 'SomeError', code: 'some-code' })
        }),
      async ({ rpc }, b) => {
        await assert.rejects(rpc.call(b.id, 'Peer.twins', { session }), {
          name: 'RpcRemoteError',
          remoteName: 'SomeError',
          code: 'some-code',
          message: 'not this time'
        })
      }
    )
  })

  it('answers rows in frames of many, however long the rows are', async () => {
    const count = 1_000
    let given = 0
    await withPeers(
      (rpc) =>
        rpc.handleStream('Tracker.statusAll', async function* ({ filter }) {
          assert.deepEqual(filter, ['pinned'])
          for (; given < count; given++) yield info(`cid${given}`)
        }),
      async ({ rpc, raw }, b, members) => {
        members.has = () => true
        const rows: string[] = []
        for await (const { cid } of rpc.stream(b.id, 'Tracker.statusAll', { filter: ['pinned'] })) rows.push(cid)
        assert.deepEqual(
          rows,
          Array.from({ length: count }, (_, index) => `cid${index}`)
        )
        given = 0
        let rowsInFrames = 0
        let frames = 0
        for await (const frame of raw.stream(b.id, 'Tracker.statusAll', encode({ filter: ['pinned'] }))) {
          assert.ok(frame.length < 128 * 1024, `a frame of ${frame.length} bytes`)
          rowsInFrames += (decode(frame) as unknown[]).length
          frames++
        }
        assert.equal(rowsInFrames, count)
        assert.ok(frames > 1 && frames < 20, `${frames} frames`)
      }
    )
  })

  it('that is left early ends the source there', async () => {
    const { promise: ended, resolve: onEnd } = Promise.withResolvers<void>()
    await withPeers(
      (rpc) =>
        rpc.handleStream('Ipfs.repoGc', async function* (_request, { signal }) {
          try {
            while (!signal.aborted) yield { cid: 'x' }
          } finally {
            onEnd()
          }
        }),
      async ({ rpc }, b, members) => {
        members.has = () => true
        for await (const _row of rpc.stream(b.id, 'Ipfs.repoGc', null)) break
        await ended
      }
    )
  })
})

describe('the table of methods', () => {
  it('opens to strangers what a joiner needs, and nothing else', () => {
    const open = Object.entries(rpcMethods).filter(([, { trust }]) => trust === 'open')
    assert.deepEqual(open.map(([name]) => name).sort(), [
      'Cluster.join',
      'Cluster.membership',
      'Peer.info',
      'Peer.twins'
    ])
  })
})
