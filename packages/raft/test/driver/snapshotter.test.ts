import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import type { LogBase } from '../../src/core/types.ts'
import { Snapshotter } from '../../src/driver/snapshotter.ts'
import type { SnapshotManifest, Transport } from '../../src/ports.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MemoryDisk, MemorySnapshots } from '../support/memory-storage.ts'
import { RegisterMachine } from '../support/register-machine.ts'
import { until } from '../support/until.ts'

const base: LogBase = { index: 9, term: 2, chain: 7, config: { voters: ['a', 'b'], outgoing: [], learners: [] } }
const chunkOf = (n: number): Uint8Array => Buffer.from(`chunk ${n}`)

const manifestOf = (count: number): SnapshotManifest => {
  const chunks = Array.from({ length: count }, (_, n) => ({ bytes: chunkOf(n).length, crc32: crc32(chunkOf(n)) }))
  return { version: 1, id: 's', base, chunks, totalBytes: chunks.reduce((sum, { bytes }) => sum + bytes, 0) }
}

/** Fetches a snapshot of so many chunks from `a`, whose answers the test lets go one at a time. */
function start(count: number) {
  const clock = new ManualClock()
  const disk = new MemoryDisk()
  const open = new Map<number, () => void>()
  let most = 0
  const transport = {
    fetchManifest: async () => manifestOf(count),
    fetchChunk: (_from: string, _id: string, chunk: number, signal: AbortSignal) =>
      new Promise<Uint8Array>((resolve, reject) => {
        signal.throwIfAborted()
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        open.set(chunk, () => {
          open.delete(chunk)
          resolve(chunkOf(chunk))
        })
        most = Math.max(most, open.size)
      })
  } as unknown as Transport
  const snapshotter = new Snapshotter({
    store: new MemorySnapshots(disk),
    transport,
    stateMachine: new RegisterMachine(),
    clock,
    logger: undefined,
    exclusive: (task) => task(),
    baseAt: () => undefined
  })
  const fetched = snapshotter.fetch('a', base)
  fetched.catch(() => {})
  return { clock, disk, open, snapshotter, fetched, most: () => most }
}

/** Offers snapshots of a state that the test moves on. */
function offering() {
  const clock = new ManualClock()
  const state = { index: 10, made: 0, takesMs: 0, failure: undefined as Error | undefined }
  const snapshotter = new Snapshotter({
    store: new MemorySnapshots(new MemoryDisk()),
    transport: {} as Transport,
    stateMachine: {
      async snapshot() {
        state.made++
        clock.jump(state.takesMs)
        if (state.failure !== undefined) throw state.failure
        return { index: state.index, async *chunks() {}, async close() {} }
      }
    },
    clock,
    logger: undefined,
    exclusive: (task) => task(),
    baseAt: (index) => ({ ...base, index })
  })
  return { clock, state, snapshotter }
}

describe('Snapshotter', () => {
  it('makes one for peers that ask for more and more only now and then, and gives what is there meanwhile', async () => {
    const { clock, state, snapshotter } = offering()
    assert.equal((await snapshotter.offerPast(10)).index, 10)
    for (state.index = 20; state.index < 30; state.index++) {
      await assert.rejects(snapshotter.offerPast(state.index), {
        name: 'SnapshotTransferError',
        message: /a moment ago/
      })
      assert.equal((await snapshotter.offerPast(10)).index, 10)
    }
    assert.equal(state.made, 1)
    clock.jump(1000)
    const shared = await Promise.all([snapshotter.offerPast(20), snapshotter.offerPast(30), snapshotter.offer()])
    assert.deepEqual(
      shared.map(({ index }) => index),
      [30, 30, 30]
    )
    assert.equal(state.made, 2)
  })

  it('rests the longer, the longer it took to make one, and after one that could not be made too', async () => {
    const { clock, state, snapshotter } = offering()
    state.takesMs = 2000
    state.failure = new Error('ENOSPC')
    await assert.rejects(snapshotter.offerPast(10), /ENOSPC/)
    clock.jump(7999)
    await assert.rejects(snapshotter.offerPast(10), /a moment ago/)
    assert.equal(state.made, 1)
    state.failure = undefined
    clock.jump(1)
    assert.equal((await snapshotter.offerPast(10)).index, 10)
  })

  it('makes what the core asks for at any time', async () => {
    const { state, snapshotter } = offering()
    state.failure = new Error('ENOSPC')
    await assert.rejects(snapshotter.offerPast(10), /ENOSPC/)
    state.failure = undefined
    assert.equal((await snapshotter.offer()).index, 10)
  })

  it('has few chunks under way, however small they are, so that the transport refuses none', async () => {
    const { open, fetched, most } = start(100)
    for (let chunk = 0; chunk < 100; chunk++) {
      await until(`chunk ${chunk} is asked for`, () => open.has(chunk))
      open.get(chunk)!()
    }
    assert.equal((await fetched).chunks.length, 100)
    assert.equal(most(), 8)
  })

  it('ends a transfer whose source is lost, at once, and goes on from there with the next', async () => {
    const { disk, open, snapshotter, fetched } = start(20)
    await until('the first chunk is asked for', () => open.has(0))
    open.get(0)!()
    await until('the next one is asked for', () => open.has(8))
    snapshotter.peerLost('b')
    snapshotter.peerLost('a')
    await assert.rejects(fetched, { name: 'SnapshotTransferError', message: /link to a broke/ })
    assert.equal(disk.parts.get('s')?.length, 1)
  })

  it('lets a source that leads no more go on as long as it sends', async () => {
    const { clock, open, snapshotter, fetched } = start(20)
    await until('the first chunk is asked for', () => open.has(0))
    clock.jump(60_000)
    snapshotter.leaderIs('b')
    clock.jump(1900)
    open.get(0)!()
    await until('the chunk is there', () => open.has(8))
    clock.jump(200)
    assert.ok(open.has(1))
    clock.jump(2000)
    await assert.rejects(fetched, { name: 'SnapshotTransferError', message: /a leads no more/ })
  })

  it('does not watch a source that leads again', async () => {
    const { clock, open, snapshotter, fetched } = start(2)
    await until('both chunks are asked for', () => open.size === 2)
    snapshotter.leaderIs('b')
    snapshotter.leaderIs('a')
    clock.jump(60_000)
    open.get(0)!()
    open.get(1)!()
    assert.equal((await fetched).id, 's')
  })
})
