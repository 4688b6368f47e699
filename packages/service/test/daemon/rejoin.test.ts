/** A member that comes back under a new name: whom it asks, what it believes, and how long it goes on. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Network } from '../../src/daemon/network.ts'
import { rejoin } from '../../src/daemon/rejoin.ts'
import { IdentityInUseError } from '../../src/errors.ts'
import { FakeRpc, named, silent } from '../consensus/fakes.ts'

const standing = { clusterId: 'c', confirmed: true, member: true, names: ['me'], tookPart: true, peers: [] }
const joined = { clusterId: 'c', alreadyMember: false, peers: [] }
const request = { peername: 'n', session: '0'.repeat(32), addresses: [], incarnation: '1'.repeat(32), returns: true }

type Answer = object | Error

/** @param answers - of each peer to each round of questions; the last goes on for ever */
function setUp(answers: Record<string, Answer[]>, onJoin: (peer: string) => Answer = () => joined) {
  const rpc = new FakeRpc(async (peer, method) => {
    const queue = answers[peer]!
    const answer = method === 'Cluster.join' ? onJoin(peer) : queue.length > 1 ? queue.shift()! : queue[0]!
    if (answer instanceof Error) throw answer
    return answer
  })
  const connected = new Set(['me', ...Object.keys(answers)])
  const network = { id: 'me', rpc: rpc.asPeerRpc, connected: () => connected } as unknown as Network
  const come = (signal = new AbortController().signal) =>
    rejoin(network, { clusterId: 'c', request, answerTimeoutMs: 1_000, logger: silent, signal })
  return { rpc, come, connected }
}

describe('a member that comes back', () => {
  it('asks a member of its cluster with a leader, and tells it its new name', async () => {
    const { rpc, come } = setUp({ a: [standing] })
    assert.deepEqual(await come(), { type: 'joined', answer: joined })
    assert.deepEqual(rpc.calls, ['a Cluster.membership', 'a Cluster.join'])
  })

  it('asks nothing of a peer of another cluster, or of one without a leader, and goes on until there is one', async () => {
    const leaderless = { ...standing, confirmed: false }
    const { rpc, come } = setUp({
      stranger: [{ ...standing, clusterId: 'other' }],
      a: [new Error('cannot be reached'), leaderless, standing]
    })
    assert.equal((await come()).type, 'joined')
    assert.deepEqual(
      rpc.calls.filter((call) => call.endsWith('join')),
      ['a Cluster.join']
    )
    assert.equal(rpc.calls.filter((call) => call.startsWith('stranger')).length, 3)
  })

  it('goes on when the one that it asked could not let it in', async () => {
    let tries = 0
    const { come } = setUp({ a: [standing] }, () => (++tries < 3 ? new Error('timed out waiting for leader') : joined))
    assert.equal((await come()).type, 'joined')
    assert.equal(tries, 3)
  })

  it('learns that it was removed, and does not ask to be let in', async () => {
    const { rpc, come } = setUp({ a: [{ ...standing, member: false, names: [] }] })
    assert.deepEqual(await come(), { type: 'removed' })
    assert.deepEqual(rpc.calls, ['a Cluster.membership'])
  })

  it('does not believe that it was removed without a leader, or of another cluster', async () => {
    const { come } = setUp({
      a: [{ ...standing, member: false, names: [], confirmed: false }, standing],
      b: [{ ...standing, member: false, names: [], clusterId: 'other' }]
    })
    assert.equal((await come()).type, 'joined')
  })

  it('stops when another process uses its identity', async () => {
    // As it arrives when another member passed it on.
    const { message, code } = new IdentityInUseError('me', 'x')
    const { come } = setUp({ a: [standing] }, () => named('RpcRemoteError', { message, code }))
    await assert.rejects(come(), { name: 'StartError', message })
  })

  it('waits with nobody to ask, and ends with its signal', async () => {
    const { come } = setUp({})
    await assert.rejects(come(AbortSignal.timeout(20)), { name: 'AbortError' })
  })
})
