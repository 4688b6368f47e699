import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { makeEntry } from '../../src/core/record.ts'
import type { Effect, Entry } from '../../src/core/types.ts'
import { LogWriter } from '../../src/driver/log-writer.ts'
import { checksum } from '../../src/storage/checksum.ts'
import { MemoryDisk, MemoryLog } from '../support/memory-storage.ts'
import { until } from '../support/until.ts'

type Persist = Extract<Effect, { type: 'persist' }>

const persist = (seq: number, rest: Partial<Persist> = {}): Persist => ({
  type: 'persist',
  seq,
  hardState: undefined,
  truncateFrom: undefined,
  entries: [],
  release: [],
  ...rest
})

/** A log that is appended to and cut at random, as effects; each cut leaves at least nothing. */
const history = fc
  .array(fc.record({ cut: fc.option(fc.nat(3), { nil: undefined }), count: fc.nat(4), term: fc.boolean() }), {
    maxLength: 12
  })
  .map((steps) => {
    let log: Entry[] = []
    let term = 1
    const effects = steps.map(({ cut, count, term: rise }, i) => {
      if (rise) term++
      const truncateFrom = cut === undefined || log.length === 0 ? undefined : Math.max(1, log.length + 1 - cut)
      if (truncateFrom !== undefined) log = log.slice(0, truncateFrom - 1)
      const entries: Entry[] = []
      for (let n = 0; n < count; n++) {
        const entry = makeEntry(log.length + 1, term, 1, Buffer.from(`${i}.${n}`), log.at(-1)?.chain ?? 0, checksum)
        log.push(entry)
        entries.push(entry)
      }
      return persist(i + 1, { hardState: rise ? { term, votedFor: `n${i}` } : undefined, truncateFrom, entries })
    })
    return { effects, log, term }
  })

interface Written {
  readonly disk: MemoryDisk
  readonly writer: LogWriter
  readonly seqs: number[]
  readonly released: string[]
  readonly errors: unknown[]
}

function start(): Written {
  const disk = new MemoryDisk()
  const seqs: number[] = []
  const released: string[] = []
  const errors: unknown[] = []
  const writer = new LogWriter({
    storage: new MemoryLog(disk),
    onPersisted: (seq, release) => {
      seqs.push(seq)
      released.push(...release.map(({ to }) => to))
    },
    onFailed: (error) => errors.push(error)
  })
  return { disk, writer, seqs, released, errors }
}

const answer = (to: string) => ({ to, message: { type: 'timeout-now', term: 1, leaseOver: false } }) as const

describe('LogWriter', () => {
  it('leaves on disk what one write after another would, however they are merged', async () => {
    await fc.assert(
      fc.asyncProperty(
        history,
        fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
        async ({ effects, log }, pauses) => {
          const { disk, writer, seqs, errors } = start()
          for (const [i, effect] of effects.entries()) {
            writer.persist(effect)
            if (pauses[i] === true) await writer.idle()
          }
          await writer.idle()
          assert.deepEqual(errors, [])
          assert.deepEqual(disk.entries, log)
          assert.deepEqual(
            disk.hardState,
            effects.findLast(({ hardState }) => hardState !== undefined)?.hardState ?? { term: 0, votedFor: undefined }
          )
          assert.equal(seqs.at(-1), effects.at(-1)?.seq)
        }
      ),
      { numRuns: 60 }
    )
  })

  it('writes one batch at a time, and makes one of all that comes meanwhile', async () => {
    const { disk, writer, seqs } = start()
    let previous = 0
    for (let seq = 1; seq <= 100; seq++) {
      const entry = makeEntry(seq, 1, 1, Buffer.from('x'), previous, checksum)
      previous = entry.chain
      writer.persist(persist(seq, { entries: [entry] }))
      // The write begins once the turn is over: what comes from here on is the next.
      if (seq === 50) await Promise.resolve()
    }
    await writer.idle()
    assert.deepEqual(seqs, [50, 100])
    assert.equal(disk.persists, 2)
    assert.equal(disk.entries.length, 100)
  })

  it('releases a message with nothing to write only after the writes before it', async () => {
    const { disk, writer, released } = start()
    const gate = Promise.withResolvers<void>()
    disk.gate = gate.promise
    writer.persist(persist(1, { hardState: { term: 1, votedFor: 'a' }, release: [answer('a')] }))
    writer.persist(persist(2, { release: [answer('b')] }))
    await until('the write has begun', () => disk.persists === 1)
    assert.deepEqual(released, [])
    gate.resolve()
    await writer.idle()
    assert.deepEqual(released, ['a', 'b'])
    assert.equal(disk.persists, 1)
  })

  it('releases nothing after a write has failed (T51)', async () => {
    const { disk, writer, released, errors } = start()
    disk.failure = new Error('EIO')
    writer.persist(persist(1, { hardState: { term: 1, votedFor: 'a' }, release: [answer('a')] }))
    const task = writer.exclusive(async () => {})
    await writer.idle()
    disk.failure = undefined
    writer.persist(persist(2, { hardState: { term: 2, votedFor: 'b' }, release: [answer('b')] }))
    await assert.rejects(task, /EIO/)
    await assert.rejects(
      writer.exclusive(async () => {}),
      /failed/
    )
    assert.deepEqual(released, [])
    assert.equal(errors.length, 1)
    assert.equal(disk.hardState.term, 0)
  })
})
