import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  createClient,
  encodeJson,
  type GlobalPinInfo,
  globalPinInfoCodec,
  judgeProgress,
  type TrackerStatus,
  WaitFailedError,
  waitForStatus
} from '@quorate/client'
import { cidV0, peerA, peerB, status } from './api/fixtures.ts'
import { FakePeer } from './fake-peer.ts'

const copy = Object.values(status.peerMap)[0]
assert.ok(copy)

function infoOf(...statuses: TrackerStatus[]): GlobalPinInfo {
  return {
    ...status,
    peerMap: Object.fromEntries(statuses.map((one, index) => [`peer${index}`, { ...copy!, status: one }]))
  }
}

describe('judgeProgress', () => {
  for (const [statuses, target, limit, verdict] of [
    [['pinned', 'pinned', 'pinning'], 'pinned', 2, 'reached'],
    [['pinned', 'pinning', 'pinning'], 'pinned', 2, 'waiting'],
    [['pinned', 'pinned', 'pinned'], 'pinned', 0, 'reached'],
    [['pinned', 'pinned', 'pinning'], 'pinned', -1, 'waiting'],
    [['pinned', 'remote', 'remote'], 'pinned', 0, 'reached'],
    [['pinned', 'pinned', 'remote'], 'pinned', 3, 'reached'],
    [['pinned', 'unexpectedly_unpinned'], 'pinned', 0, 'waiting'],
    [['unpinned', 'unpinning'], 'unpinned', 0, 'waiting'],
    [['unpinned', 'unpinned'], 'unpinned', 0, 'reached'],
    [['remote', 'unpinned'], 'unpinned', 0, 'waiting'],
    // One peer that fails is no reason to give up while the others can make it.
    [['pinned', 'pinned', 'pin_error'], 'pinned', 2, 'reached'],
    [['pinned', 'pinning', 'cluster_error'], 'pinned', 2, 'waiting'],
    [['pinned', 'pin_error', 'cluster_error'], 'pinned', 2, 'failed'],
    [['pinned', 'pinning', 'pin_error'], 'pinned', 0, 'failed'],
    [['unpinned', 'unpin_error'], 'unpinned', 0, 'failed'],
    [[], 'pinned', 1, 'waiting']
  ] as [TrackerStatus[], 'pinned' | 'unpinned', number, string][]) {
    it(`says ${verdict} of ${statuses.join(', ') || 'no peers'} when ${limit > 0 ? limit : 'all'} should be ${target}`, () => {
      assert.equal(judgeProgress(infoOf(...statuses), { status: target, limit }).type, verdict)
    })
  }

  it('names the peers that stand in the way and why', () => {
    const verdict = judgeProgress(status, { status: 'pinned', limit: 2 })
    assert.deepEqual(verdict, {
      type: 'failed',
      reason: `2 of 2 peers should have ${cidV0} pinned, 1 have, and 1 cannot: beta is in pin_error (disk full)`
    })
  })
})

describe('waitForStatus', () => {
  async function serve(answers: GlobalPinInfo[]): Promise<FakePeer> {
    return await FakePeer.start((_, response) => {
      const info = answers.length > 1 ? answers.shift() : answers[0]
      response.end(encodeJson(globalPinInfoCodec.encode(info as GlobalPinInfo)))
    })
  }
  const peers = (a: TrackerStatus, b: TrackerStatus): GlobalPinInfo => ({
    ...status,
    peerMap: { [peerA]: { ...copy!, status: a }, [peerB]: { ...copy!, status: b } }
  })

  it('asks until the target is reached', async () => {
    await using fake = await serve([peers('pinning', 'pinning'), peers('pinned', 'pinning'), peers('pinned', 'pinned')])
    const client = createClient({ baseUrl: fake.baseUrl })
    const info = await waitForStatus(client, cidV0, { status: 'pinned', limit: 2, intervalMs: 1 })
    assert.deepEqual(
      Object.values(info.peerMap).map((one) => one.status),
      ['pinned', 'pinned']
    )
    assert.equal(fake.requests.length, 3)
  })

  it('fails as soon as the target is out of reach', async () => {
    await using fake = await serve([peers('pinned', 'pinning'), peers('pinned', 'pin_error')])
    const client = createClient({ baseUrl: fake.baseUrl })
    await assert.rejects(waitForStatus(client, cidV0, { status: 'pinned', limit: 2, intervalMs: 1 }), WaitFailedError)
  })

  it('ends with the reason of its signal between two questions', async () => {
    await using fake = await serve([peers('pinned', 'pinning')])
    const client = createClient({ baseUrl: fake.baseUrl })
    const controller = new AbortController()
    const waiting = waitForStatus(client, cidV0, {
      status: 'pinned',
      limit: 2,
      intervalMs: 60_000,
      signal: controller.signal
    })
    const reason = new Error('enough')
    setImmediate(() => controller.abort(reason))
    await assert.rejects(waiting, reason)
  })
})
