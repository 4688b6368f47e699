/** Adding to a node: the blocks arrive while the upload is read, are held, and are let go whenever something goes wrong. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AddOptions } from '@quorate/client/api'
import { addFiles } from '../../src/adder/add-files.ts'
import { IpfsRequestError } from '../../src/ipfs/errors.ts'
import type { IpfsBlock, IpfsConnector } from '../../src/ports.ts'
import { bytesOf, defaults, file, upload } from './uploads.ts'

const options: AddOptions = {
  ...defaults,
  replicationFactorMin: -1,
  replicationFactorMax: -1,
  name: '',
  mode: 'recursive',
  shardSizeBytes: 0,
  userAllocations: [],
  expireAtMs: undefined,
  metadata: {},
  pinUpdate: undefined,
  origins: [],
  local: false,
  recursive: true,
  hidden: false,
  shard: false,
  streamChannels: true,
  nocopy: false,
  noPin: false
}

/** A node that keeps what it gets, and can be told to fail. */
class FakeNode implements Pick<IpfsConnector, 'putBlocks'> {
  readonly blocks: IpfsBlock[] = []
  holds = 0
  failAfterBlocks = Number.POSITIVE_INFINITY

  async putBlocks(source: AsyncIterable<IpfsBlock>, { signal }: { signal?: AbortSignal } = {}) {
    for await (const block of source) {
      signal?.throwIfAborted()
      if (this.blocks.length >= this.failAfterBlocks) throw new IpfsRequestError('the disk is full', 'no-space')
      this.blocks.push(block)
    }
    signal?.throwIfAborted()
    this.holds++
    return {
      release: () => {
        this.holds--
      }
    }
  }
}

describe('addFiles', () => {
  it('returns the root once all blocks are stored, and holds them until they are released', async () => {
    const node = new FakeNode()
    const adding = addFiles({ entries: upload([file('f', bytesOf(3_000_000, 'a'))]), options, connector: node })
    const names: string[] = []
    for (;;) {
      const step = await adding.next()
      if (step.done !== true) {
        names.push(step.value.name)
        continue
      }
      assert.equal(node.blocks.at(-1)?.cid, step.value.root)
      assert.equal(node.blocks.length, 13)
      assert.equal(node.holds, 1)
      step.value.release()
      assert.equal(node.holds, 0)
      break
    }
    assert.deepEqual(names, ['f'])
  })

  it('fails with the error of the node, though the upload goes on', async () => {
    const node = new FakeNode()
    node.failAfterBlocks = 3
    async function* endless() {
      for (;;) yield bytesOf(262_144, 'e')
    }
    const adding = addFiles({
      entries: upload([{ path: 'f', type: 'file', content: endless() }]),
      options,
      connector: node
    })
    await assert.rejects(adding.next(), { name: 'IpfsRequestError', message: 'the disk is full' })
    assert.equal(node.holds, 0)
  })

  it('fails with the error of the upload, and holds nothing', async () => {
    const node = new FakeNode()
    async function* broken() {
      yield bytesOf(300_000, 'b')
      throw new RangeError('the connection was closed')
    }
    const adding = addFiles({
      entries: upload([{ path: 'f', type: 'file', content: broken() }]),
      options,
      connector: node
    })
    await assert.rejects(adding.next(), { name: 'RangeError' })
    assert.equal(node.holds, 0)
  })

  it('finds a wrong option before it reads anything', async () => {
    let touched = false
    async function* entries() {
      touched = true
      yield file('a', 'a')
    }
    const adding = addFiles({ entries: entries(), options: { ...options, hash: 'md17' }, connector: new FakeNode() })
    await assert.rejects(adding.next(), { name: 'AddError', code: 'invalid-parameter' })
    assert.equal(touched, false)
  })

  it('holds nothing when the caller leaves early, and closes the upload', async () => {
    const node = new FakeNode()
    let closed = false
    async function* entries() {
      try {
        yield file('a', 'a')
        yield file('b', 'b')
      } finally {
        closed = true
      }
    }
    const adding = addFiles({ entries: entries(), options, connector: node })
    await adding.next()
    await adding.return({ root: '', release: () => undefined })
    assert.equal(closed, true)
    assert.equal(node.holds, 0)
  })

  it('ends with the signal', async () => {
    const given = new AbortController()
    async function* entries() {
      yield file('a', 'a')
      given.abort(new Error('the client has gone'))
      yield file('b', 'b')
    }
    const node = new FakeNode()
    const adding = addFiles({ entries: entries(), options, connector: node, signal: given.signal })
    await adding.next()
    await assert.rejects(adding.next(), /the client has gone/)
    assert.equal(node.holds, 0)
  })
})
