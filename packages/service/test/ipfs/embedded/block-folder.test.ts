/** Blocks as files. */

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { CID } from 'multiformats/cid'
import { blockKey, cidOfKey } from '../../../src/ipfs/cids.ts'
import { BlockFolder } from '../../../src/ipfs/embedded/block-folder.ts'
import { randomBlock } from '../blocks.ts'
import { temporaryFolder } from '../embedded-node.ts'

describe('BlockFolder', () => {
  let path: string
  let folder: BlockFolder

  beforeEach(async () => {
    path = await temporaryFolder()
    folder = new BlockFolder(path)
    folder.open()
  })

  afterEach(() => rm(path, { recursive: true, force: true }))

  it('stores a block once, however many put it at the same time', async () => {
    const { cid, bytes } = randomBlock()
    const results = await Promise.all(Array.from({ length: 5 }, () => folder.put(CID.parse(cid), bytes)))
    assert.equal(results.filter((stored) => stored).length, 1)
    assert.deepEqual(folder.get(CID.parse(cid)), bytes)
    await folder.sync()
    assert.deepEqual(readdirSync(join(path, 'incomplete')), [])
  })

  it('knows a block by its multihash, whatever the version and codec of the CID', async () => {
    const { cid, bytes } = randomBlock()
    await folder.put(CID.parse(cid), bytes)
    assert.ok(folder.has(CID.createV0(CID.parse(cid).multihash as never)))
    assert.ok(folder.has(CID.createV1(0x71, CID.parse(cid).multihash)))
  })

  it('lists what it has by shard, and deletes', async () => {
    const blocks = Array.from({ length: 50 }, () => randomBlock())
    for (const { cid, bytes } of blocks) await folder.put(CID.parse(cid), bytes)
    const reopened = new BlockFolder(path)
    reopened.open()
    const files = reopened.shards().flatMap((shard) => reopened.listShard(shard))
    assert.deepEqual(
      files.map(({ key }) => key).toSorted(),
      blocks.map(({ cid }) => blockKey(CID.parse(cid))).toSorted()
    )
    for (const { key, bytes } of files) assert.equal(reopened.delete(key, bytes), 100)
    assert.equal(reopened.delete(files[0]?.key ?? '', 100), 0)
    assert.deepEqual(
      reopened.shards().flatMap((shard) => reopened.listShard(shard)),
      []
    )
  })

  it('removes what an earlier run left incomplete, and leaves files alone that are not its own', () => {
    writeFileSync(join(path, 'incomplete', 'half'), 'a block')
    mkdirSync(join(path, 'blocks', 'zz'))
    writeFileSync(join(path, 'blocks', 'zz', 'README'), 'hello')
    const reopened = new BlockFolder(path)
    reopened.open()
    assert.deepEqual(readdirSync(join(path, 'incomplete')), [])
    assert.deepEqual(reopened.listShard('zz'), [])
  })

  it('turns keys back into CIDs', () => {
    const { cid } = randomBlock()
    assert.equal(cidOfKey(blockKey(CID.parse(cid))).toString(), cid)
  })

  it('reports a sync that failed, and tries those folders again', async () => {
    const { cid, bytes } = randomBlock()
    await folder.put(CID.parse(cid), bytes)
    const shard = join(path, 'blocks', blockKey(CID.parse(cid)).slice(-3, -1))
    await rm(shard, { recursive: true })
    await assert.rejects(folder.sync(), { code: 'ENOENT' })
    mkdirSync(shard)
    await folder.sync()
  })
})
