import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PeerInfo } from '@quorate/client/api'
import { PeerDirectory, type PeerDirectoryComponents } from '../src/peer-directory.ts'
import { FakeRpc, hang } from './consensus/fakes.ts'

function setUp(onCall: (peer: string, signal?: AbortSignal) => Promise<unknown>) {
  const rpc = new FakeRpc((peer, _method, _request, signal) => onCall(peer, signal))
  const parts = {
    rpc: rpc.asPeerRpc,
    libp2p: { getMultiaddrs: () => ['/ip4/127.0.0.1/tcp/1'] },
    consensus: { peers: () => ['a', 'b', 'c'] },
    membership: {
      members: () => [
        { id: 'a', peername: 'an old name', addresses: ['/ip4/127.0.0.1/tcp/1'] },
        { id: 'b', peername: 'beta', addresses: ['/ip4/127.0.0.1/tcp/2'] },
        { id: 'c', peername: '', addresses: [] }
      ]
    },
    connector: { id: () => Promise.reject(new Error('the IPFS node is down')) }
  } as unknown as PeerDirectoryComponents
  return new PeerDirectory(parts, { id: 'a', peername: 'alpha', version: '1' })
}

describe('the members of a cluster', () => {
  it('say who they are; one that does not answer is listed with the reason', async () => {
    const directory = setUp(async (peer) => {
      if (peer === 'c') throw new Error('no route')
      return { id: peer, peername: 'beta', error: '' }
    })
    const peers: PeerInfo[] = []
    for await (const peer of directory.peers()) peers.push(peer)
    assert.deepEqual(
      peers.map(({ id, peername, error }) => [id, peername, error]),
      [
        ['a', 'alpha', ''],
        ['b', 'beta', ''],
        ['c', '', 'no route']
      ]
    )
  })

  it('are known by name without asking, this one by the name it has now', () => {
    const directory = setUp(hang.bind(undefined, undefined))
    assert.deepEqual(directory.labels(), [
      { id: 'a', peername: 'alpha' },
      { id: 'b', peername: 'beta' },
      { id: 'c', peername: '' }
    ])
    assert.deepEqual(directory.label('x'), { id: 'x', peername: '' })
  })

  it('are not asked on behalf of a caller that is gone', async () => {
    const directory = setUp((_peer, signal) => hang(signal))
    const gone = AbortSignal.abort(new Error('the client went away'))
    await assert.rejects(directory.infoOf('b', { signal: gone }), { message: 'the client went away' })
  })
})

describe('this peer', () => {
  it('says who it is although its IPFS node does not answer', async () => {
    const info = await setUp(hang.bind(undefined, undefined)).info()
    assert.deepEqual(info.addresses, ['/ip4/127.0.0.1/tcp/1/p2p/a'])
    assert.deepEqual(info.clusterPeers, ['a', 'b', 'c'])
    assert.deepEqual(info.clusterPeersAddresses, ['/ip4/127.0.0.1/tcp/2/p2p/b'])
    assert.deepEqual(info.ipfs, { id: undefined, addresses: [], error: 'the IPFS node is down' })
    assert.deepEqual([info.id, info.peername, info.version, info.error], ['a', 'alpha', '1', ''])
  })
})
