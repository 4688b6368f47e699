import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createDiskInformer } from '../../src/informer/disk.ts'
import { createPingInformer, formatPing, parsePing } from '../../src/informer/ping.ts'
import { createPinqueueInformer } from '../../src/informer/pinqueue.ts'
import { createTagsInformer } from '../../src/informer/tags.ts'

const repo = (repoSizeBytes: number, storageMaxBytes: number) => ({
  repoStat: async () => ({ repoSizeBytes, storageMaxBytes })
})

describe('the disk informer', () => {
  it('tells free space, which is not valid once the node is full', async () => {
    const some = createDiskInformer(repo(30, 100), { metricTtlMs: 30_000, metricType: 'freespace' })
    assert.deepEqual(await some.measure(), [
      { name: 'freespace', value: '70', weight: 70, partitionable: false, valid: true }
    ])
    assert.equal(some.ttlMs, 30_000)
    const none = createDiskInformer(repo(130, 100), { metricTtlMs: 1, metricType: 'freespace' })
    assert.deepEqual(await none.measure(), [
      { name: 'freespace', value: '0', weight: 0, partitionable: false, valid: false }
    ])
  })

  it('prefers the smaller repository when it tells its size', async () => {
    const informer = createDiskInformer(repo(30, 100), { metricTtlMs: 1, metricType: 'reposize' })
    assert.deepEqual(await informer.measure(), [
      { name: 'reposize', value: '30', weight: -30, partitionable: false, valid: true }
    ])
  })
})

describe('the other informers', () => {
  it('tell each tag as a partition', async () => {
    const informer = createTagsInformer({ metricTtlMs: 1, tags: { group: 'default', region: 'eu' } })
    assert.deepEqual(
      (await informer.measure()).map(({ name, value, partitionable }) => [name, value, partitionable]),
      [
        ['tag:group', 'default', true],
        ['tag:region', 'eu', true]
      ]
    )
  })

  it('weigh queues of about the same length alike', async () => {
    const weigh = async (count: number, weightBucketSize: number): Promise<number | undefined> => {
      const informer = createPinqueueInformer({ queuedPinCount: () => count }, { metricTtlMs: 1, weightBucketSize })
      return (await informer.measure())[0]?.weight
    }
    assert.deepEqual(
      [await weigh(0, 100), await weigh(99, 100), await weigh(250, 100), await weigh(7, 0)],
      [0, 0, -2, -7]
    )
  })

  it('read a ping as it was told, and nothing from what is none', async () => {
    const informer = createPingInformer({
      peername: 'one',
      ipfsId: () => ({ id: '12D3Koo', addresses: ['/ip4/1.2.3.4/tcp/4001'], error: '' }),
      ttlMs: 30_000
    })
    const [metric] = await informer.measure()
    assert.equal(metric?.value, '{"peer_name":"one","ipfs_id":"12D3Koo","ipfs_addresses":["/ip4/1.2.3.4/tcp/4001"]}')
    assert.deepEqual(parsePing(metric?.value ?? ''), {
      peername: 'one',
      ipfsId: '12D3Koo',
      ipfsAddresses: ['/ip4/1.2.3.4/tcp/4001']
    })
    const silent = { peername: 'one', ipfsId: undefined, ipfsAddresses: [] }
    assert.deepEqual(parsePing(formatPing(silent)), silent)
    assert.equal(parsePing('not json'), undefined)
    fc.assert(fc.property(fc.json(), (text) => assert.doesNotThrow(() => parsePing(text))))
  })
})
