/** Writes that look for their leader: what is tried again, what ends at once, and what is said when the time is up. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultPinOptions, type Pin } from '@quorate/client/api'
import { SessionTable } from '@quorate/raft'
import { Membership } from '../../src/consensus/membership.ts'
import { judgeFailure, RaftConsensus } from '../../src/consensus/raft-consensus.ts'
import { decodeOperation, encodeOperation, type OpResult } from '../../src/state/ops.ts'
import { FakeRaft, FakeRpc, hang, named, silent, turn, until } from './fakes.ts'

const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const pin: Pin = {
  ...defaultPinOptions,
  cid,
  type: 'pin',
  allocations: [],
  maxDepth: -1,
  reference: undefined,
  timestampMs: 1
}
const voters = ['a', 'b', 'c']

function setUp({ leader, waitMs = 60_000 }: { leader?: string; waitMs?: number } = {}) {
  const raft = new FakeRaft('a', { voters })
  raft.leader = leader
  const rpc = new FakeRpc()
  const membership = new Membership(
    { raft, logger: silent, records: () => [], sessions: { twinsOf: async () => [] } },
    'cluster'
  )
  const consensus = new RaftConsensus(
    { raft, rpc: rpc.asPeerRpc, membership, logger: silent, connected: () => new Set(['a', 'b']) },
    { id: 'a', waitForLeaderTimeoutMs: waitMs }
  )
  return { raft, rpc, consensus }
}

describe('a write', () => {
  it('is proposed here when this peer leads', async () => {
    const { raft, rpc, consensus } = setUp({ leader: 'a' })
    await consensus.logPin(pin)
    assert.deepEqual(raft.done, ['pin'])
    assert.deepEqual(rpc.calls, [])
  })

  it('goes to the leader, and is done once it is applied here', async () => {
    const { raft, rpc, consensus } = setUp({ leader: 'b' })
    const applied = Promise.withResolvers<void>()
    const asked: number[] = []
    rpc.onCall = async () => ({ index: 41, result: { ok: true, kind: 'pin' } })
    raft.onApplied = (index) => {
      asked.push(index)
      return applied.promise
    }
    let done = false
    const writing = consensus.logPin(pin).then(() => (done = true))
    await until(() => asked.length > 0)
    await turn()
    assert.deepEqual([asked, done], [[41], false])
    applied.resolve()
    await writing
  })

  it('answers an unpin with the pin as it was, and says when there was none', async () => {
    const { raft, consensus } = setUp({ leader: 'a' })
    raft.onPropose = async () => ({ ok: true, kind: 'unpin', pin })
    assert.equal(await consensus.logUnpin(cid), pin)
    raft.onPropose = async () => ({ ok: false, code: 'PIN_NOT_FOUND', message: 'none' })
    await assert.rejects(consensus.logUnpin(cid), { name: 'PinNotFoundError' })
    raft.onPropose = async () => ({ ok: false, code: 'UNSUPPORTED', message: 'too new' })
    await assert.rejects(consensus.logUnpin(cid), { message: `Cannot unpin ${cid}: too new` })
    await assert.rejects(consensus.logPin(pin), { message: `Cannot pin ${cid}: too new` })
  })

  it('waits for a leader and takes the one that comes', async () => {
    const { raft, rpc, consensus } = setUp()
    rpc.onCall = async () => ({ index: 1, result: { ok: true, kind: 'pin' } })
    const writing = consensus.logPin(pin)
    await turn()
    assert.deepEqual(rpc.calls, [])
    raft.setLeader('c')
    await writing
    assert.deepEqual(rpc.calls, ['c Consensus.propose'])
    assert.equal(raft.listenerCount, 0)
  })

  it('follows a change of leader', async () => {
    const { raft, rpc, consensus } = setUp({ leader: 'b' })
    rpc.onCall = async (peer) => {
      if (peer === 'b') throw named('RpcRemoteError', { remoteName: 'NotLeaderError', code: 'not-leader' })
      return { index: 1, result: { ok: true, kind: 'pin' } }
    }
    const writing = consensus.logPin(pin)
    await until(() => rpc.calls.length > 1)
    raft.setLeader('c')
    await writing
    assert.equal(rpc.calls.at(-1), 'c Consensus.propose')
  })

  it('does not wait for a leader that hangs once there is another', async () => {
    const { raft, rpc, consensus } = setUp({ leader: 'b' })
    rpc.onCall = (peer, _method, _request, signal) =>
      peer === 'b' ? hang(signal) : Promise.resolve({ index: 1, result: { ok: true, kind: 'pin' } })
    const writing = consensus.logPin(pin)
    await until(() => rpc.calls.length === 1)
    raft.setLeader(undefined)
    await turn()
    assert.deepEqual(rpc.calls, ['b Consensus.propose'])
    raft.setLeader('c')
    await writing
    assert.deepEqual(rpc.calls, ['b Consensus.propose', 'c Consensus.propose'])
    assert.equal(raft.listenerCount, 0)
  })

  it('that is committed is not given up when another leads before it is applied here', async () => {
    const { raft, rpc, consensus } = setUp({ leader: 'b' })
    const applied = Promise.withResolvers<void>()
    rpc.onCall = async () => ({ index: 41, result: { ok: true, kind: 'pin' } })
    let waiting = false
    raft.onApplied = () => {
      waiting = true
      return applied.promise
    }
    const writing = consensus.logPin(pin)
    await until(() => waiting)
    raft.setLeader('c')
    await turn()
    applied.resolve()
    await writing
    assert.deepEqual(rpc.calls, ['b Consensus.propose'])
  })

  it('ends at once with what another try would not change', async () => {
    const { raft, rpc, consensus } = setUp({ leader: 'a' })
    raft.onPropose = () => Promise.reject(named('ProposalRefusedError', { code: 'too-large', reason: 'too-large' }))
    await assert.rejects(consensus.logPin(pin), { name: 'ProposalRefusedError' })
    assert.equal(raft.done.length, 1)
    raft.leader = 'b'
    rpc.onCall = () => Promise.reject(named('RpcRemoteError', { remoteName: 'LastPeerError', code: 'last-peer' }))
    await assert.rejects(consensus.removePeer('b'), { code: 'last-peer' })
    assert.deepEqual(rpc.calls, ['b Consensus.removePeer'])
  })

  it('without a leader ends at the deadline with the quorum arithmetic, and was surely not done', async () => {
    const { raft, consensus } = setUp({ waitMs: 30 })
    await assert.rejects(consensus.logPin(pin), {
      name: 'NoLeaderError',
      message: 'timed out waiting for leader after 30 ms, cannot commit. 2 of 3 voters reachable, 2 needed. Missing: c.'
    })
    assert.equal(raft.listenerCount, 0)
  })

  it('that may have been done says so at the deadline', async () => {
    const { raft, rpc, consensus } = setUp({ leader: 'b', waitMs: 30 })
    for (const onCall of [
      // The leader does not answer at all.
      (_peer: string, _method: string, _request: unknown, signal?: AbortSignal) => hang(signal),
      () => Promise.reject(named('RpcTimeoutError')),
      () => Promise.reject(named('RpcUnreachableError', { code: 'connection-lost' }))
    ]) {
      rpc.onCall = onCall
      await assert.rejects(consensus.logPin(pin), (error: Error) => {
        assert.equal(error.name, 'NoLeaderError')
        assert.match(error.message, /It may have been done all the same\. The last try ended with: /)
        return true
      })
    }
    // It is committed, and this peer does not come to apply it.
    rpc.onCall = async () => ({ index: 1, result: { ok: true, kind: 'pin' } })
    raft.onApplied = (_index, signal) => hang(signal).catch(() => Promise.reject(named('ReadUnavailableError')))
    await assert.rejects(consensus.logPin(pin), /It may have been done all the same/)
  })

  it('ends with the reason of its signal', async () => {
    const { raft, rpc, consensus } = setUp()
    const stopping = new AbortController()
    const writing = consensus.logPin(pin, { signal: stopping.signal })
    await turn()
    stopping.abort(new Error('enough'))
    await assert.rejects(writing, { message: 'enough' })
    raft.leader = 'b'
    rpc.onCall = (_peer, _method, _request, signal) => hang(signal)
    await assert.rejects(consensus.logPin(pin, { signal: AbortSignal.timeout(5) }), { name: 'TimeoutError' })
    assert.equal(raft.listenerCount, 0)
  })

  it('of another member is proposed here, and refused by whom it is not for', async () => {
    const { raft, rpc } = setUp({ leader: 'a' })
    assert.deepEqual(await rpc.receive('b', 'Consensus.propose', { op: new Uint8Array([9]) }), {
      index: 1,
      result: { ok: true, kind: 'pin' }
    })
    raft.onPropose = () => Promise.reject(named('NotLeaderError'))
    await assert.rejects(rpc.receive('b', 'Consensus.propose', { op: new Uint8Array([9]) }), { name: 'NotLeaderError' })
  })
})

describe('a linearizable read', () => {
  it('that nobody confirms says why, with the quorum', async () => {
    const { raft, consensus } = setUp()
    await consensus.readBarrier()
    raft.onBarrier = () => Promise.reject(named('ReadUnavailableError'))
    await assert.rejects(consensus.readBarrier(), {
      name: 'ConsensusUnavailableError',
      message: 'no quorum could be reached: 2 of 3 voters reachable, 2 needed. Missing: c.'
    })
  })
})

describe('a failed try', () => {
  const remote = (remoteName: string, code = ''): Error => named('RpcRemoteError', { remoteName, code })
  const rows: [Error | string, ReturnType<typeof judgeFailure>][] = [
    [named('NotLeaderError'), 'try-again'],
    [named('ProposalLostError'), 'try-again'],
    [named('NoLeaderError'), 'try-again'],
    [named('ConsensusUnavailableError'), 'try-again'],
    [remote('NotLeaderError'), 'try-again'],
    [named('ProposalRefusedError', { reason: 'busy' }), 'try-again'],
    [named('ProposalRefusedError', { reason: 'change-in-progress' }), 'try-again'],
    [named('ProposalRefusedError', { reason: 'leadership-lost' }), 'try-again'],
    [named('ProposalRefusedError', { reason: 'too-large' }), 'final'],
    [named('ProposalRefusedError', { reason: 'illegal-change' }), 'final'],
    [remote('ProposalRefusedError', 'busy'), 'try-again'],
    [remote('ProposalRefusedError', 'too-large'), 'final'],
    [remote('ProposalRefusedError', 'illegal-change'), 'final'],
    [named('RpcUnreachableError', { code: 'dial-failed' }), 'try-again'],
    [named('RpcUnreachableError', { code: 'connection-lost' }), 'outcome-unknown'],
    [named('RpcRefusedError', { code: 'busy' }), 'try-again'],
    [named('RpcRefusedError', { code: 'forbidden' }), 'try-again'],
    [named('RpcRefusedError', { code: 'too-large' }), 'final'],
    [named('RpcTimeoutError'), 'outcome-unknown'],
    [named('OutcomeUnknownError'), 'outcome-unknown'],
    [remote('OutcomeUnknownError'), 'outcome-unknown'],
    [named('ReadUnavailableError'), 'outcome-unknown'],
    [remote('LastPeerError', 'last-peer'), 'final'],
    [named('MalformedRpcError'), 'final'],
    [named('TypeError'), 'final'],
    ['not even an error', 'final']
  ]
  it('is judged by its name and its code', () => {
    for (const [error, verdict] of rows) assert.equal(judgeFailure(error), verdict, JSON.stringify(error))
  })
})

describe('a write that is tried again', () => {
  /** A group that applies what it is sent as the state does, and loses the answers that the test says. */
  function setUpGroup() {
    const parts = setUp({ leader: 'b' })
    let table = new SessionTable()
    let index = 0
    /** Numbers that took effect, in order. */
    const applied: number[] = []
    const answer = { ok: true, kind: 'unpin', pin } as const
    const commit = (op: Uint8Array): { index: number; result: OpResult } => {
      const operation = decodeOperation(op)
      index++
      if (operation.kind === 'session-open') {
        table.open(index)
        return { index, result: { ok: true, kind: 'session-open' } }
      }
      const admission = table.admit(index, operation.stamp!)
      if (admission.type === 'refused')
        return { index, result: { ok: false, code: 'SESSION_EXPIRED', message: 'it has ended' } }
      if (admission.type === 'new') {
        table.record(operation.stamp!, Uint8Array.of(1))
        applied.push(operation.stamp!.sequence)
      }
      return { index, result: answer }
    }
    parts.rpc.onOpen = async () => commit(encodeOperation({ kind: 'session-open' }))
    parts.raft.onPropose = async (op) => commit(op).result
    return {
      ...parts,
      applied,
      commit,
      forgetSessions: () => {
        table = new SessionTable()
      }
    }
  }
  const op = (request: unknown): Uint8Array => (request as { op: Uint8Array }).op
  const lostAnswer = () => named('RpcUnreachableError', { code: 'stream-reset' })

  it('takes effect once when the answer to its first try was lost', async () => {
    const { rpc, raft, consensus, applied, commit } = setUpGroup()
    let tries = 0
    rpc.onCall = async (_peer, _method, request) => {
      const answer = commit(op(request))
      if (++tries === 1) {
        raft.setLeader('c')
        throw lostAnswer()
      }
      return answer
    }
    assert.equal(await consensus.logUnpin(cid), pin)
    assert.deepEqual(rpc.calls, ['b Consensus.propose', 'c Consensus.propose'])
    assert.deepEqual(applied, [1])
  })

  it('keeps its number when it goes on at this peer, which took the lead', async () => {
    const { rpc, raft, consensus, applied, commit } = setUpGroup()
    rpc.onCall = async (_peer, _method, request) => {
      commit(op(request))
      raft.setLeader('a')
      throw lostAnswer()
    }
    assert.equal(await consensus.logUnpin(cid), pin)
    assert.deepEqual(raft.done, ['unpin'])
    assert.deepEqual(applied, [1])
  })

  it('begins anew in another session when its own expired before anything was sent', async () => {
    const { rpc, consensus, applied, commit, forgetSessions } = setUpGroup()
    rpc.onCall = async (_peer, _method, request) => commit(op(request))
    await consensus.logPin(pin)
    forgetSessions()
    await consensus.logPin(pin)
    assert.deepEqual(applied, [1, 1])
    assert.equal(rpc.calls.length, 3)
  })

  it('is not done again when the session that would know of its first try has expired', async () => {
    const { rpc, consensus, applied, commit, forgetSessions } = setUpGroup()
    let tries = 0
    rpc.onCall = async (_peer, _method, request) => {
      const answer = commit(op(request))
      if (++tries > 1) return answer
      forgetSessions()
      throw lostAnswer()
    }
    await assert.rejects(consensus.logPin(pin), { name: 'ConsensusUnavailableError', message: /is not known whether/ })
    assert.deepEqual(applied, [1])
    await consensus.logPin(pin)
    assert.deepEqual(applied, [1, 1])
  })

  it('says with its next write what is answered', async () => {
    const { rpc, consensus, commit } = setUpGroup()
    const answered: (number | undefined)[] = []
    rpc.onCall = async (_peer, _method, request) => {
      answered.push(decodeOperation(op(request)).stamp?.answeredThrough)
      return commit(op(request))
    }
    for (let write = 0; write < 3; write++) await consensus.logPin(pin)
    assert.deepEqual(answered, [0, 1, 2])
  })
})
