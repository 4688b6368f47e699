/** What a node counts of itself: over hooks that are called by hand where time matters, else in a group that works. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CoreStatus, Entry } from '../../src/core/types.ts'
import { Meter, type RaftMetrics } from '../../src/driver/metrics.ts'
import type { Clock, PersistBatch } from '../../src/ports.ts'
import { Group } from '../support/group.ts'
import { until } from '../support/until.ts'

const entryAt = (index: number): Entry => ({ index, term: 1, kind: 1, chain: 0, record: new Uint8Array(100) })
const batchOf = (from: number, to: number): PersistBatch => ({
  hardState: undefined,
  truncateFrom: undefined,
  entries: Array.from({ length: to - from + 1 }, (_, at) => entryAt(from + at))
})

/** A clock that says what it is told to. */
class FixedClock implements Clock {
  ms = 0
  now(): number {
    return this.ms
  }
  after(): () => void {
    throw new Error('not used')
  }
  soon(): void {
    throw new Error('not used')
  }
}

const statusOf = (more: Partial<CoreStatus>): CoreStatus =>
  ({
    role: 'follower',
    term: 1,
    baseIndex: 0,
    lastIndex: 0,
    commitIndex: 0,
    appliedIndex: 0,
    peers: [],
    ...more
  }) as CoreStatus

describe('the meter', () => {
  it('measures writes, and how long one has been under way', async () => {
    const clock = new FixedClock()
    const meter = new Meter(0, 0)
    const gate = Promise.withResolvers<void>()
    const storage = meter.meterWrites({ persist: () => gate.promise }, clock)
    const writing = storage.persist(batchOf(1, 3))
    assert.equal(meter.snapshot(statusOf({}), 40).persistAgeMs, 40)
    clock.ms = 50
    gate.resolve()
    await writing
    const { persistAgeMs, persistBytes, persistLatency, persistEntries } = meter.snapshot(statusOf({}), 60)
    assert.deepEqual([persistAgeMs, persistBytes], [0, 300])
    assert.deepEqual([persistLatency.sum, persistLatency.count, persistEntries.sum], [50, 1, 3])
  })

  it('keeps the age of a write that never ends', async () => {
    const meter = new Meter(0, 0)
    const failing = meter.meterWrites({ persist: () => Promise.reject(new Error('no disk')) }, new FixedClock())
    await assert.rejects(failing.persist(batchOf(1, 1)), /no disk/)
    assert.equal(meter.snapshot(statusOf({}), 70).persistAgeMs, 70)
    assert.equal(meter.snapshot(statusOf({}), 70).persistLatency.count, 0)
  })

  it('knows roughly how old the oldest entry is, for long, and after a cut and a compaction', async () => {
    const clock = new FixedClock()
    const meter = new Meter(0, 10)
    const storage = meter.meterWrites({ persist: async () => undefined }, clock)
    const ageAt = (baseIndex: number, lastIndex: number): number =>
      meter.snapshot(statusOf({ baseIndex, lastIndex }), clock.ms).oldestEntryAgeMs
    clock.ms = 5_000
    assert.equal(ageAt(10, 10), 0, 'there is none')
    assert.equal(ageAt(4, 10), 5_000, 'since the start at least')
    // A day of one entry a second.
    for (let index = 11; index <= 86_410; index++) {
      clock.ms += 1_000
      await storage.persist(batchOf(index, index))
    }
    for (const base of [50, 5_000, 60_000, 86_000]) {
      const exact = (86_410 - base - 1) * 1_000
      const known = ageAt(base, 86_410)
      assert.ok(known <= exact && known >= exact - 1_000_000, `${known} ms are known of ${exact}`)
    }
    clock.ms += 3_600_000
    await storage.persist(batchOf(86_002, 86_002))
    assert.equal(ageAt(86_001, 86_002), 0, 'what was there before it was cut is not counted')
  })

  it('counts ticks by how late they come', () => {
    const meter = new Meter(0, 0)
    for (const atMs of [100, 125, 350]) meter.onTick(atMs, 25)
    const { tickDelay } = meter.snapshot(statusOf({}), 0)
    assert.deepEqual([tickDelay.count, tickDelay.sum], [2, 200])
  })

  it('tells elections apart from changes of the leader', () => {
    const meter = new Meter(0, 0)
    const role = (role: CoreStatus['role'], leader?: string): void =>
      meter.onRole({ type: 'role-changed', role, term: 1, leader })
    role('follower', 'b')
    role('pre-candidate')
    role('candidate')
    role('leader', 'a')
    role('follower')
    role('follower', 'b')
    const { elections, roleChanges } = meter.snapshot(statusOf({}), 0)
    assert.deepEqual([elections, roleChanges], [{ started: 1, won: 1 }, 4])
  })

  it('does not tell apart more alarms than there are', () => {
    const meter = new Meter(0, 0)
    for (let i = 0; i < 200; i++) meter.onAlarm(`code-${i}`)
    meter.onAlarm('code-1')
    const { alarms } = meter.snapshot(statusOf({}), 0)
    assert.equal(Object.keys(alarms).length, 65)
    assert.deepEqual([alarms['code-1'], alarms.other], [2, 136])
  })
})

describe('the metrics of a group', () => {
  it('add up to what it did', async () => {
    await using group = await Group.start(['a', 'b', 'c'])
    const leader = await group.leader()
    const before = leader.raft.metrics()
    assert.equal(before.elections.won, 1)
    for (let i = 0; i < 5; i++) await leader.raft.propose(Buffer.from('one'))
    await leader.raft.proposeMany([Buffer.from('x'), Buffer.from('y')])
    await leader.raft.readBarrier()
    const follower = [...group.members.values()].find(({ id }) => id !== leader.id)!
    await assert.rejects(follower.raft.propose(Buffer.from('z')), { name: 'NotLeaderError' })
    await until('the followers have it all', () =>
      leader.raft.metrics().followers.every(({ lagEntries, inflightMessages }) => lagEntries + inflightMessages === 0)
    )
    const metrics = leader.raft.metrics()
    const added = (pick: (metrics: RaftMetrics) => number): number => pick(metrics) - pick(before)
    assert.equal(metrics.role, 'leader')
    assert.equal(
      added(({ proposals }) => proposals.accepted),
      7
    )
    assert.equal(
      added(({ commitLatency }) => commitLatency.count),
      6,
      'calls, not commands'
    )
    assert.equal(
      added(({ commitIndex }) => commitIndex),
      7
    )
    assert.equal(
      added(({ persistEntries }) => persistEntries.sum),
      7
    )
    assert.equal(
      added(({ persistBytes }) => persistBytes),
      added(({ logBytes }) => logBytes)
    )
    assert.equal(
      added(({ logEntries }) => logEntries),
      7
    )
    assert.equal(
      added(({ reads }) => reads),
      1
    )
    assert.ok(added(({ readLatency }) => readLatency.count) === 1)
    assert.ok(added(({ applyLatency }) => applyLatency.count) >= 1)
    assert.equal(metrics.followers.length, 2)
    const theirs = follower.raft.metrics()
    assert.deepEqual(theirs.proposals, { accepted: 0, refused: { 'not-leader': 1 } })
    assert.deepEqual(theirs.followers, [])
    const answers = theirs.sent['append-entries-response'].count
    assert.ok(answers > 0 && theirs.received['append-entries-request'].count >= answers)
    const sentBytes = added(({ sent }) => sent['append-entries-request'].bytes)
    assert.ok(sentBytes >= 2 * added(({ logBytes }) => logBytes), 'each follower was sent all of it')
  })

  it('tell of snapshots, on both sides', async () => {
    await using group = await Group.start(['a', 'b', 'c'], { trailingEntries: 5, maxLogBytes: 2000 })
    const leader = await group.leader()
    const away = [...group.members.values()].find(({ id }) => id !== leader.id)!
    await away.raft.close()
    for (let i = 0; i < 50; i++) await leader.raft.propose(Buffer.from(`command ${i}`.padEnd(200, '.')))
    await leader.raft.checkpoint()
    await until('the log is shorter', () => leader.raft.metrics().compactions > 0)
    await group.open(away.id)
    await until(
      'it has the state',
      () => away.machine.applied.length >= 50 || away.raft.metrics().snapshots.installed > 0
    )
    await until('the leader has sent it', () => leader.raft.metrics().snapshots.sentBytes > 0)
    const received = away.raft.metrics().snapshots
    assert.ok(received.installed >= 1 && received.receivedBytes > 0)
    assert.ok(leader.raft.metrics().snapshots.offered >= 1)
  })
})
