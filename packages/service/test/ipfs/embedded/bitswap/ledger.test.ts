/** What a peer gets of what it asks for, and how much memory its asking takes. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CID } from 'multiformats/cid'
import { blockKey } from '../../../../src/ipfs/cids.ts'
import { Ledger } from '../../../../src/ipfs/embedded/bitswap/ledger.ts'
import {
  DONT_HAVE,
  HAVE,
  WANT_BLOCK,
  WANT_HAVE,
  type WantEntry
} from '../../../../src/ipfs/embedded/bitswap/message.ts'
import type { IpfsBlock } from '../../../../src/ports.ts'
import { randomBlock } from '../../blocks.ts'

function ledgerOf(blocks: readonly IpfsBlock[]) {
  const here = new Map(blocks.map(({ cid, bytes }) => [blockKey(CID.parse(cid)), bytes]))
  const ledger = new Ledger({ size: (cid) => here.get(blockKey(cid))?.length, get: (cid) => here.get(blockKey(cid)) })
  return { ledger, here }
}

const want = ({ cid }: IpfsBlock, wantType: 0 | 1 = WANT_BLOCK, more: Partial<WantEntry> = {}): WantEntry => ({
  cid: CID.parse(cid).bytes,
  cancel: false,
  wantType,
  sendDontHave: true,
  ...more
})

describe('Ledger', () => {
  const small = randomBlock(10)
  const large = randomBlock(5000)

  it('answers a want for a block with the block', () => {
    const { ledger } = ledgerOf([large])
    ledger.receive([want(large)], false)
    const { blocks, presences } = ledger.take()
    assert.deepEqual(blocks[0]?.data, large.bytes)
    assert.deepEqual([...(blocks[0]?.prefix ?? [])], [1, 0x55, 0x12, 32])
    assert.deepEqual(presences, [])
    assert.equal(ledger.hasWork, false)
  })

  it('says that it has a large block, and sends a small one straight away', () => {
    const { ledger } = ledgerOf([small, large])
    ledger.receive([want(small, WANT_HAVE), want(large, WANT_HAVE)], false)
    const { blocks, presences } = ledger.take()
    assert.deepEqual(
      blocks.map(({ data }) => data),
      [small.bytes]
    )
    assert.deepEqual(
      presences.map(({ type }) => type),
      [HAVE]
    )
  })

  it('says what it lacks only to who wants to know', () => {
    const { ledger } = ledgerOf([])
    ledger.receive([want(small), want(large, WANT_BLOCK, { sendDontHave: false })], false)
    assert.deepEqual(
      ledger.take().presences.map(({ type }) => type),
      [DONT_HAVE]
    )
  })

  it('sends a block that arrives after it was asked for, once', () => {
    const { ledger, here } = ledgerOf([])
    ledger.receive([want(large)], false)
    ledger.take()
    const key = blockKey(CID.parse(large.cid))
    here.set(key, large.bytes)
    assert.equal(ledger.notify(key), true)
    assert.deepEqual(ledger.take().blocks[0]?.data, large.bytes)
    assert.equal(ledger.notify(key), false)
  })

  it('forgets what is cancelled, and everything at a full list', () => {
    const { ledger } = ledgerOf([small, large])
    ledger.receive([want(small), want(large)], false)
    ledger.receive([want(small, WANT_BLOCK, { cancel: true })], false)
    assert.equal(ledger.take().blocks.length, 1)
    ledger.receive([want(small)], false)
    ledger.receive([], true)
    assert.equal(ledger.hasWork, false)
  })

  it('reads no more blocks at a time than a message takes', () => {
    const blocks = Array.from({ length: 20 }, () => randomBlock(200_000))
    const { ledger } = ledgerOf(blocks)
    ledger.receive(
      blocks.map((block) => want(block)),
      false
    )
    const taken: number[] = []
    while (ledger.hasWork) taken.push(ledger.take().blocks.length)
    assert.deepEqual(taken, [3, 3, 3, 3, 3, 3, 2])
  })

  it('remembers a bounded number of wants', () => {
    const { ledger } = ledgerOf([])
    const wants = Array.from({ length: 3000 }, () => randomBlock())
    ledger.receive(
      wants.map((block) => want(block, WANT_BLOCK, { sendDontHave: false })),
      false
    )
    ledger.take()
    const remembered = wants.filter(({ cid }) => ledger.notify(blockKey(CID.parse(cid))))
    assert.equal(remembered.length, 1024)
  })

  it('passes over what is not a CID', () => {
    const { ledger } = ledgerOf([small])
    ledger.receive(
      [{ ...want(small), cid: Uint8Array.of(1, 2) }, { ...want(small), cid: new Uint8Array(10_000) }, want(small)],
      false
    )
    assert.equal(ledger.take().blocks.length, 1)
  })
})
