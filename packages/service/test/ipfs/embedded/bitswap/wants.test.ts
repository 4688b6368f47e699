/** Whom a block is asked of, with peers that only note what they are asked, and a clock that the test moves. */

import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { CID } from 'multiformats/cid'
import { blockKey } from '../../../../src/ipfs/cids.ts'
import { WANT_BLOCK } from '../../../../src/ipfs/embedded/bitswap/message.ts'
import type { PeerLink } from '../../../../src/ipfs/embedded/bitswap/peer-link.ts'
import { Session, Wants } from '../../../../src/ipfs/embedded/bitswap/wants.ts'
import { randomBlock } from '../../blocks.ts'

class FakePeer {
  outstanding = 0
  heardAtMs = 0
  asked: string[] = []

  want(_key: string, _cid: Uint8Array, type: number): void {
    this.asked.push(type === WANT_BLOCK ? 'block' : 'have')
  }

  cancel(): void {
    this.asked.push('cancel')
  }

  get link(): PeerLink {
    return this as unknown as PeerLink
  }
}

describe('Wants', () => {
  let a: FakePeer
  let b: FakePeer
  let nowMs: number
  let starved: number
  let wants: Wants
  let session: Session
  let cid: CID
  const bytes = Uint8Array.of(1)
  const never = new AbortController().signal

  beforeEach(() => {
    a = new FakePeer()
    b = new FakePeer()
    nowMs = 0
    starved = 0
    session = new Session()
    cid = CID.parse(randomBlock().cid)
    wants = new Wants({
      peers: () => [a.link, b.link],
      onStarved: () => {
        starved++
      },
      nowMs: () => nowMs
    })
  })

  it('asks all peers whether they have the first block, and one of those that do for it', async () => {
    const wanted = wants.want(cid, session, never)
    assert.deepEqual([a.asked, b.asked, starved], [['have'], ['have'], 1])
    wants.hasBlock(blockKey(cid), b.link)
    wants.hasBlock(blockKey(cid), a.link)
    assert.deepEqual([a.asked, b.asked], [['have'], ['have', 'block']])
    assert.ok(wants.received(blockKey(cid), bytes, b.link))
    assert.equal(await wanted, bytes)
    assert.deepEqual(
      [a.asked, b.asked],
      [
        ['have', 'cancel'],
        ['have', 'block']
      ]
    )
    assert.equal(b.outstanding, 0)
    assert.equal(wants.size, 0)
  })

  it('asks a peer that gave one block for the next ones at once, and nobody else', () => {
    session.peers.set(b.link, 0)
    void wants.want(cid, session, never)
    assert.deepEqual([a.asked, b.asked], [[], ['block']])
  })

  it('spreads blocks over the peers of a session', () => {
    session.peers.set(a.link, 0)
    session.peers.set(b.link, 0)
    for (let i = 0; i < 10; i++) void wants.want(CID.parse(randomBlock().cid), session, never)
    assert.deepEqual([a.outstanding, b.outstanding], [5, 5])
  })

  it('asks everybody when the session lacks a block, and passes over who said so', () => {
    session.peers.set(a.link, 0)
    void wants.want(cid, session, never)
    wants.lacksBlock(blockKey(cid), a.link)
    assert.deepEqual([a.asked, b.asked], [['block'], ['have']])
    wants.hasBlock(blockKey(cid), b.link)
    assert.deepEqual(b.asked, ['have', 'block'])
    assert.equal(a.outstanding, 0)
  })

  it('turns to another peer when the one that was asked is silent', () => {
    session.peers.set(a.link, 0)
    void wants.want(cid, session, never)
    nowMs = 600
    wants.tick()
    assert.deepEqual(b.asked, ['have'])
    wants.hasBlock(blockKey(cid), b.link)
    assert.deepEqual(b.asked, ['have'])
    nowMs = 5700
    wants.tick()
    assert.deepEqual(b.asked, ['have', 'block'])
    assert.equal(a.outstanding, 0)
  })

  it('is patient with a peer that is slow but not silent, up to a point', () => {
    session.peers.set(a.link, 0)
    void wants.want(cid, session, never)
    wants.hasBlock(blockKey(cid), b.link)
    for (nowMs = 1000; nowMs < 30_000; nowMs += 1000) {
      a.heardAtMs = nowMs
      wants.tick()
      assert.ok(!b.asked.includes('block'))
    }
    wants.tick()
    assert.ok(b.asked.includes('block'))
  })

  it('asks again after ten seconds, since peers may have the block by then, and looks for more of them', () => {
    void wants.want(cid, session, never)
    wants.lacksBlock(blockKey(cid), a.link)
    wants.lacksBlock(blockKey(cid), b.link)
    nowMs = 9_999
    wants.tick()
    assert.deepEqual([a.asked, starved], [['have'], 1])
    nowMs = 10_000
    wants.tick()
    assert.deepEqual([a.asked, b.asked, starved], [['have', 'have'], ['have', 'have'], 2])
  })

  it('asks a new peer for what nobody has', () => {
    void wants.want(cid, session, never)
    const c = new FakePeer()
    wants.connected(c.link)
    assert.deepEqual(c.asked, ['have'])
  })

  it('asks others when a peer is lost', () => {
    session.peers.set(a.link, 0)
    session.peers.set(b.link, 0)
    void wants.want(cid, session, never)
    const [holder, other] = a.asked.length > 0 ? [a, b] : [b, a]
    wants.lost(holder.link)
    assert.deepEqual(other.asked, ['block'])
    assert.equal(holder.outstanding, 0)
  })

  it('goes on for one waiter when another gives up, and tells the peers when the last one does', async () => {
    const first = new AbortController()
    const second = new AbortController()
    const one = wants.want(cid, session, first.signal)
    const two = wants.want(cid, session, second.signal)
    first.abort(new Error('first'))
    await assert.rejects(one, /first/)
    assert.deepEqual(a.asked, ['have'])
    second.abort(new Error('second'))
    await assert.rejects(two, /second/)
    assert.deepEqual(a.asked, ['have', 'cancel'])
    assert.equal(wants.size, 0)
  })

  it('takes up a want again that was given up a moment ago', async () => {
    const given = new AbortController()
    const one = wants.want(cid, session, given.signal)
    given.abort(new Error('given up'))
    await assert.rejects(one)
    const two = wants.want(cid, session, never)
    assert.deepEqual(a.asked, ['have', 'cancel', 'have'])
    wants.received(blockKey(cid), bytes, a.link)
    assert.equal(await two, bytes)
  })
})
