/**
 * What every `LogStorage` has to do, as a suite that is run on each of them: the one on disk, on the real file system and on
 * the one that forgets, and any twin of it.
 */

import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { payloadOf } from '../../src/core/record.ts'
import type { Entry } from '../../src/core/types.ts'
import type { LogStorage, PersistBatch } from '../../src/ports.ts'
import { after, baseAt, carryOut, drawStep, emptyState, entriesAfter, type LogState, pictureOf } from './log-model.ts'
import { randomFrom } from './random.ts'

/** One place where a log can be kept. */
export interface LogPlace {
  /** A new handle on the same place, as after a restart. */
  open(): LogStorage
  dispose(): Promise<void>
}

const text = (...words: string[]): Uint8Array[] => words.map((word) => Buffer.from(word))
const append = (entries: readonly Entry[], truncateFrom?: number): PersistBatch => ({
  hardState: undefined,
  truncateFrom,
  entries
})

/** @param create - makes an empty place */
export function logStorageSuite(name: string, create: () => Promise<LogPlace>): void {
  describe(`${name} as a log storage`, () => {
    let place: LogPlace
    let log: LogStorage
    let state: LogState

    const take = async (step: Parameters<typeof carryOut>[1]): Promise<void> => {
      await carryOut(log, step)
      state = after(state, step)
    }
    const persist = (batch: PersistBatch): Promise<void> => take({ type: 'persist', ...batch })
    const reopens = async (): Promise<void> => {
      await log.close()
      log = place.open()
      const loaded = await log.load()
      assert.deepEqual(loaded.faults, [])
      assert.equal(pictureOf(loaded), pictureOf(state))
    }

    beforeEach(async () => {
      place = await create()
      log = place.open()
      state = emptyState
      await log.load()
    })
    afterEach(async () => {
      await log.close()
      await place.dispose()
    })

    it('is empty at first, and again after a restart without a write', async () => {
      await reopens()
      await reopens()
    })

    it('keeps votedFor across a restart', async () => {
      await persist({ hardState: { term: 7, votedFor: '12D3KooWQnRm' }, truncateFrom: undefined, entries: [] })
      await reopens()
      await persist({ hardState: { term: 8, votedFor: undefined }, truncateFrom: undefined, entries: [] })
      await reopens()
    })

    it('keeps entries, with the bytes of their records', async () => {
      const entries = entriesAfter(state, 0, 3, [...text('', 'a', 'bc'), new Uint8Array(200_000).fill(9)])
      await persist({ hardState: { term: 3, votedFor: 'a' }, truncateFrom: undefined, entries })
      await reopens()
      await log.close()
      log = place.open()
      const loaded = await log.load()
      assert.deepEqual(
        loaded.entries.map(payloadOf).map((bytes) => bytes.length),
        [0, 1, 2, 200_000]
      )
    })

    it('continues after a restart', async () => {
      for (let n = 0; n < 5; n++) {
        await persist(append(entriesAfter(state, n * 2, 1, text(`${n}`, `${n}`))))
        await reopens()
      }
    })

    it('replaces a suffix, and nothing of the old one comes back', async () => {
      await persist(append(entriesAfter(state, 0, 1, text('1', '2', '3', '4', '5'))))
      await persist(append(entriesAfter(state, 2, 2, text('3b')), 3))
      await reopens()
      assert.equal(state.entries.length, 3)
      await persist(append(entriesAfter(state, 3, 2, text('4b', '5b', '6b'))))
      await reopens()
    })

    it('drops a suffix without putting anything in its place', async () => {
      await persist(append(entriesAfter(state, 0, 1, text('1', '2', '3', '4', '5'))))
      await persist(append([], 4))
      await reopens()
      await persist(append([], 1))
      await reopens()
      await persist(append(entriesAfter(state, 0, 2, text('again'))))
      await reopens()
    })

    it('takes a truncation beyond its end for none', async () => {
      await persist(append(entriesAfter(state, 0, 1, text('1', '2'))))
      await log.persist(append(entriesAfter(state, 2, 1, text('3')), 3))
      state = { ...state, entries: [...state.entries, ...entriesAfter(state, 2, 1, text('3'))] }
      await reopens()
    })

    it('forgets what is compacted, and keeps the rest', async () => {
      for (let n = 0; n < 40; n++) await persist(append(entriesAfter(state, n, 1, [new Uint8Array(100).fill(n)])))
      await take({ type: 'compact', base: baseAt(state, 17) })
      await reopens()
      await take({ type: 'compact', base: baseAt(state, 40) })
      await reopens()
      await persist(append(entriesAfter(state, 40, 2, text('41'))))
      await reopens()
    })

    it('ignores a compaction below its base', async () => {
      await persist(append(entriesAfter(state, 0, 1, text('1', '2', '3'))))
      const lower = baseAt(state, 1)
      await take({ type: 'compact', base: baseAt(state, 2) })
      await log.compact(lower)
      await reopens()
    })

    it('begins anew after a reset, and keeps the vote', async () => {
      await persist({
        hardState: { term: 4, votedFor: 'b' },
        truncateFrom: undefined,
        entries: entriesAfter(state, 0, 4, text('1', '2', '3'))
      })
      const base = { index: 100, term: 3, chain: 12345, config: { voters: ['a', 'b'], outgoing: [], learners: ['c'] } }
      await take({ type: 'reset', base })
      await reopens()
      await persist(append(entriesAfter(state, 100, 4, text('101'))))
      await reopens()
    })

    it('can be reset to the first configuration of a new group', async () => {
      await take({ type: 'reset', base: { ...emptyState.base, config: { voters: ['a'], outgoing: [], learners: [] } } })
      await reopens()
      await persist(append(entriesAfter(state, 0, 1, text('1'))))
      await reopens()
    })

    it('refuses a hole, a truncation of what is compacted, and a compaction beyond its end', async () => {
      await persist(append(entriesAfter(state, 0, 1, text('1', '2', '3'))))
      await take({ type: 'compact', base: baseAt(state, 2) })
      const [next] = entriesAfter(state, 3, 1, text('4'))
      await assert.rejects(log.persist(append([{ ...next!, index: 5 }])), { name: 'StorageMisuseError' })
      await assert.rejects(log.persist(append([], 2)), { name: 'StorageMisuseError' })
      await assert.rejects(log.compact({ ...state.base, index: 9 }), { name: 'StorageMisuseError' })
      await reopens()
    })

    it('refuses to work before it is loaded and after it is closed', async () => {
      const other = place.open()
      await assert.rejects(other.persist(append([])), { name: 'StorageMisuseError' })
      await other.close()
      await log.close()
      await assert.rejects(log.persist(append([])), { name: 'StorageFailedError' })
      await assert.rejects(log.load(), { name: 'StorageFailedError' })
      await log.close()
    })

    it('does what an array would, over any sequence of steps and restarts', async () => {
      for (let seed = 1; seed <= 5; seed++) {
        const random = randomFrom(seed)
        for (let n = 0; n < 15; n++) await take(drawStep(state, random))
        await reopens()
      }
    })
  })
}
