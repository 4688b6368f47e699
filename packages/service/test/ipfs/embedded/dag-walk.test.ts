/** The walk over a DAG, on DAGs in memory. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encode as encodeCbor } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { walkDag } from '../../../src/ipfs/embedded/dag-walk.ts'
import { linksOf } from '../../../src/ipfs/embedded/links.ts'
import { MultihashSet, NodeSet } from '../../../src/ipfs/embedded/multihash-set.ts'
import type { IpfsBlock } from '../../../src/ports.ts'
import { block, node, randomBlock, randomDag } from '../blocks.ts'

function walk(root: string, blocks: readonly IpfsBlock[], options: { signal?: AbortSignal } = {}) {
  const here = new Map(blocks.map(({ cid, bytes }) => [cid, bytes]))
  const visits: string[] = []
  const reads = { count: 0, running: 0, most: 0, reread: 0 }
  const done = walkDag({
    root: CID.parse(root),
    seen: new NodeSet(),
    visit: async (cid) => {
      visits.push(cid.toString())
      reads.most = Math.max(reads.most, ++reads.running)
      await new Promise((resolve) => setImmediate(resolve))
      reads.running--
      const bytes = here.get(cid.toString())
      if (bytes === undefined) throw new Error(`no block ${cid}`)
      return bytes
    },
    reread: async (cid) => {
      reads.reread++
      return here.get(cid.toString()) ?? assert.fail('read a block again that was never here')
    },
    signal: options.signal
  })
  return { done, visits, reads }
}

describe('walkDag', () => {
  it('visits every node once, though it is linked to often', async () => {
    const leaf = node([])
    const a = node([leaf, leaf])
    const b = node([leaf, a])
    const root = node([a, b, leaf])
    const { done, visits } = walk(root.cid, [leaf, a, b, root])
    await done
    assert.deepEqual(visits.toSorted(), [leaf, a, b, root].map(({ cid }) => cid).toSorted())
  })

  it('follows the links of a node though the same block was visited as raw bytes', async () => {
    const leaf = randomBlock()
    const inner = node([leaf])
    const asRaw = block(inner.bytes)
    const root = node([asRaw, inner])
    const { done, visits } = walk(root.cid, [leaf, inner, asRaw, root])
    await done
    assert.deepEqual(visits.toSorted(), [leaf, inner, asRaw, root].map(({ cid }) => cid).toSorted())
  })

  it('visits many blocks at a time, but not all', async () => {
    const dag = randomDag(200)
    const { done, reads } = walk(dag.root, dag.blocks)
    await done
    assert.equal(reads.most, 32)
  })

  it('reads nodes again rather than keeping the links of all of them', async () => {
    // Each level has 5,000 links, and only the first of them leads further down.
    const leaves = Array.from({ length: 5000 }, () => block(Buffer.from(Math.random().toString())))
    const levels: IpfsBlock[] = []
    let below: IpfsBlock = randomBlock()
    const bottom = below
    for (let i = 0; i < 40; i++) {
      below = block(encodeCbor([CID.parse(below.cid), ...leaves.map(({ cid }) => CID.parse(cid))]), 0x71)
      levels.push(below)
    }
    const { done, reads, visits } = walk(below.cid, [bottom, ...leaves, ...levels])
    await done
    assert.equal(visits.length, 40 * 5001 + 1 - 39 + 39 - 0)
    assert.ok(reads.reread > 0)
  })

  it('ends with the first failure, when nothing runs any more', async () => {
    const dag = randomDag(100)
    const missing = dag.blocks[50] as IpfsBlock
    const { done, reads } = walk(
      dag.root,
      dag.blocks.filter((other) => other !== missing)
    )
    await assert.rejects(done, { message: `no block ${missing.cid}` })
    assert.equal(reads.running, 0)
  })

  it('ends with the reason of the signal', async () => {
    const dag = randomDag(100)
    const given = new AbortController()
    const { done, visits } = walk(dag.root, dag.blocks, { signal: given.signal })
    given.abort(new RangeError('given up'))
    await assert.rejects(done, { name: 'RangeError' })
    assert.ok(visits.length < 100)
  })
})

describe('linksOf', () => {
  const target = randomBlock().cid

  it('finds the links of DAG-CBOR and DAG-JSON, however deep', () => {
    const cbor = block(encodeCbor({ a: [1, { b: CID.parse(target) }], c: new Uint8Array(3) }), 0x71)
    assert.deepEqual(linksOf(CID.parse(cbor.cid), cbor.bytes).map(String), [target])
    const json = block(
      Buffer.from(JSON.stringify({ a: [{ '/': target }], b: { '/': { bytes: 'AA' } }, '/': 'x', c: 1 })),
      0x0129
    )
    assert.deepEqual(linksOf(CID.parse(json.cid), json.bytes).map(String), [target])
    const deep = block(Buffer.from(`${'['.repeat(5000)}{"/":"${target}"}${']'.repeat(5000)}`), 0x0129)
    assert.deepEqual(linksOf(CID.parse(deep.cid), deep.bytes).map(String), [target])
  })

  it('refuses what it cannot read', () => {
    for (const codec of [0x70, 0x71, 0x0129]) {
      const malformed = block(Uint8Array.of(0xff, 1, 2), codec)
      assert.throws(() => linksOf(CID.parse(malformed.cid), malformed.bytes), { code: 'corrupt' })
    }
    const unknown = block(Uint8Array.of(1), 0x78)
    assert.throws(() => linksOf(CID.parse(unknown.cid), unknown.bytes), { code: 'unsupported' })
  })
})

describe('MultihashSet', () => {
  it('holds what was added, and nothing else', () => {
    const set = new MultihashSet()
    const members = Array.from({ length: 5000 }, () => CID.parse(randomBlock(20).cid))
    for (const cid of members) assert.equal(set.add(cid), true)
    for (const cid of members) assert.equal(set.add(cid), false)
    assert.equal(set.size, 5000)
    for (let i = 0; i < 1000; i++) assert.equal(set.has(CID.parse(randomBlock(20).cid)), false)
  })
})
