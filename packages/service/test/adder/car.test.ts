/** Import of CAR archives, and the archives that the Kubo connector makes. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encode as encodeCbor } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { archiveOf, inBatches } from '../../src/ipfs/kubo/car-batch.ts'
import { block, collect, node, randomBlock, streamOf } from '../ipfs/blocks.ts'
import { bytesOf, file, importAll } from './uploads.ts'

const length = (value: number): Buffer =>
  value < 128 ? Buffer.of(value) : Buffer.of((value & 0x7f) | 0x80, ...length(Math.floor(value / 128)))
const section = (...parts: Uint8Array[]) => Buffer.concat([length(Buffer.concat(parts).length), ...parts])
const archive = (roots: readonly string[], blocks: readonly { cid: string; bytes: Uint8Array }[], version = 1) =>
  Buffer.concat([
    section(encodeCbor({ version, roots: roots.map((root) => CID.parse(root)) })),
    ...blocks.map(({ cid, bytes }) => section(CID.parse(cid).bytes, bytes))
  ])
const importCar = (bytes: Uint8Array, options = {}) => importAll([file('a.car', bytes)], { format: 'car', ...options })

describe('importFiles of a CAR archive', () => {
  const leaf = randomBlock(1000)
  const root = node([leaf])

  it('yields its blocks as they are, and its root with their bytes', async () => {
    const imported = await importCar(archive([root.cid], [leaf, root]))
    assert.equal(imported.root, root.cid)
    assert.deepEqual(
      imported.blocks.map(({ cid }) => cid),
      [leaf.cid, root.cid]
    )
    assert.deepEqual(Buffer.from(imported.blocks[0]?.bytes ?? []), leaf.bytes)
    assert.equal(imported.outputs.length, 1)
    assert.equal(imported.outputs[0]?.bytes, leaf.bytes.length + root.bytes.length)
  })

  it('gives the size of the file that the root is of', async () => {
    const made = await importAll([file('f', bytesOf(600_000, 'car'))])
    const imported = await importCar(archive([made.root], made.blocks))
    assert.equal(imported.outputs[0]?.size, 600_000)
    const raw = block(bytesOf(77, 'raw'))
    assert.equal((await importCar(archive([raw.cid], [raw]))).outputs[0]?.size, 77)
  })

  it('reads version 2, which is version 1 with a header and an index around it', async () => {
    const inner = archive([root.cid], [leaf, root])
    const pragma = Buffer.from('0aa16776657273696f6e02', 'hex')
    const header = Buffer.alloc(40)
    header.writeBigUInt64LE(BigInt(pragma.length + header.length + 9), 16)
    header.writeBigUInt64LE(BigInt(inner.length), 24)
    const bytes = Buffer.concat([pragma, header, Buffer.alloc(9), inner, Buffer.from('an index')])
    const imported = await importCar(bytes)
    assert.equal(imported.root, root.cid)
    assert.equal(imported.blocks.length, 2)
  })

  it('imports the first file only', async () => {
    const other = randomBlock()
    const entries = [file('a.car', archive([leaf.cid], [leaf])), file('b.car', archive([other.cid], [other]))]
    assert.equal((await importAll(entries, { format: 'car' })).blocks.length, 1)
  })

  const refused: readonly [what: string, bytes: Uint8Array, options: object, code: string, message: RegExp][] = [
    [
      'more than one root',
      archive([leaf.cid, root.cid], [leaf]),
      {},
      'invalid-content',
      /only CAR files with a single root are supported/
    ],
    ['no root', archive([], [leaf]), {}, 'invalid-content', /only CAR files with a single root are supported/],
    [
      'wrapping',
      archive([leaf.cid], [leaf]),
      { wrapWithDirectory: true },
      'invalid-parameter',
      /^cannot wrap a CAR file upload$/
    ],
    ['another version', archive([leaf.cid], [leaf], 3), {}, 'invalid-content', /version: 3/],
    ['something else', Buffer.from('not an archive at all'), {}, 'invalid-content', /not a CAR file/],
    ['nothing', Buffer.alloc(0), {}, 'invalid-content', /not a CAR file/],
    [
      'an archive that is cut off',
      archive([leaf.cid], [leaf]).subarray(0, -5),
      {},
      'invalid-content',
      /Unexpected end/
    ],
    [
      'a section without a CID',
      Buffer.concat([archive([leaf.cid], []), section(Buffer.from('zzz'))]),
      {},
      'invalid-content',
      /Unexpected CID version/
    ],
    [
      'a section that claims to be huge',
      Buffer.concat([archive([leaf.cid], []), length(2 ** 40), CID.parse(leaf.cid).bytes, leaf.bytes]),
      {},
      'invalid-content',
      /more than a block/
    ]
  ]
  for (const [what, bytes, options, code, message] of refused) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(importCar(bytes, options), { name: 'AddError', code, message })
    })
  }

  it('reads back the archives that are made for Kubo', async () => {
    const [batch = [], ...more] = await collect(inBatches(streamOf([leaf, root])))
    assert.equal(more.length, 0)
    const imported = await importCar(archiveOf(batch))
    assert.deepEqual(
      imported.blocks.map(({ cid }) => cid),
      [leaf.cid, root.cid]
    )
  })

  it('makes an archive of at most some 10 MB', async () => {
    const blocks = Array.from({ length: 20 }, () => randomBlock(1_000_000))
    const batches = await collect(inBatches(streamOf(blocks)))
    assert.deepEqual(
      batches.map(({ length: count }) => count),
      [9, 9, 2]
    )
  })
})
