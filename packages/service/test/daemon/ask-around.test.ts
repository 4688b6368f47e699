/** What the peers of the peerstore have to say before a cluster is formed. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { askAround, type Objection } from '../../src/daemon/ask-around.ts'
import type { Network } from '../../src/daemon/network.ts'
import { FakeRpc, hang } from '../consensus/fakes.ts'

const never = new AbortController().signal
const cluster = { clusterId: 'c', confirmed: true, member: false, tookPart: false, names: [], peers: [] }
const member = { ...cluster, member: true, names: ['me'] }

const words = (objection: Objection | undefined): string =>
  objection === undefined
    ? ''
    : objection.type === 'refuse'
      ? objection.reason
      : `returns ${objection.clusterId} ${objection.why}`

function network(
  answers: Record<string, object | undefined>,
  connected = Object.keys(answers)
): { network: Network; rpc: FakeRpc } {
  const rpc = new FakeRpc(async (peer, _method, _request, signal) => {
    const answer = answers[peer]
    if (answer === undefined) return hang(signal)
    return answer
  })
  const parts = { id: 'me', rpc: rpc.asPeerRpc, connected: () => new Set(['me', ...connected]) }
  return { network: parts as unknown as Network, rpc }
}

describe('a peer that is about to form a cluster', () => {
  const rows: [fact: string, answer: object, alone: boolean, refusal: RegExp | undefined][] = [
    ['goes on when a peer without a leader does not know it', { ...cluster, confirmed: false }, true, undefined],
    [
      'does not form a cluster of its own beside one',
      cluster,
      true,
      /belongs to cluster c and this peer does not.*--bootstrap/
    ],
    ['goes on with its peerset although a peer of it has another cluster', cluster, false, undefined],
    [
      'does not vote without the data that it had, but comes back',
      { ...member, tookPart: true },
      false,
      /^returns c peer b says that this peer takes part in cluster c, and there is no data of it/
    ],
    [
      'comes back also when the peer that knows it has no leader: nobody may have one without it',
      { ...member, tookPart: true, confirmed: false },
      false,
      /^returns c/
    ],
    ['comes back also when it would be alone', { ...member, tookPart: true }, true, /^returns c/],
    ['goes on when the others formed a moment ago and it never took part', member, false, undefined]
  ]
  for (const [fact, answer, alone, refusal] of rows) {
    it(fact, async () => {
      const { network: net } = network({ b: answer })
      const reason = words(await askAround(net, ['me', 'b'], alone, never))
      if (refusal === undefined) assert.equal(reason, '')
      else assert.match(reason, refusal)
    })
  }

  it('asks nobody when its peerstore is empty or names only itself', async () => {
    const { network: net, rpc } = network({ b: cluster })
    assert.equal(await askAround(net, [], true, never), undefined)
    assert.equal(await askAround(net, ['me'], true, never), undefined)
    assert.deepEqual(rpc.calls, [])
  })

  it('asks each peer once, as soon as it is connected, and believes one that objects', async () => {
    const connected: string[] = []
    const { network: net, rpc } = network({ b: { ...cluster, confirmed: false }, c: cluster }, connected)
    const asking = askAround(net, ['b', 'c', 'b'], true, never)
    connected.push('b')
    net.connected = () => new Set(['b', ...(rpc.calls.length > 0 ? ['c'] : [])])
    assert.match(words(await asking), /^peer c, of the peerstore/)
    assert.deepEqual(rpc.calls, ['b Cluster.membership', 'c Cluster.membership'])
  })

  it('ends with its signal', async () => {
    const { network: net } = network({ b: cluster }, [])
    await assert.rejects(askAround(net, ['b'], true, AbortSignal.timeout(5)))
  })
})
