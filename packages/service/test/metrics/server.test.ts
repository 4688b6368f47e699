/** The listener of the metrics: what it answers, when it counts, and that it ends. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PinInfo, TrackerStatus } from '@quorate/client/api'
import { meterConnector } from '../../src/metrics/metered-connector.ts'
import { MetricsServer, type MetricsServerComponents } from '../../src/metrics/server.ts'
import type { IpfsConnector } from '../../src/ports.ts'
import { silent, until } from '../consensus/fakes.ts'
import { observed, raftMetrics } from './observed.ts'

const section = { prometheusEndpoint: '/ip4/127.0.0.1/tcp/0', reportingIntervalMs: 5 }

async function* states(...list: TrackerStatus[]): AsyncGenerator<PinInfo> {
  for (const status of list) yield { status } as PinInfo
}

function serverOf(more: Partial<MetricsServerComponents> = {}, endpoint = section.prometheusEndpoint): MetricsServer {
  return new MetricsServer(
    {
      raft: { metrics: () => raftMetrics },
      pinset: { count: () => 31 },
      tracker: { statusAll: () => states('pinning', 'pin_error', 'pin_error') },
      monitor: { lastOf: (name, peer) => ({ weight: name === 'freespace' && peer === 'a' ? 9 : 0 }) as never },
      ipfsCounts: () => observed.ipfs,
      members: () => ['a', 'b', 'c'],
      connected: () => new Set(['a', 'b', 'x']),
      logger: silent,
      ...more
    },
    { id: 'a', section: { ...section, prometheusEndpoint: endpoint }, diskMetric: 'freespace', process: false }
  )
}

async function textOf(server: MetricsServer): Promise<string> {
  const response = await fetch(server.url)
  assert.equal(response.status, 200)
  assert.match(response.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/)
  return await response.text()
}

describe('the metrics server', () => {
  it('tells of the parts of the peer, and counts the pins again and again', async () => {
    let counts = 0
    const server = serverOf({
      tracker: {
        statusAll: (filter) => {
          assert.deepEqual([...filter!].sort(), ['pin_error', 'pin_queued', 'pinning'])
          counts++
          return counts === 1 ? states('pinning') : states('pin_queued', 'pin_queued', 'pin_error')
        }
      }
    })
    await server.start()
    try {
      await until(() => counts >= 3)
      const text = await textOf(server)
      for (const line of [
        'ipfscluster_pins 31',
        'ipfscluster_pins_pin_queued 2',
        'ipfscluster_pins_pinning 0',
        'ipfscluster_pins_pin_error 1',
        'ipfscluster_informer_disk 9',
        'quorate_peers 3',
        'quorate_peers_connected 2',
        'quorate_raft_term 7'
      ]) {
        assert.ok(text.split('\n').includes(line), `${line} is missing`)
      }
    } finally {
      await server.stop()
    }
  })

  it('answers 404 elsewhere, 405 to other methods, and nothing more to HEAD', async () => {
    const server = serverOf()
    await server.start()
    try {
      assert.equal((await fetch(new URL('/debug/vars', server.url))).status, 404)
      assert.equal((await fetch(server.url, { method: 'POST', body: 'x' })).status, 405)
      assert.equal(await (await fetch(server.url, { method: 'HEAD' })).text(), '')
      assert.equal((await fetch(`${server.url}?name=x`)).status, 200)
    } finally {
      await server.stop()
    }
  })

  it('answers 500 when the peer cannot tell, and goes on', async () => {
    let broken = true
    const server = serverOf({
      raft: {
        metrics: () => {
          if (broken) throw new Error('not now')
          return raftMetrics
        }
      },
      tracker: {
        statusAll: () => {
          throw new Error('not started')
        }
      }
    })
    await server.start()
    try {
      assert.equal((await fetch(server.url)).status, 500)
      broken = false
      assert.match(await textOf(server), /^quorate_raft_term 7$/m)
    } finally {
      await server.stop()
    }
  })

  it('says which address is taken, and lets go of its own', async () => {
    const first = serverOf()
    await first.start()
    const { port } = new URL(first.url)
    const second = serverOf({}, `/ip4/127.0.0.1/tcp/${port}`)
    await assert.rejects(second.start(), (error: Error) => {
      assert.equal(error.name, 'StartError')
      assert.match(
        error.message,
        new RegExp(`^Cannot serve metrics on /ip4/127.0.0.1/tcp/${port}: .*EADDRINUSE.*prometheus_endpoint`)
      )
      return true
    })
    await second.stop()
    await first.stop()
    await second.start()
    await second.stop()
  })

  it('stops while it counts', async () => {
    const begun = Promise.withResolvers<void>()
    const server = serverOf({
      tracker: {
        async *statusAll(_filter, options) {
          begun.resolve()
          await new Promise((resolve) => options!.signal!.addEventListener('abort', resolve))
          options!.signal!.throwIfAborted()
          yield* states()
        }
      }
    })
    await server.start()
    await begun.promise
    await server.stop()
  })
})

describe('the counts of an IPFS node', () => {
  it('tell what was asked of it, and what failed', async () => {
    let fails = false
    const bare = {
      pin: async () => {
        if (fails) throw new Error('no')
      },
      putBlocks: async (blocks: AsyncIterable<unknown>) => {
        for await (const _ of blocks);
        if (fails) throw new Error('no')
        return { release: () => undefined }
      }
    } as unknown as IpfsConnector
    const { connector, counts } = meterConnector(bare)
    async function* blocks() {
      yield { cid: 'x', bytes: new Uint8Array(10) }
      yield { cid: 'y', bytes: new Uint8Array(5) }
    }
    await connector.pin('x', { mode: 'recursive' })
    await connector.putBlocks(blocks())
    fails = true
    await assert.rejects(connector.pin('x', { mode: 'recursive' }), /no/)
    await assert.rejects(connector.putBlocks(blocks()), /no/)
    assert.deepEqual(counts(), { pins: 2, pinErrors: 1, puts: 2, putErrors: 1, blocks: 4, blockBytes: 30 })
  })
})
