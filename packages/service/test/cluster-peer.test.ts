/** What a peer does with a call of its API, among parts that do what the test says. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  ConsensusUnavailableError,
  defaultAddOptions,
  defaultPinOptions,
  type PeerInfo,
  type Pin,
  type PinInfo,
  PinNotFoundError
} from '@quorate/client/api'
import { type ClusterPeerComponents, type ClusterPeerInit, QuorateClusterPeer } from '../src/cluster-peer.ts'
import type { PeerDirectory } from '../src/peer-directory.ts'
import type { IpfsConnector, PinTracker } from '../src/ports.ts'
import { FakeRpc, hang, named, silent } from './consensus/fakes.ts'

const cidA = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const cidB = 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG'

const pinOf = (cid: string, more: Partial<Pin> = {}): Pin => ({
  ...defaultPinOptions,
  replicationFactorMin: -1,
  replicationFactorMax: -1,
  cid,
  type: 'pin',
  allocations: [],
  maxDepth: -1,
  reference: undefined,
  timestampMs: 1,
  ...more
})

const infoOf = (cid: string, peer: string, more: Partial<PinInfo> = {}): PinInfo => ({
  cid,
  name: '',
  peer,
  allocations: [],
  origins: [],
  createdMs: 1,
  metadata: {},
  peername: `${peer}-name`,
  ipfsPeerId: undefined,
  ipfsPeerAddresses: [],
  status: 'pinned',
  timestampMs: 2,
  error: '',
  attemptCount: 0,
  priorityPin: false,
  ...more
})

async function* listOf<T>(...items: T[]): AsyncGenerator<T> {
  yield* items
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

interface Overrides {
  readonly pins?: readonly Pin[]
  readonly tracker?: Partial<PinTracker>
  readonly connector?: Partial<IpfsConnector>
  readonly consensus?: object
  readonly allocate?: ClusterPeerComponents['allocate']
  readonly init?: Partial<ClusterPeerInit>
  /** Rows of other peers by peer and method. */
  readonly streams?: (
    peer: string,
    method: string,
    request: unknown,
    options: { timeoutMs?: number }
  ) => AsyncIterable<unknown>
}

function setUp({ pins = [], tracker, connector, consensus, allocate, init, streams }: Overrides = {}) {
  const logged: Pin[] = []
  const rpc = new FakeRpc()
  const labels = ['a', 'b', 'c'].map((id) => ({ id, peername: `${id}-name` }))
  const peer = new QuorateClusterPeer(
    {
      leadership: { status: () => listOf(), transfer: async (to) => to ?? 'b' },
      consensus: {
        logPin: async (pin: Pin) => void logged.push(pin),
        logUnpin: async (cid: string) => pins.find((pin) => pin.cid === cid) ?? Promise.reject(new PinNotFoundError()),
        readBarrier: async () => undefined,
        ...consensus
      } as unknown as ClusterPeerComponents['consensus'],
      pinset: {
        get: async (cid) => pins.find((pin) => pin.cid === cid),
        list: () => listOf(...pins),
        count: () => pins.length
      },
      tracker: { status: async (cid: string) => infoOf(cid, 'a'), ...tracker } as PinTracker,
      connector: { resolve: async () => cidB, ...connector } as IpfsConnector,
      rpc: Object.assign(rpc, {
        handleStream: () => undefined,
        stream: streams ?? (() => listOf())
      }).asPeerRpc,
      directory: {
        labels: () => labels,
        label: (id: string) => labels.find((label) => label.id === id),
        infoOf: async (id: string) => ({ id }) as PeerInfo
      } as unknown as PeerDirectory,
      allocate: allocate ?? (() => ['b', 'c']),
      logger: silent
    },
    {
      id: 'a',
      version: '1',
      replication: { replicationFactorMin: -1, replicationFactorMax: -1 },
      readTimeoutMs: 20,
      followerMode: false,
      ...init
    }
  )
  return { peer, logged, rpc }
}

describe('a pin', () => {
  it('that goes everywhere is not allocated, another is', async () => {
    const asked: object[] = []
    const { peer, logged } = setUp({
      allocate: (request) => {
        asked.push(request)
        return ['b', 'c']
      }
    })
    assert.deepEqual((await peer.pin(cidA, defaultPinOptions)).allocations, [])
    const options = { ...defaultPinOptions, replicationFactorMin: 1, replicationFactorMax: 2, userAllocations: ['c'] }
    assert.deepEqual((await peer.pin(cidA, options)).allocations, ['b', 'c'])
    assert.equal(asked.length, 1)
    assert.deepEqual(
      logged.map(({ allocations }) => allocations),
      [[], ['b', 'c']]
    )
  })

  it('that updates another copies it, and is not found when that is not there', async () => {
    const source = pinOf(cidA, { name: 'old', allocations: ['b'], replicationFactorMin: 1, replicationFactorMax: 1 })
    const { peer, logged } = setUp({ pins: [source] })
    const pin = await peer.pin(cidB, { ...defaultPinOptions, pinUpdate: cidA })
    assert.deepEqual([pin.cid, pin.name, pin.allocations, pin.pinUpdate], [cidB, 'old', ['b'], cidA])
    await assert.rejects(peer.pin(cidA, { ...defaultPinOptions, pinUpdate: cidB }), { name: 'PinNotFoundError' })
    assert.equal(logged.length, 1)
  })

  it('of a path is resolved, where there is anything to resolve', async () => {
    const resolved: string[] = []
    const resolve = async (path: string): Promise<string> => {
      resolved.push(path)
      return cidB
    }
    const { peer } = setUp({ connector: { resolve } })
    assert.equal((await peer.pinPath(`/ipfs/${cidA}`, defaultPinOptions)).cid, cidA)
    assert.equal((await peer.pinPath(`/ipfs/${cidA}/a`, defaultPinOptions)).cid, cidB)
    assert.equal((await peer.pinPath('/ipns/example.org', defaultPinOptions)).cid, cidB)
    assert.deepEqual(resolved, [`/ipfs/${cidA}/a`, '/ipns/example.org'])
  })

  it('of a part of a sharded DAG is not unpinned', async () => {
    const { peer } = setUp({ pins: [pinOf(cidA, { type: 'meta-pin' }), pinOf(cidB)] })
    await assert.rejects(peer.unpin(cidA), { name: 'InvalidPinError', message: /^cannot unpin a meta-pin/ })
    assert.equal((await peer.unpin(cidB)).cid, cidB)
  })

  it('is refused by a follower, as every write is', async () => {
    const { peer, logged } = setUp({ init: { followerMode: true }, pins: [pinOf(cidA)] })
    const refused = { code: 'read-only' }
    await assert.rejects(peer.pin(cidA, defaultPinOptions), refused)
    await assert.rejects(peer.unpin(cidA), refused)
    await assert.rejects(peer.peerAdd('x'), refused)
    await assert.rejects(peer.peerRemove('x'), refused)
    await assert.rejects(collect(peer.add(listOf(), defaultAddOptions)), refused)
    assert.equal((await peer.allocation(cidA, 'local')).pin.cid, cidA)
    assert.deepEqual(logged, [])
  })
})

describe('a read of one pin', () => {
  it('says that it may be stale when no quorum answers in time, unless it had to be linearizable', async () => {
    const { peer } = setUp({
      pins: [pinOf(cidA)],
      consensus: {
        readBarrier: ({ signal }: { signal: AbortSignal }) =>
          hang(signal).catch(() => Promise.reject(new ConsensusUnavailableError('no quorum')))
      }
    })
    assert.equal((await peer.allocation(cidA, 'default')).stale, true)
    assert.equal((await peer.allocation(cidA, 'local')).stale, false)
    await assert.rejects(peer.allocation(cidA, 'linearizable'), { name: 'ConsensusUnavailableError' })
    await assert.rejects(peer.allocation(cidA, 'default', { signal: AbortSignal.abort(new Error('enough')) }), {
      message: 'enough'
    })
  })

  it('is fresh with a quorum, and not found is not found', async () => {
    const { peer } = setUp({ pins: [pinOf(cidA)] })
    assert.deepEqual(await peer.allocation(cidA, 'default'), { pin: pinOf(cidA), stale: false })
    await assert.rejects(peer.allocation(cidB, 'default'), { name: 'PinNotFoundError' })
  })
})

describe('the status of one CID', () => {
  const statuses = (map: Readonly<Record<string, { status: string }>>): string =>
    Object.entries(map)
      .map(([id, { status }]) => `${id} ${status}`)
      .join(', ')

  it('asks those that hold it; the others are remote', async () => {
    const { peer, rpc } = setUp({ pins: [pinOf(cidA, { allocations: ['a', 'b'] })] })
    rpc.onCall = async (id) => infoOf(cidA, id, { status: 'pinning' })
    assert.equal(statuses((await peer.status(cidA, { local: false })).peerMap), 'a pinned, b pinning, c remote')
    assert.deepEqual(rpc.calls, ['b Tracker.status'])
  })

  it('shows a peer that does not answer with the reason, and the others all the same', async () => {
    const { peer, rpc } = setUp({ pins: [pinOf(cidA)] })
    rpc.onCall = async (id) => (id === 'b' ? infoOf(cidA, id) : Promise.reject(new Error('no route')))
    const { peerMap } = await peer.status(cidA, { local: false })
    assert.equal(statuses(peerMap), 'a pinned, b pinned, c cluster_error')
    assert.deepEqual([peerMap.c?.error, peerMap.c?.peername], ['no route', 'c-name'])
  })

  it('asks nobody else when it is local', async () => {
    const { peer, rpc } = setUp()
    assert.equal(statuses((await peer.status(cidA, { local: true })).peerMap), 'a pinned')
    assert.deepEqual(rpc.calls, [])
  })

  it('after a recover of what is not pinned is unpinned everywhere, and locally not found', async () => {
    const recover = (): Promise<never> => Promise.reject(new PinNotFoundError())
    const { peer, rpc } = setUp({ tracker: { recover } })
    rpc.onCall = () =>
      Promise.reject(named('RpcRemoteError', { remoteName: 'PinNotFoundError', code: 'pin-not-found' }))
    assert.equal(statuses((await peer.recover(cidA, { local: false })).peerMap), 'a unpinned, b unpinned, c unpinned')
    await assert.rejects(peer.recover(cidA, { local: true }), { name: 'PinNotFoundError' })
  })
})

describe('the status of all', () => {
  it('merges what all peers say, in the order of the CIDs, with one that fails on the way', async () => {
    const { peer } = setUp({
      tracker: { statusAll: () => listOf(infoOf(cidA, 'a'), infoOf(cidB, 'a')) },
      streams: (id) =>
        id === 'b'
          ? listOf(infoOf(cidA, 'b'))
          : (async function* () {
              yield await Promise.reject(new Error('no route'))
            })()
    })
    const items = await collect(peer.statusAll({ local: false, filter: new Set(['pinned']) }))
    assert.deepEqual(
      items.map(({ cid, peerMap }) => [cid, Object.keys(peerMap).sort().join(), peerMap.c?.error]),
      [
        [cidA, 'a,b,c', 'no route'],
        [cidB, 'a,c', 'no route']
      ]
    )
    assert.equal((await collect(peer.statusAll({ local: true, filter: undefined }))).length, 2)
  })
})

describe('an upload', () => {
  const file = { path: 'x', type: 'file' as const, content: listOf(Buffer.from('hello')) }

  it('is stored, pinned, and only then let go of', async () => {
    const events: string[] = []
    const { peer } = setUp({
      connector: {
        putBlocks: async (blocks) => {
          for await (const { cid } of blocks) events.push(`put ${cid}`)
          return { release: () => events.push('release') }
        }
      },
      consensus: { logPin: async ({ cid }: Pin) => void events.push(`pin ${cid}`) }
    })
    const [made] = await collect(peer.add(listOf(file), { ...defaultAddOptions, name: 'n' }))
    assert.deepEqual(events, [`put ${made?.cid}`, `pin ${made?.cid}`, 'release'])
  })

  it('is let go of when it cannot be pinned, or is left early, or is not to be pinned', async () => {
    let held = 0
    const putBlocks: IpfsConnector['putBlocks'] = async (blocks) => {
      held++
      for await (const _block of blocks);
      return { release: () => held-- }
    }
    const failing = setUp({
      connector: { putBlocks },
      consensus: { logPin: () => Promise.reject(new Error('no leader')) }
    })
    const fileAgain = () => listOf({ ...file, content: listOf(Buffer.from('hello')) })
    await assert.rejects(collect(failing.peer.add(fileAgain(), defaultAddOptions)), { message: 'no leader' })
    assert.equal(held, 0)
    for await (const _output of failing.peer.add(fileAgain(), defaultAddOptions)) break
    assert.equal(held, 0)
    await collect(failing.peer.add(fileAgain(), { ...defaultAddOptions, noPin: true }))
    assert.equal(held, 0)
  })

  it('refuses what it cannot do', async () => {
    const { peer } = setUp()
    for (const options of [{ shard: true }, { nocopy: true }]) {
      await assert.rejects(collect(peer.add(listOf(), { ...defaultAddOptions, ...options })), {
        name: 'InvalidPinError'
      })
    }
  })
})

describe('a collection of garbage', () => {
  it('runs at every peer and says where it failed; remote ones may be silent for long', async () => {
    const timeouts: unknown[] = []
    const { peer } = setUp({
      connector: { repoGc: () => listOf({ cid: cidA }) },
      streams: (id, _method, _request, { timeoutMs = 0 }) => {
        timeouts.push(timeoutMs > 60_000)
        return id === 'b' ? listOf({ cid: cidB }) : hangingUp()
      }
    })
    async function* hangingUp(): AsyncGenerator<never> {
      yield await Promise.reject(new Error('no route'))
    }
    assert.deepEqual(await collect(peer.repoGc({ local: false })), [
      { peer: 'a', peername: 'a-name', keys: [cidA], error: '' },
      { peer: 'b', peername: 'b-name', keys: [cidB], error: '' },
      { peer: 'c', peername: 'c-name', keys: [], error: 'no route' }
    ])
    assert.deepEqual(timeouts, [true, true])
    assert.equal((await collect(peer.repoGc({ local: true }))).length, 1)
  })
})
