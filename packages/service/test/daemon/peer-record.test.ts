/** A peer keeps its own record among the members' in step with where it listens, and theirs in the address book. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { type PeerRecordComponents, PeerRecordKeeper } from '../../src/daemon/peer-record.ts'
import type { PeerRecord } from '../../src/state/ops.ts'
import { silent, turn } from '../consensus/fakes.ts'

function setUp(context: TestContext) {
  context.mock.timers.enable({ apis: ['setInterval'] })
  const world = {
    peers: ['me', 'b'],
    leader: 'b' as string | undefined,
    addresses: ['/ip4/127.0.0.1/tcp/2', '/ip4/127.0.0.1/tcp/1'],
    records: [{ peerId: 'b', peername: 'beta', addresses: ['/ip4/127.0.0.1/tcp/9'] }] as PeerRecord[],
    committed: [] as unknown[],
    learned: [] as unknown[],
    commit: async (): Promise<void> => undefined
  }
  const parts = {
    libp2p: { getMultiaddrs: () => world.addresses },
    consensus: {
      peers: () => world.peers,
      leader: () => world.leader,
      commit: async (operation: unknown) => {
        world.committed.push(operation)
        await world.commit()
      }
    },
    state: { peerRecords: { list: () => world.records } },
    addressBook: { setMembers: async (members: unknown) => void world.learned.push(members) },
    logger: silent
  } as unknown as PeerRecordComponents
  const keeper = new PeerRecordKeeper(parts, { id: 'me', peername: 'myself' })
  const pass = async (times = 1): Promise<void> => {
    for (let i = 0; i < times; i++) {
      context.mock.timers.tick(1_000)
      await turn()
    }
  }
  return { world, keeper, pass }
}

const own = { peerId: 'me', peername: 'myself', addresses: ['/ip4/127.0.0.1/tcp/1', '/ip4/127.0.0.1/tcp/2'] }

describe('the record of a peer', () => {
  it('is written once, and again when the peer listens elsewhere or has another name', async (context) => {
    const { world, keeper, pass } = setUp(context)
    keeper.start()
    await turn()
    assert.deepEqual(world.committed, [{ kind: 'peer-record', record: own }])
    world.records = [...world.records, { ...own, addresses: own.addresses.toReversed() }]
    await pass(3)
    assert.equal(world.committed.length, 1)
    world.addresses = ['/ip4/127.0.0.1/tcp/3']
    await pass()
    assert.equal(world.committed.length, 2)
    await keeper.stop()
  })

  it('is not written by a peer that is no member, sees no leader, or listens nowhere', async (context) => {
    const { world, keeper, pass } = setUp(context)
    world.leader = undefined
    keeper.start()
    await pass()
    world.leader = 'b'
    world.peers = ['b']
    await pass()
    world.peers = ['me', 'b']
    world.addresses = []
    await pass()
    assert.deepEqual(world.committed, [])
    await keeper.stop()
  })

  it('is tried again when it could not be committed, one try at a time', async (context) => {
    const { world, keeper, pass } = setUp(context)
    const first = Promise.withResolvers<void>()
    world.commit = () => first.promise
    keeper.start()
    await pass(3)
    assert.equal(world.committed.length, 1)
    first.reject(new Error('no leader'))
    await turn()
    await pass()
    assert.equal(world.committed.length, 2)
    await keeper.stop()
    await pass(3)
    assert.equal(world.committed.length, 2)
  })
})

describe('the records of the others', () => {
  it('go into the address book while they are members', async (context) => {
    const { world, keeper } = setUp(context)
    world.records = [...world.records, { peerId: 'gone', peername: '', addresses: ['/ip4/127.0.0.1/tcp/8'] }]
    keeper.start()
    await turn()
    assert.deepEqual(world.learned, [[{ id: 'b', addresses: ['/ip4/127.0.0.1/tcp/9'] }]])
    await keeper.stop()
  })
})
