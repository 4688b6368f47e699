import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Pin, TrackerStatus } from '@quorate/client/api'
import type { TrackerConfig } from '../../src/tracker/operation.ts'
import { createTracker, type LocalPinTracker } from '../../src/tracker/tracker.ts'
import { collect, temporaryFolder, testCid, testPin } from '../state/fixtures.ts'
import { FakeClock, FakeIpfs, FakeLogger, FakePinset } from './fakes.ts'

const SELF = 'peerSelf'
const MINUTE = 60_000
const config: TrackerConfig = {
  concurrentPins: 10,
  priorityPinMaxAgeMs: 24 * 60 * MINUTE,
  priorityPinMaxRetries: 5,
  pinTimeoutMs: 2 * MINUTE,
  unpinTimeoutMs: 180 * MINUTE,
  recoverIntervalMs: 12 * MINUTE
}

/** A peer with a tracker that can be stopped and started again on the same disk. */
class Peer {
  readonly ipfs = new FakeIpfs()
  readonly pinset = new FakePinset()
  readonly clock = new FakeClock()
  readonly logger = new FakeLogger()
  readonly folder: string
  readonly config: TrackerConfig
  tracker!: LocalPinTracker

  private constructor(folder: string, config: TrackerConfig) {
    this.folder = folder
    this.config = config
    this.clock.settle = () => this.settle()
  }

  static async start(
    t: TestContext,
    changes: Partial<TrackerConfig> = {},
    prepare?: (peer: Peer) => void
  ): Promise<Peer> {
    // Hooks run in the order in which they are set: the tracker stops before its folder goes.
    let peer: Peer | undefined
    t.after(() => peer?.tracker.stop())
    peer = new Peer(await temporaryFolder(t), { ...config, ...changes })
    prepare?.(peer)
    await peer.start()
    return peer
  }

  async start(): Promise<void> {
    const { ipfs: connector, pinset, clock, logger, folder } = this
    this.tracker = createTracker(
      { peerId: SELF, peername: () => 'self', connector, pinset, clock, logger, folder, random: () => 0.5 },
      this.config
    )
    await this.tracker.start()
    await this.settle()
  }

  settle(): Promise<void> {
    return this.tracker.settled()
  }

  pin(number: number, changes: Partial<Pin> = {}): string {
    const pin = testPin(number, { timestampMs: this.clock.now(), ...changes })
    this.pinset.pins.set(pin.cid, pin)
    this.tracker.onChange({ type: 'pin', pin })
    return pin.cid
  }

  unpin(cid: string): void {
    const pin = this.pinset.pins.get(cid)
    assert.ok(pin)
    this.pinset.pins.delete(cid)
    this.tracker.onChange({ type: 'unpin', cid, pin })
  }

  async statusOf(cid: string): Promise<TrackerStatus> {
    return (await this.tracker.status(cid)).status
  }

  async all(...filter: TrackerStatus[]): Promise<Record<string, TrackerStatus>> {
    const infos = await collect(this.tracker.statusAll(filter.length === 0 ? undefined : new Set(filter)))
    return Object.fromEntries(infos.map((info) => [info.cid, info.status]))
  }
}

describe('the tracker', () => {
  it('pins what is allocated here or everywhere, and nothing else', async (t) => {
    const peer = await Peer.start(t)
    const everywhere = peer.pin(1)
    const here = peer.pin(2, { allocations: ['peerA', SELF] })
    const elsewhere = peer.pin(3, { allocations: ['peerA'] })
    const meta = peer.pin(4, { type: 'meta-pin' })
    const direct = peer.pin(5, { mode: 'direct', maxDepth: 0 })
    await peer.settle()
    assert.deepEqual(Object.fromEntries(peer.ipfs.pins), {
      [everywhere]: 'recursive',
      [here]: 'recursive',
      [direct]: 'direct'
    })
    const expected = {
      [everywhere]: 'pinned',
      [here]: 'pinned',
      [elsewhere]: 'remote',
      [meta]: 'sharded',
      [direct]: 'pinned'
    }
    assert.deepEqual(await peer.all(), expected)
    for (const [cid, status] of Object.entries(expected)) assert.equal(await peer.statusOf(cid), status)
    assert.equal(await peer.statusOf(testCid(99)), 'unpinned')
  })

  it('unpins what leaves the pinset, and what is allocated elsewhere from now on', async (t) => {
    const peer = await Peer.start(t)
    const removed = peer.pin(1)
    const moved = peer.pin(2)
    await peer.settle()
    peer.unpin(removed)
    peer.pin(2, { allocations: ['peerA'] })
    await peer.settle()
    assert.deepEqual(await peer.all(), { [moved]: 'remote' })
  })

  it('answers how a pin stands while more keep coming', async (t) => {
    const peer = await Peer.start(t)
    let number = 0
    const more = setInterval(() => peer.pin(++number), 1)
    t.after(() => clearInterval(more))
    for (let round = 0; round < 5; round++) {
      const cid = peer.pin(1000 + round)
      assert.notEqual(await peer.statusOf(cid), 'unexpectedly_unpinned')
    }
    clearInterval(more)
    await peer.settle()
    assert.deepEqual(new Set(Object.values(await peer.all())), new Set(['pinned']))
  })

  it('leaves alone what somebody else pinned at the node', async (t) => {
    const foreign = testCid(7)
    const peer = await Peer.start(t, {}, ({ ipfs }) => ipfs.pins.set(foreign, 'recursive'))
    const here = peer.pin(1)
    await peer.clock.advance(config.recoverIntervalMs + 1)
    peer.tracker.onChange({ type: 'restored' })
    await peer.settle()
    assert.deepEqual([...peer.ipfs.pins.keys()].sort(), [foreign, here].sort())
  })

  it('runs no more pins at a time than configured', async (t) => {
    const peer = await Peer.start(t, { concurrentPins: 3 })
    for (let number = 0; number < 8; number++) peer.ipfs.hangs.add(peer.pin(number))
    await peer.settle()
    assert.equal(peer.ipfs.mostAtOnce, 3)
    assert.equal(Object.values(await peer.all('pinning')).length, 3)
    assert.equal(Object.values(await peer.all('pin_queued')).length, 5)
    assert.equal(peer.tracker.queuedPinCount(), 8)
  })

  it('ends a pin that is unpinned while it is under way, and does not leave it behind', async (t) => {
    const peer = await Peer.start(t)
    const cid = testCid(1)
    peer.ipfs.hangs.add(cid)
    peer.pin(1)
    await peer.settle()
    peer.unpin(cid)
    await peer.settle()
    assert.deepEqual(await peer.all(), {})
    assert.equal(await peer.statusOf(cid), 'unpinned')
  })

  it('lets an attempt go on when the pin changes in name only', async (t) => {
    const peer = await Peer.start(t)
    const cid = testCid(1)
    peer.ipfs.hangs.add(cid)
    peer.pin(1)
    await peer.settle()
    peer.pin(1, { name: 'new name' })
    await peer.settle()
    assert.equal((await peer.tracker.status(cid)).name, 'new name')
    peer.ipfs.pending(cid)?.resolve()
    await peer.settle()
    assert.deepEqual(peer.ipfs.begun, [`pin ${cid}`])
    assert.equal(await peer.statusOf(cid), 'pinned')
  })
})

describe('content that nobody has', () => {
  it('does not hold up content that somebody has', async (t) => {
    const peer = await Peer.start(t)
    for (let number = 0; number < 200; number++) peer.ipfs.hangs.add(testCid(number))
    for (let number = 0; number < 200; number++) peer.pin(number)
    await peer.settle()
    const good = peer.pin(1000)
    // Two rounds of the grace: not the two minutes of the timeout, nor twenty rounds of the queue.
    await peer.clock.advance(11_000)
    assert.equal(await peer.statusOf(good), 'pinned')
    assert.equal(peer.ipfs.mostAtOnce, 10)
  })

  it('does not hold it up either after a restart, with an IPFS node that is only just starting', async (t) => {
    const peer = await Peer.start(t)
    for (let number = 0; number < 200; number++) peer.ipfs.hangs.add(peer.pin(number))
    await peer.settle()
    peer.ipfs.down = true
    await peer.clock.advance(1)
    const good = peer.pin(1000)
    await peer.settle()
    await peer.tracker.stop()
    await peer.start()
    peer.ipfs.down = false
    await peer.clock.advance(11_250)
    assert.equal(await peer.statusOf(good), 'pinned')
  })

  it('waits the whole timeout when nobody else wants the place, and then says why and when it is tried again', async (t) => {
    const peer = await Peer.start(t, { retryDelayMs: 40_000 })
    const cid = testCid(1)
    peer.ipfs.hangs.add(cid)
    peer.pin(1)
    await peer.settle()
    await peer.clock.advance(2 * MINUTE - 1000)
    assert.equal(await peer.statusOf(cid), 'pinning')
    await peer.clock.advance(1000)
    const info = await peer.tracker.status(cid)
    assert.equal(info.status, 'pin_error')
    assert.equal(info.attemptCount, 1)
    assert.equal(info.error, 'no progress for 2m: no provider found; attempt 1, next try in 40s')
    peer.ipfs.hangs.delete(cid)
    await peer.clock.advance(40_000)
    assert.equal(await peer.statusOf(cid), 'pinned')
  })

  it('waits without end when pin_timeout is 0', async (t) => {
    const peer = await Peer.start(t, { pinTimeoutMs: 0 })
    const cid = testCid(1)
    peer.ipfs.hangs.add(cid)
    peer.pin(1)
    await peer.settle()
    await peer.clock.advance(100 * MINUTE)
    assert.equal(await peer.statusOf(cid), 'pinning')
    assert.equal(peer.ipfs.begun.length, 1)
  })

  it('keeps a pin going for as long as it makes progress', async (t) => {
    const peer = await Peer.start(t, { concurrentPins: 1 })
    const slow = testCid(1)
    peer.ipfs.hangs.add(slow)
    peer.pin(1)
    await peer.settle()
    const waiting = peer.pin(2)
    for (let blocks = 1; blocks <= 30; blocks++) {
      await peer.clock.advance(4000)
      peer.ipfs.pending(slow)?.options.onProgress?.({ blocks, bytes: 0 })
    }
    assert.equal(await peer.statusOf(slow), 'pinning')
    assert.equal(await peer.statusOf(waiting), 'pin_queued')
    // The same figure again is no progress.
    for (let times = 0; times < 2; times++) {
      await peer.clock.advance(3000)
      peer.ipfs.pending(slow)?.options.onProgress?.({ blocks: 30, bytes: 0 })
    }
    assert.match(
      (await peer.tracker.status(slow)).error,
      /^no progress for 5s: 30 blocks were fetched before, and other pins waited; attempt 1/
    )
    assert.equal(await peer.statusOf(waiting), 'pinned')
  })

  it('is tried again at growing intervals, never beyond the recover interval', async (t) => {
    const peer = await Peer.start(t)
    const cid = testCid(1)
    peer.ipfs.failsToPin.set(cid, 'merkledag: not found')
    peer.pin(1)
    await peer.settle()
    const waits: number[] = []
    for (let attempt = 1; attempt <= 10; attempt++) {
      const before = peer.ipfs.begun.length
      const startMs = peer.clock.now()
      await peer.clock.advanceUntil(() => peer.ipfs.begun.length > before)
      waits.push(Math.round((peer.clock.now() - startMs) / 1000))
    }
    assert.deepEqual(waits, [5, 10, 20, 40, 80, 160, 320, 640, 720, 720])
    assert.equal((await peer.tracker.status(cid)).priorityPin, false)
  })
})

describe('an unpin that fails', () => {
  it('is shown, and tried again until it is done, also after a restart', async (t) => {
    const peer = await Peer.start(t)
    const cid = peer.pin(1)
    await peer.settle()
    peer.ipfs.failsToUnpin.set(cid, 'repo is locked')
    peer.unpin(cid)
    await peer.settle()
    assert.deepEqual(await peer.all(), { [cid]: 'unpin_error' })
    assert.deepEqual(await peer.all('unpin_error', 'pinned'), { [cid]: 'unpin_error' })
    assert.match((await peer.tracker.status(cid)).error, /^repo is locked; attempt 1, next try in 5s/)
    await peer.tracker.stop()
    await peer.start()
    assert.deepEqual(await peer.all(), { [cid]: 'unpin_error' })
    peer.ipfs.failsToUnpin.clear()
    await peer.clock.advance(5000)
    assert.equal(peer.ipfs.pins.size, 0)
    assert.deepEqual(await peer.all(), {})
  })

  it('is given up when the content is pinned again', async (t) => {
    const peer = await Peer.start(t)
    const cid = peer.pin(1)
    await peer.settle()
    peer.ipfs.failsToUnpin.set(cid, 'repo is locked')
    peer.unpin(cid)
    await peer.settle()
    peer.pin(1)
    await peer.settle()
    assert.equal(await peer.statusOf(cid), 'pinned')
    peer.ipfs.failsToUnpin.clear()
    await peer.clock.advance(20 * MINUTE)
    assert.equal(await peer.statusOf(cid), 'pinned')
  })
})

describe('a tracker that was stopped', () => {
  it('goes on with its queue, attempts and reasons', async (t) => {
    const peer = await Peer.start(t, { concurrentPins: 1 })
    const failed = testCid(1)
    peer.ipfs.failsToPin.set(failed, 'corrupt block')
    peer.pin(1)
    await peer.settle()
    const hanging = testCid(2)
    peer.ipfs.hangs.add(hanging)
    peer.pin(2)
    await peer.settle()
    const queued = peer.pin(3)
    await peer.settle()
    await peer.tracker.stop()
    assert.equal(peer.ipfs.calls.length, 0)
    await peer.start()
    const info = await peer.tracker.status(failed)
    assert.equal(info.attemptCount, 1)
    assert.match(info.error, /^corrupt block; attempt 1/)
    peer.ipfs.hangs.clear()
    peer.ipfs.pending(hanging)?.resolve()
    peer.ipfs.failsToPin.clear()
    await peer.clock.advance(5000)
    assert.deepEqual(await peer.all(), { [failed]: 'pinned', [hanging]: 'pinned', [queued]: 'pinned' })
  })

  it('finds out what it missed: pins, unpins and pins that the node lost', async (t) => {
    const peer = await Peer.start(t)
    const [kept, removed, lost] = [peer.pin(1), peer.pin(2), peer.pin(3)]
    await peer.settle()
    await peer.tracker.stop()
    peer.pinset.pins.delete(removed)
    const added = testPin(4)
    peer.pinset.pins.set(added.cid, added)
    peer.ipfs.pins.delete(lost)
    await peer.start()
    await peer.settle()
    assert.deepEqual(new Set(peer.ipfs.pins.keys()), new Set([kept, lost, added.cid]))
    assert.ok(peer.logger.lines.includes('info the pinset and the IPFS node differ: queued what is missing'))
  })

  it('keeps its order and its counts after a crash', async (t) => {
    const peer = await Peer.start(t, { concurrentPins: 1 })
    for (let number = 0; number < 20; number++) peer.ipfs.hangs.add(peer.pin(number))
    await peer.settle()
    // Closed without the note that all is in order.
    await peer.tracker.stop()
    const { openLevelStore } = await import('../../src/state/level-store.ts')
    const store = await openLevelStore(peer.folder)
    await store.db.del('/m/clean')
    await store.db.clear({ gte: '/s/fresh', lt: '/s0', limit: 7 })
    await store.close()
    await peer.start()
    assert.equal(peer.tracker.queuedPinCount(), 20)
    peer.ipfs.hangs.clear()
    for (const call of [...peer.ipfs.calls]) call.resolve()
    await peer.settle()
    assert.equal(peer.tracker.queuedPinCount(), 0)
  })
})

describe('a state that was replaced', () => {
  it('has the pins of before unpinned and the new ones pinned', async (t) => {
    const peer = await Peer.start(t)
    const old = peer.pin(1)
    const both = peer.pin(2)
    await peer.settle()
    peer.pinset.pins.delete(old)
    const fresh = testPin(3)
    peer.pinset.pins.set(fresh.cid, fresh)
    peer.tracker.onChange({ type: 'restored' })
    await peer.settle()
    assert.deepEqual(await peer.all(), { [both]: 'pinned', [fresh.cid]: 'pinned' })
  })
})

describe('an IPFS node that cannot be reached', () => {
  it('costs no attempt, is said once, and is found again', async (t) => {
    const peer = await Peer.start(t)
    const before = peer.pin(1)
    await peer.settle()
    peer.ipfs.down = true
    const cids = [2, 3, 4].map((number) => peer.pin(number))
    await peer.settle()
    await peer.clock.advance(10 * MINUTE)
    const info = await peer.tracker.status(cids[0] ?? '')
    assert.equal(info.status, 'pin_queued')
    assert.equal(info.attemptCount, 0)
    assert.equal(info.error, 'waits for the IPFS node, which cannot be reached: connection refused')
    assert.equal(await peer.statusOf(before), 'cluster_error')
    assert.equal(peer.logger.lines.filter((line) => line.startsWith('warn')).length, 1)
    peer.ipfs.down = false
    await peer.clock.advance(11_000)
    assert.deepEqual(new Set(Object.values(await peer.all())), new Set(['pinned']))
    assert.equal(peer.logger.lines.filter((line) => line === 'info the IPFS node can be reached again').length, 1)
  })
})

describe('an IPFS node that is only just starting', () => {
  it('is waited for without a word', async (t) => {
    const peer = await Peer.start(t, {}, ({ ipfs }) => {
      ipfs.down = true
    })
    const cid = peer.pin(1)
    await peer.settle()
    peer.ipfs.down = false
    await peer.clock.advance(250)
    assert.equal(await peer.statusOf(cid), 'pinned')
    assert.deepEqual(peer.logger.lines, [])
  })
})

describe('recover', () => {
  it('tries again at once what failed or is missing', async (t) => {
    const peer = await Peer.start(t)
    const failed = testCid(1)
    peer.ipfs.failsToPin.set(failed, 'corrupt block')
    peer.pin(1)
    const missing = peer.pin(2)
    const fine = peer.pin(3)
    await peer.settle()
    peer.ipfs.pins.delete(missing)
    assert.deepEqual(await peer.all(), { [failed]: 'pin_error', [missing]: 'unexpectedly_unpinned', [fine]: 'pinned' })
    assert.deepEqual(await peer.all('unexpectedly_unpinned'), { [missing]: 'unexpectedly_unpinned' })
    peer.ipfs.failsToPin.clear()
    const acted = await collect(peer.tracker.recoverAll())
    assert.deepEqual(new Set(acted.map((info) => info.cid)), new Set([failed, missing]))
    await peer.settle()
    assert.deepEqual(new Set(Object.values(await peer.all())), new Set(['pinned']))
    assert.equal((await peer.tracker.recover(fine)).status, 'pinned')
    await assert.rejects(peer.tracker.recover(testCid(50)), { name: 'PinNotFoundError' })
  })
})
