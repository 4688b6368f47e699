/** Handing leadership over, and showing who leads: what goes to the leader, what is refused, and what is said when nobody takes over. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ApiError } from '@quorate/client/api'
import { type PeerStatus, peerOf } from '@quorate/raft'
import { Leadership } from '../../src/consensus/leadership.ts'
import { Membership } from '../../src/consensus/membership.ts'
import { RaftConsensus } from '../../src/consensus/raft-consensus.ts'
import { FakeRaft, FakeRpc, named, silent } from './fakes.ts'

class TransferringRaft extends FakeRaft {
  readonly asked: (string | undefined)[] = []
  onTransfer: (to: string | undefined) => Promise<void> = async (to) => this.setLeader(to ?? 'b')

  override async transferLeadership(to?: string): Promise<void> {
    this.asked.push(to)
    await this.onTransfer(to)
  }
}

function setUp(leader: string | undefined, waitMs = 60_000, name = 'a') {
  const id = peerOf(name)
  const raft = new TransferringRaft(name, { voters: ['a', 'b', 'c'], learners: ['d'] })
  raft.leader = leader
  const rpc = new FakeRpc()
  const membership = new Membership(
    { raft, logger: silent, records: () => [], sessions: { twinsOf: async () => [] } },
    'cluster'
  )
  const consensus = new RaftConsensus(
    { raft, rpc: rpc.asPeerRpc, membership, logger: silent, connected: () => new Set(['a', 'b']) },
    { id, waitForLeaderTimeoutMs: waitMs }
  )
  const leadership = new Leadership({ raft, rpc: rpc.asPeerRpc, consensus, peernameOf: (peer) => `${peer}-name` }, id)
  return { raft, rpc, leadership }
}

const apiError = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof ApiError && error.code === code && message.test(error.message)

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('a hand-over', () => {
  it('is made here when this peer leads, to the one named or to any, and answers who leads', async () => {
    const { raft, leadership } = setUp('a')
    assert.equal(await leadership.transfer('c'), 'c')
    raft.setLeader('a')
    assert.equal(await leadership.transfer(undefined), 'b')
    assert.deepEqual(raft.asked, ['c', undefined])
  })

  it('goes to the leader, which answers who leads', async () => {
    const { raft, rpc, leadership } = setUp('b')
    const requests: unknown[] = []
    rpc.onCall = async (_peer, _method, request) => {
      requests.push(request)
      return { leader: 'c' }
    }
    assert.equal(await leadership.transfer('c'), 'c')
    assert.equal(await leadership.transfer(undefined), 'c')
    assert.deepEqual(rpc.calls, ['b Consensus.transfer', 'b Consensus.transfer'])
    assert.deepEqual(requests, [{ to: 'c' }, {}])
    assert.deepEqual(raft.asked, [])
  })

  it('that another peer asks for is made here', async () => {
    const { rpc } = setUp('a')
    assert.deepEqual(await rpc.receive('b', 'Consensus.transfer', { to: 'b' }), { leader: 'b' })
  })

  it('is refused to who leads already, to a learner and to a stranger', async () => {
    const { raft, leadership } = setUp('a')
    await assert.rejects(leadership.transfer('a'), apiError('transfer-refused', /^cannot .* to a: it leads already$/))
    await assert.rejects(leadership.transfer('d'), apiError('transfer-refused', /^cannot .* to d: it is a learner$/))
    await assert.rejects(leadership.transfer('x'), apiError('transfer-refused', /^cannot .* to x: it is no member$/))
    assert.deepEqual(raft.asked, [])
  })

  it('is refused to a peer that comes back and does not vote yet, and to one that leaves', async () => {
    const { raft, leadership } = setUp('a')
    raft.config = { voters: ['a', 'b'], outgoing: ['a', 'b', 'c'], learners: ['b#00000002'] }
    await assert.rejects(leadership.transfer('b'), apiError('transfer-refused', /^cannot .* to b: it is a learner$/))
    await assert.rejects(leadership.transfer('c'), apiError('transfer-refused', /^cannot .* to c: it is leaving$/))
    raft.config = { voters: ['a', 'b#00000002', 'c'], outgoing: [], learners: [] }
    assert.equal(await leadership.transfer('b'), 'b')
    assert.deepEqual(raft.asked, ['b#00000002'])
  })

  it('that comes to nothing says so, and is not tried again', async () => {
    const { raft, leadership } = setUp('a')
    raft.onTransfer = () => Promise.reject(named('ProposalRefusedError', { reason: 'transfer-failed' }))
    await assert.rejects(leadership.transfer('c'), apiError('transfer-failed', /not handed to c: /))
    raft.onTransfer = () => Promise.reject(named('ProposalRefusedError', { reason: 'illegal-change' }))
    await assert.rejects(leadership.transfer(undefined), apiError('transfer-refused', /not handed to another peer: /))
    raft.onTransfer = () => Promise.reject(named('OutcomeUnknownError'))
    await assert.rejects(leadership.transfer('c'), apiError('transfer-failed', /^it is not known whether c leads/))
    assert.equal(raft.asked.length, 3)
  })

  it('that somebody else gained by names the one who leads', async () => {
    const { raft, leadership } = setUp('a')
    raft.onTransfer = async () => raft.setLeader('b')
    await assert.rejects(leadership.transfer('c'), apiError('transfer-failed', /not handed to c: b leads now$/))
  })

  it('is done when the leader that was asked fell silent, and the one named leads', async () => {
    const { raft, rpc, leadership } = setUp('b')
    rpc.onCall = () => {
      raft.setLeader('c')
      return Promise.reject(named('RpcTimeoutError'))
    }
    assert.equal(await leadership.transfer('c'), 'c')
    assert.equal(rpc.calls.length, 1)
  })

  it('ends in time when nobody leads', async () => {
    const { leadership } = setUp(undefined, 20)
    await assert.rejects(leadership.transfer('c'), apiError('no-leader', /cannot hand leadership over/))
  })
})

describe('the status of the agreement', () => {
  it('tells of each member what it says of itself, or why it could not be asked', async () => {
    const { raft, rpc, leadership } = setUp('a')
    raft.lastIndex = 9
    const b: PeerStatus = {
      id: 'b',
      voter: true,
      state: 'replicate',
      matchIndex: 7,
      nextIndex: 10,
      inflightMessages: 1,
      inflightBytes: 100,
      lastContactAgoMs: 12.4,
      health: 'good',
      priority: 0,
      supportedLevel: 1
    }
    raft.progress = [b, { ...b, id: 'd', voter: false, lastContactAgoMs: Number.POSITIVE_INFINITY }]
    const other = setUp('a')
    rpc.onCall = async (peer, method) => {
      if (peer !== 'b') throw new Error('no answer')
      return { ...((await other.rpc.receive('a', method, null)) as object), id: 'somebody', role: 'follower' }
    }
    const [a, ...rest] = await collect(leadership.status())
    assert.deepEqual(
      { ...a, voters: 0, baseIndex: 0 },
      {
        id: 'a',
        peername: 'a-name',
        error: '',
        role: 'leader',
        voice: 'voter',
        term: 1,
        leader: 'a',
        baseIndex: 0,
        lastIndex: 9,
        durableIndex: 9,
        commitIndex: 9,
        appliedIndex: 9,
        voters: 0,
        learners: ['d'],
        outgoing: [],
        followers: [
          { id: 'b', state: 'replicate', matchIndex: 7, nextIndex: 10, inflightMessages: 1, lastContactMs: 12 },
          { id: 'd', state: 'replicate', matchIndex: 7, nextIndex: 10, inflightMessages: 1, lastContactMs: undefined }
        ],
        notes: ['feature level: 1; its version knows 2']
      }
    )
    assert.deepEqual(
      rest.map(({ id, role, voice, error, peername }) => [id, role, voice, error, peername]),
      [
        ['b', 'follower', 'voter', '', 'a-name'],
        ['c', '', 'voter', 'no answer', 'c-name'],
        ['d', '', 'learner', 'no answer', 'd-name']
      ]
    )
  })

  it('calls a peer that comes back a learner until it votes under its new name', async () => {
    const name = 'b#00000002'
    const back = { voters: ['a', 'b', 'c'], outgoing: [], learners: [name] }
    const voices = async ({ leadership }: ReturnType<typeof setUp>) =>
      (await collect(leadership.status())).map(({ id, voice }) => `${id} ${voice}`)

    const leader = setUp('a')
    leader.raft.config = back
    assert.deepEqual(await voices(leader), ['a voter', 'b learner', 'c voter'])
    leader.raft.config = { voters: ['a', name, 'c'], outgoing: ['a', 'b', 'c'], learners: [] }
    assert.deepEqual(await voices(leader), ['a voter', 'b voter', 'c voter'])

    const itself = setUp('a', undefined, name)
    itself.raft.config = back
    assert.equal((await voices(itself))[1], 'b learner')
    // Its state is of before it came back, when the voter of its name was another life of it.
    itself.raft.config = { ...back, learners: [] }
    assert.equal((await voices(itself))[1], 'b ')
  })
})
