/** What the peers of the peerstore have to say before a cluster is formed. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { askAround } from '../../src/daemon/ask-around.ts'
import type { Network } from '../../src/daemon/network.ts'
import { FakeRpc, hang } from '../consensus/fakes.ts'

const never = new AbortController().signal
const cluster = { clusterId: 'c', confirmed: true, member: false, peers: [] as object[] }
const me = (addresses: string[]) => ({ id: 'me', peername: '', addresses })

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
    [
      'goes on when a peer has no leader',
      { ...cluster, confirmed: false, member: true, peers: [me(['x'])] },
      true,
      undefined
    ],
    [
      'does not form a cluster of its own beside one',
      cluster,
      true,
      /belongs to cluster c and this peer does not.*--bootstrap/
    ],
    ['goes on with its peerset although a peer of it has another cluster', cluster, false, undefined],
    [
      'does not vote without the data that it had',
      { ...cluster, member: true, peers: [me(['/ip4/127.0.0.1/tcp/1'])] },
      false,
      /is a member of cluster c, and there is no data of it in the folder.*--bootstrap/
    ],
    [
      'goes on when the others formed a moment ago and it never took part',
      { ...cluster, member: true, peers: [me([])] },
      false,
      undefined
    ]
  ]
  for (const [fact, answer, alone, refusal] of rows) {
    it(fact, async () => {
      const { network: net } = network({ b: answer })
      const reason = await askAround(net, ['me', 'b'], alone, never)
      if (refusal === undefined) assert.equal(reason, undefined)
      else assert.match(reason ?? '', refusal)
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
    assert.match((await asking) ?? '', /^peer c, of the peerstore/)
    assert.deepEqual(rpc.calls, ['b Cluster.membership', 'c Cluster.membership'])
  })

  it('ends with its signal', async () => {
    const { network: net } = network({ b: cluster }, [])
    await assert.rejects(askAround(net, ['b'], true, AbortSignal.timeout(5)))
  })
})
