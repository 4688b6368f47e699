/** Both sides of a join: what members answer to those who may not be members yet, and how a joiner asks. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PeerInfo } from '@quorate/client/api'
import { PeersSeen } from '@quorate/raft'
import type { ClusterHost } from '../../src/cluster-host/host.ts'
import type { Sessions, Twin } from '../../src/cluster-host/sessions.ts'
import { Membership } from '../../src/consensus/membership.ts'
import { RaftConsensus } from '../../src/consensus/raft-consensus.ts'
import { answerStrangers } from '../../src/daemon/introductions.ts'
import { askToJoin } from '../../src/daemon/join.ts'
import { watchForTwins } from '../../src/daemon/twins.ts'
import { FakeRaft, FakeRpc, hang, named, silent, turn, until } from '../consensus/fakes.ts'

const session = '5'.repeat(32)

function setUp({ voters = ['a', 'b'], leader = 'a' as string | null, waitMs = 60_000 } = {}) {
  const raft = new FakeRaft('a', { voters })
  raft.leader = leader ?? undefined
  const rpc = new FakeRpc()
  const twins: Twin[] = []
  const sessions = { session: '0'.repeat(32), twinsOf: async () => twins } as unknown as Sessions
  const membership = new Membership({ raft, logger: silent, records: () => [], sessions }, 'cluster')
  const consensus = new RaftConsensus(
    { raft, rpc: rpc.asPeerRpc, membership, logger: silent, connected: () => new Set(['a']) },
    { id: 'a', waitForLeaderTimeoutMs: waitMs }
  )
  const info = async (): Promise<PeerInfo> => ({ id: 'a' }) as PeerInfo
  const seen = new PeersSeen()
  answerStrangers({ rpc: rpc.asPeerRpc, raft, consensus, membership, sessions, seen, info }, 'a', 'cluster')
  return { raft, rpc, twins, seen }
}

const incarnation = '3'.repeat(32)
const c3 = `c#${incarnation}`
const join = { peername: 'gamma', addresses: ['/ip4/127.0.0.1/tcp/3'], session, incarnation }

describe('a stranger', () => {
  it('is told whether it is a member, and whether a leader confirmed that', async () => {
    const { raft, rpc } = setUp()
    const peers = ['a', 'b'].map((id) => ({ id, peername: '', addresses: [] }))
    assert.deepEqual(await rpc.receive('b', 'Cluster.membership', null), {
      clusterId: 'cluster',
      confirmed: true,
      member: true,
      names: ['b'],
      tookPart: false,
      peers
    })
    raft.onBarrier = () => Promise.reject(named('ReadUnavailableError'))
    const answer = { clusterId: 'cluster', confirmed: false, member: false, names: [], tookPart: false, peers }
    assert.deepEqual(await rpc.receive('x', 'Cluster.membership', null), answer)
    raft.leader = undefined
    raft.onBarrier = () => assert.fail('without a leader nobody is asked')
    assert.deepEqual(await rpc.receive('x', 'Cluster.membership', null), answer)
  })

  it('is told that it took part, and that its disk is older than what it promised', async () => {
    const { raft, rpc, seen } = setUp()
    raft.config = { voters: ['a', 'b'], outgoing: [], learners: ['b#00000001'] }
    const life = { boot: 2, bootId: '1'.repeat(16), term: 5, lastIndex: 9 }
    seen.met('b', life)
    const ask = async (from: string, request: object | null) =>
      (await rpc.receive(from, 'Cluster.membership', request)) as Record<string, unknown>
    const same = await ask('b', { name: 'b', life })
    assert.deepEqual([same.names, same.tookPart, same.objection], [['b', 'b#00000001'], true, undefined])
    const copy = { ...life, bootId: '2'.repeat(16) }
    assert.match(String((await ask('b', { name: 'b', life: copy })).objection), /^start 2 of b comes after start 2/)
    assert.equal((await ask('b', { name: 'b#00000001', life: copy })).objection, undefined)
    assert.equal((await ask('x', { name: 'b', life: copy })).objection, undefined, 'that is not its name to ask of')
  })

  it('is let in by the leader, and by whoever passes it on', async () => {
    const { raft, rpc } = setUp()
    const answer = (await rpc.receive('c', 'Cluster.join', join)) as { peers: { id: string }[] }
    assert.deepEqual(
      answer.peers.map(({ id }) => id),
      ['a', 'b', 'c']
    )
    assert.deepEqual(raft.config.learners, [c3])

    const follower = setUp({ leader: 'b' })
    const passed: unknown[] = []
    follower.rpc.onCall = async (...values) => {
      passed.push(values.slice(0, 3))
      return { clusterId: 'cluster', alreadyMember: false, peers: [] }
    }
    await follower.rpc.receive('c', 'Cluster.join', join)
    assert.deepEqual(passed, [['b', 'Consensus.join', { ...join, peer: 'c' }]])
  })

  it('speaks for itself only: its ID is that of its connection', async () => {
    const { raft, rpc } = setUp()
    await rpc.receive('c', 'Cluster.join', { ...join, peer: 'b' })
    assert.deepEqual(raft.config, { voters: ['a', 'b'], learners: [c3], outgoing: [] })
  })

  it('whose identity another process uses is not let in, and nothing is passed on', async () => {
    const { rpc, twins } = setUp({ leader: 'b' })
    twins.push({ session: '1'.repeat(32), address: '/ip4/127.0.0.1/tcp/9' })
    await assert.rejects(rpc.receive('c', 'Cluster.join', join), /another daemon runs with the identity of this peer/)
    assert.deepEqual(rpc.calls, [])
    assert.deepEqual(await rpc.receive('c', 'Peer.twins', { session }), { twins })
  })

  it('is told of the quorum when there is no leader to let it in', async () => {
    const { rpc } = setUp({ leader: null, waitMs: 20 })
    await assert.rejects(rpc.receive('c', 'Cluster.join', join), {
      name: 'NoLeaderError',
      message: /cannot join\. 1 of 2 voters reachable, 2 needed\. Missing: b\./
    })
  })
})

describe('a joiner', () => {
  const peer = (name: string): string => `12D3KooW${name}`
  const b = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV'
  const c = '/ip4/127.0.0.1/tcp/2'
  const answer = { clusterId: 'cluster', alreadyMember: false, peers: [] }

  function ask(
    addresses: string[],
    onDial: (address: string) => string,
    onCall: (peer: string) => Promise<unknown>,
    signal = new AbortController().signal
  ) {
    const asked: unknown[] = []
    const rpc = new FakeRpc(async (target, method, request) => {
      asked.push([target, method, request])
      return onCall(target)
    })
    const libp2p = {
      peerId: { toString: () => peer('self') },
      getMultiaddrs: () => ['/ip4/127.0.0.1/tcp/7'],
      dial: async (address: object) => ({ remotePeer: onDial(String(address)) })
    } as unknown as ClusterHost
    const init = {
      addresses,
      peername: 'n',
      session,
      incarnation,
      current: undefined,
      dialTimeoutMs: 1_000,
      answerTimeoutMs: 1_000,
      signal
    }
    return { asked, answer: askToJoin({ libp2p, rpc: rpc.asPeerRpc, logger: silent }, init) }
  }

  it('asks one after the other until one lets it in', async () => {
    const asking = ask(
      [b, c],
      (address) => {
        if (address === b) throw new AggregateError([new Error('connection refused')])
        return peer('c')
      },
      async () => answer
    )
    assert.deepEqual(await asking.answer, answer)
    assert.deepEqual(asking.asked, [
      [peer('c'), 'Cluster.join', { peername: 'n', session, addresses: ['/ip4/127.0.0.1/tcp/7'], incarnation }]
    ])
  })

  it('that nobody lets in says why not of each, and that nothing was changed', async () => {
    const { answer: failing } = ask(
      [b, c],
      (address) => {
        if (address === b) throw new AggregateError([new Error('connection refused'), new Error('connection refused')])
        return peer('c')
      },
      () => Promise.reject(named('RpcRemoteError', { message: 'timed out waiting for leader' }))
    )
    await assert.rejects(failing, {
      name: 'StartError',
      message: `cannot join a cluster; nothing on this peer was changed. ${b}: connection refused; ${c}: timed out waiting for leader`
    })
  })

  it('that is told to stop asks no more', async () => {
    const stopping = new AbortController()
    const { asked, answer: ending } = ask(
      [c, c],
      () => peer('c'),
      () => hang(stopping.signal),
      stopping.signal
    )
    await until(() => asked.length > 0)
    stopping.abort(new Error('enough'))
    await assert.rejects(ending, { message: 'enough' })
    assert.equal(asked.length, 1)
  })
})

describe('a watch for twins', () => {
  function watch(onCall: (peer: string) => Promise<unknown>, connected: string[] = []) {
    const events = new EventTarget()
    const older: string[] = []
    const errors: string[] = []
    const rpc = new FakeRpc(onCall)
    const libp2p = Object.assign(events, { getPeers: () => connected }) as unknown as ClusterHost
    const watching = watchForTwins(
      {
        libp2p,
        rpc: rpc.asPeerRpc,
        sessions: { session } as Sessions,
        logger: { ...silent, error: (_fields: unknown, text?: string) => void errors.push(text ?? '') }
      },
      (address) => older.push(address)
    )
    const open = (peer: string): void => {
      events.dispatchEvent(new CustomEvent('connection:open', { detail: { remotePeer: peer } }))
    }
    return { rpc, older, errors, open, watching }
  }

  it('asks every peer that is or gets connected, and gives way to the older one only', async () => {
    const answers: Record<string, Twin[]> = {
      x: [],
      y: [{ session: '6'.repeat(32), address: 'younger' }],
      z: [{ session: '4'.repeat(32), address: 'older' }]
    }
    const { rpc, older, errors, open, watching } = watch(async (peer) => ({ twins: answers[peer] }), ['x'])
    open('y')
    await turn()
    assert.deepEqual([rpc.calls, older, errors.length], [['x Peer.twins', 'y Peer.twins'], [], 1])
    open('z')
    await turn()
    assert.deepEqual(older, ['older'])
    watching.stop()
    open('x')
    await turn()
    assert.equal(rpc.calls.length, 3)
  })

  it('is not disturbed by peers that cannot answer', async () => {
    const { older, open, watching } = watch(() => Promise.reject(named('RpcTimeoutError')))
    open('x')
    await turn()
    assert.deepEqual(older, [])
    watching.stop()
  })
})
