/** Joining, promotion and removal on a leader. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PeerStatus } from '@quorate/raft'
import type { Twin } from '../../src/cluster-host/sessions.ts'
import { Membership } from '../../src/consensus/membership.ts'
import type { PeerRecord } from '../../src/state/ops.ts'
import { FakeRaft, named, silent, turn, until } from './fakes.ts'

function setUp(config: { voters?: string[]; learners?: string[]; outgoing?: string[] } = { voters: ['a'] }) {
  const raft = new FakeRaft('a', config)
  raft.leader = 'a'
  const records: PeerRecord[] = [{ peerId: 'a', peername: 'alpha', addresses: ['/ip4/127.0.0.1/tcp/1'] }]
  const twins: Twin[] = []
  const asked: string[] = []
  const sessions = {
    twinsOf: async (peer: string, session: string) => {
      asked.push(`${peer} ${session}`)
      return twins
    }
  }
  const membership = new Membership({ raft, logger: silent, records: () => records, sessions }, 'cluster')
  return { raft, membership, records, twins, asked }
}

const incarnation = '2'.repeat(32)
/** What the joiner will be called. */
const b2 = `b#${incarnation}`
const joiner = { peer: 'b', peername: 'beta', addresses: ['/ip4/127.0.0.1/tcp/2'], session: 's', incarnation }

const progress = (id: string, more: Partial<PeerStatus> = {}): PeerStatus => ({
  id,
  voter: false,
  state: 'replicate',
  matchIndex: 10,
  nextIndex: 11,
  inflightMessages: 0,
  inflightBytes: 0,
  lastContactAgoMs: 5,
  health: 'good',
  priority: 0,
  supportedLevel: undefined,
  ...more
})

describe('a joiner', () => {
  it('becomes a learner, with its addresses known to all', async () => {
    const { raft, membership } = setUp()
    const answer = await membership.join(joiner)
    assert.deepEqual(raft.done, ['peer-record', `a|${b2}`])
    assert.deepEqual(answer, {
      clusterId: 'cluster',
      alreadyMember: false,
      peers: [
        { id: 'a', peername: 'alpha', addresses: ['/ip4/127.0.0.1/tcp/1'] },
        { id: 'b', peername: '', addresses: [] }
      ]
    })
  })

  it('that is a member and has its data is told so, and nothing is done', async () => {
    for (const name of ['b', 'b#00000001']) {
      const { raft, membership } = setUp({ voters: ['a', name] })
      const current = { clusterId: 'cluster', name }
      assert.equal((await membership.join({ ...joiner, current })).alreadyMember, true)
      assert.deepEqual(raft.done, [])
    }
  })

  it('that is a member without its data is a learner beside the voter that it was', async () => {
    const others = [undefined, { clusterId: 'another', name: 'b' }, { clusterId: 'cluster', name: 'b#00000001' }]
    for (const current of others) {
      const { raft, membership } = setUp({ voters: ['a', 'b'] })
      const answer = await membership.join({ ...joiner, ...(current === undefined ? {} : { current }) })
      assert.equal(answer.alreadyMember, false)
      assert.deepEqual(raft.done, ['peer-record', `a,b|${b2}`])
      assert.deepEqual(
        answer.peers.map(({ id }) => id),
        ['a', 'b']
      )
    }
  })

  it('takes the place of the learner that it was, and asks twice without harm', async () => {
    const { raft, membership } = setUp({ voters: ['a', 'b'], learners: ['b#00000001', 'c'] })
    await membership.join(joiner)
    await membership.join(joiner)
    assert.deepEqual(raft.config, { voters: ['a', 'b'], learners: [b2, 'c'], outgoing: [] })
    assert.equal(raft.done.filter((entry) => entry.includes('|')).length, 1)
  })

  it('that comes back is let in if it is a member, and not if it was removed', async () => {
    const here = setUp({ voters: ['a', 'b'] })
    await here.membership.join({ ...joiner, returns: true })
    assert.deepEqual(here.raft.config.learners, [b2])
    const gone = setUp({ voters: ['a'] })
    await assert.rejects(gone.membership.join({ ...joiner, returns: true }), {
      code: 'bad-request',
      message: /^b was removed from cluster cluster/
    })
    assert.deepEqual(gone.raft.done, [])
  })

  it('whose identity another process uses is refused before anything is done', async () => {
    const { raft, membership, twins, asked } = setUp({ voters: ['a', 'b'] })
    twins.push({ session: 'other', address: '/ip4/127.0.0.1/tcp/9' })
    await assert.rejects(membership.join(joiner), {
      code: 'identity-in-use',
      message: /^another daemon runs with the identity of this peer, b, at \/ip4\/127.0.0.1\/tcp\/9: stop one of them/
    })
    assert.deepEqual([raft.done, asked], [[], ['b s']])
  })

  it('is not let in by a peer that may not be the leader any more', async () => {
    const { raft, membership } = setUp()
    raft.onBarrier = () => Promise.reject(named('ReadUnavailableError'))
    await assert.rejects(membership.join(joiner), { name: 'ReadUnavailableError' })
    assert.deepEqual(raft.done, [])
  })
})

describe('a peer that is added', () => {
  it('becomes a learner, unless it is a member', async () => {
    const { raft, membership } = setUp({ voters: ['a'], learners: ['c'] })
    await membership.addPeer('a')
    await membership.addPeer('c')
    await membership.addPeer('b')
    assert.deepEqual(raft.done, ['a|b,c'])
  })
})

describe('a peer that is removed', () => {
  it('is taken out, voter or learner, and forgotten', async () => {
    const { raft, membership } = setUp({ voters: ['a', 'b'], learners: ['c'] })
    await membership.removePeer('c')
    await membership.removePeer('b')
    assert.deepEqual(raft.done, ['a,b|', 'peer-forget', 'a|', 'peer-forget'])
  })

  it('is taken out under all of its names', async () => {
    const { raft, membership } = setUp({ voters: ['a', 'b'], learners: [b2, 'bb'] })
    await membership.removePeer('b')
    assert.deepEqual(raft.config, { voters: ['a'], learners: ['bb'], outgoing: [] })
  })

  it('that is a stranger changes no membership', async () => {
    const { raft, membership } = setUp()
    await membership.removePeer('x')
    assert.ok(!raft.done.some((entry) => entry.includes('|')))
  })

  it('that is the last one stays', async () => {
    const { raft, membership } = setUp({ voters: ['a'], learners: ['b'] })
    await assert.rejects(membership.removePeer('a'), { name: 'LastPeerError' })
    assert.deepEqual(raft.done, [])
  })

  it('and was the leader leaves its record to its successor', async () => {
    const { raft, membership } = setUp({ voters: ['a', 'b'] })
    raft.onChange = async () => raft.setLeader(undefined)
    await membership.removePeer('a')
    assert.deepEqual(raft.done, ['b|'])
  })

  it('is gone although its record could not be forgotten', async () => {
    const { raft, membership } = setUp({ voters: ['a', 'b'] })
    raft.onPropose = () => Promise.reject(named('ProposalLostError'))
    await membership.removePeer('b')
    assert.deepEqual(raft.config.voters, ['a'])
  })
})

describe('changes of membership', () => {
  it('are made one after the other, each on what the one before left', async () => {
    const { raft, membership } = setUp()
    await Promise.all(['d', 'b', 'c'].map((peer) => membership.addPeer(peer)))
    assert.deepEqual(raft.done, ['a|d', 'a|b,d', 'a|b,c,d'])
  })

  it('go on after one that failed or was given up', async () => {
    const { raft, membership } = setUp()
    raft.onChange = async () => {
      raft.onChange = async () => undefined
      throw named('ProposalLostError')
    }
    const failing = membership.addPeer('b')
    const abandoned = membership.addPeer('c', { signal: AbortSignal.abort(new Error('enough')) })
    const last = membership.addPeer('d')
    const outcomes = await Promise.allSettled([failing, abandoned, last])
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'rejected', 'fulfilled']
    )
    assert.deepEqual(raft.done, ['a|d'])
  })
})

describe('a learner', () => {
  it('becomes a voter once it has caught up', async () => {
    const { raft, membership } = setUp({ voters: ['a'], learners: ['b', 'c'] })
    raft.lastIndex = 10
    raft.progress = [progress('b', { state: 'snapshot' }), progress('c')]
    membership.start()
    await until(() => raft.config.voters.length > 1)
    membership.stop()
    assert.deepEqual(raft.done, ['a,c|b'])
  })

  it('that is the return of a voter takes its place in one change, with no voter fewer at any moment', async () => {
    const { raft, membership } = setUp({ voters: ['a', 'b', 'c'], learners: [b2, 'd'] })
    raft.lastIndex = 10
    raft.progress = [progress('b', { voter: true, state: 'probe' }), progress(b2)]
    membership.start()
    await until(() => raft.done.length > 0)
    membership.stop()
    assert.deepEqual(raft.done, [`a,${b2},c|d`])
  })

  it('that is behind, silent, being sent a snapshot, or on a peer that does not lead, stays one', async (context) => {
    context.mock.timers.enable({ apis: ['setInterval'] })
    const rows: [string, (raft: FakeRaft) => void][] = [
      ['behind', (raft) => (raft.progress = [progress('b', { matchIndex: 1 })])],
      ['silent', (raft) => (raft.progress = [progress('b', { lastContactAgoMs: 5_000 })])],
      ['never heard of', (raft) => (raft.progress = [progress('b', { lastContactAgoMs: Number.POSITIVE_INFINITY })])],
      ['probed', (raft) => (raft.progress = [progress('b', { state: 'probe' })])],
      ['sent a snapshot', (raft) => (raft.progress = [progress('b', { state: 'snapshot' })])],
      ['of a follower', (raft) => (raft.leader = 'z')],
      ['while the membership changes', (raft) => (raft.config = { ...raft.config, outgoing: ['a'] })]
    ]
    for (const [how, change] of rows) {
      const { raft, membership } = setUp({ voters: ['a'], learners: ['b'] })
      raft.lastIndex = 5_000
      raft.progress = [progress('b', { matchIndex: 5_000 })]
      change(raft)
      membership.start()
      for (let i = 0; i < 3; i++) {
        context.mock.timers.tick(100)
        await turn()
      }
      membership.stop()
      assert.deepEqual(raft.done, [], how)
    }
  })

  it('is tried again when its promotion fails, and not after the end', async (context) => {
    context.mock.timers.enable({ apis: ['setInterval'] })
    const { raft, membership } = setUp({ voters: ['a'], learners: ['b'] })
    raft.progress = [progress('b', { matchIndex: 0 })]
    let triedCount = 0
    raft.onChange = () => {
      triedCount++
      return Promise.reject(named('ProposalRefusedError', { reason: 'change-in-progress' }))
    }
    membership.start()
    for (let i = 1; i <= 3; i++) {
      context.mock.timers.tick(100)
      await turn()
      assert.equal(triedCount, i)
    }
    membership.stop()
    context.mock.timers.tick(1_000)
    await turn()
    assert.equal(triedCount, 3)
  })
})
