/** `core/log.ts` against an obvious model: a plain array that is searched from end to end. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { Log } from '../../src/core/log.ts'
import { encodeConfig } from '../../src/core/members.ts'
import { makeEntry } from '../../src/core/record.ts'
import { type ClusterConfig, type Entry, EntryKind, type LogBase } from '../../src/core/types.ts'

const voters = (...ids: string[]): ClusterConfig => ({ voters: ids, outgoing: [], learners: [] })
const origin: LogBase = { index: 0, term: 0, chain: 0, config: voters('a') }

const next = (
  log: Log,
  term: number,
  kind: EntryKind = EntryKind.command,
  payload: Uint8Array = new Uint8Array(3)
): Entry => makeEntry(log.lastIndex + 1, term, kind, payload, log.lastChain, crc32)

/** A log with one entry of each of these terms; durable, committed and applied up to `settled`. */
const logOf = (terms: readonly number[], base: LogBase = origin, settled = base.index): Log => {
  const log = new Log(base, [], base.index)
  for (const term of terms) log.append(next(log, term))
  log.durableIndex = log.lastIndex
  log.stagedIndex = log.lastIndex
  log.commitIndex = settled
  log.applyingIndex = settled
  log.appliedIndex = settled
  return log
}

const risingTerms = fc
  .array(fc.nat({ max: 2 }), { maxLength: 30 })
  .map((steps) => steps.map((_, i) => 1 + steps.slice(0, i + 1).reduce((sum, step) => sum + step, 0)))

describe('Log', () => {
  it('finds the last index within an index and a term as a search from the end does', () => {
    fc.assert(
      fc.property(
        risingTerms,
        fc.nat({ max: 40 }),
        fc.nat({ max: 70 }),
        fc.nat({ max: 12 }),
        (terms, index, term, cut) => {
          const log = logOf(terms, origin, terms.length)
          if (cut > 0 && cut <= log.lastIndex) log.compact(cut)
          const base = log.base
          let expected = Math.min(index, log.lastIndex)
          if (index < base.index) expected = index
          else {
            while (expected >= base.index && log.termAt(expected)! > term) expected--
          }
          assert.equal(log.lastIndexWithin(index, term), expected)
        }
      ),
      { numRuns: 2000 }
    )
  })

  it('compares logs by last term, then by last index (paper §5.4.1)', () => {
    const log = logOf([1, 1, 3])
    assert.equal(log.isUpToDate(3, 3), true)
    assert.equal(log.isUpToDate(1, 4), true)
    assert.equal(log.isUpToDate(2, 3), false)
    assert.equal(log.isUpToDate(9, 2), false)
  })

  it('gives batches that respect the byte limit, but hold at least one entry', () => {
    const log = logOf([1, 1, 1, 1])
    const size = log.entry(1)!.record.length
    assert.equal(log.batch(2, 1).length, 1)
    assert.equal(log.batch(1, 2 * size).length, 2)
    assert.equal(log.batch(1, 100 * size).length, 4)
    assert.equal(log.batch(5, 100 * size).length, 0)
  })

  it('has a configuration in force from its append on, and the one before again after a truncation (T30)', () => {
    const log = logOf([1])
    log.append(next(log, 1, EntryKind.config, encodeConfig(voters('a', 'b'))))
    assert.deepEqual(log.config, { index: 2, config: voters('a', 'b') })
    log.append(next(log, 1))
    log.append(next(log, 1, EntryKind.config, encodeConfig(voters('a', 'b', 'c'))))
    assert.equal(log.config.index, 4)
    log.truncate(4)
    assert.equal(log.config.index, 2)
    log.truncate(2)
    assert.deepEqual(log.config, { index: 0, config: voters('a') })
  })

  it('keeps watermarks, bytes, terms and configurations right through any run of appends, cuts and compactions', () => {
    const operation = fc.oneof(
      fc.record({ kind: fc.constant('append' as const), config: fc.boolean(), rise: fc.nat({ max: 1 }) }),
      fc.record({ kind: fc.constant('commit' as const), by: fc.nat({ max: 3 }) }),
      fc.record({ kind: fc.constant('truncate' as const), at: fc.nat({ max: 5 }) }),
      fc.record({ kind: fc.constant('compact' as const), by: fc.nat({ max: 3 }) })
    )
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const log = new Log(origin, [], 0)
        let model: Entry[] = []
        let base = origin
        for (const op of operations) {
          if (op.kind === 'append') {
            const payload = op.config
              ? encodeConfig(voters('a', `n${log.lastIndex}`))
              : new Uint8Array(log.lastIndex % 5)
            const entry = next(
              log,
              Math.max(1, log.lastTerm) + op.rise,
              op.config ? EntryKind.config : EntryKind.command,
              payload
            )
            log.append(entry)
            model.push(entry)
          } else if (op.kind === 'commit') {
            const index = Math.min(log.commitIndex + op.by, log.lastIndex)
            log.durableIndex = Math.max(log.durableIndex, index)
            log.commitIndex = index
            log.applyingIndex = index
            log.appliedIndex = index
          } else if (op.kind === 'truncate') {
            const from = log.commitIndex + 1 + op.at
            if (from > log.lastIndex) continue
            log.truncate(from)
            model = model.filter((entry) => entry.index < from)
          } else {
            const index = Math.min(log.base.index + op.by, log.appliedIndex)
            base = log.compact(index)
            model = model.filter((entry) => entry.index > index)
          }
          assert.equal(log.lastIndex, base.index + model.length)
          assert.equal(
            log.bytes,
            model.reduce((sum, entry) => sum + entry.record.length, 0)
          )
          assert.ok(log.durableIndex <= log.lastIndex && log.stagedIndex <= log.lastIndex)
          assert.deepEqual(log.range(base.index + 1, log.lastIndex), model)
          const lastConfig = model.findLast((entry) => entry.kind === EntryKind.config)
          assert.equal(log.config.config, log.configAt(log.lastIndex).config)
          if (lastConfig !== undefined) assert.equal(log.config.index, lastConfig.index)
          else assert.deepEqual(log.config.config, base.config)
        }
      }),
      { numRuns: 500 }
    )
  })

  it('carries the configuration in force into the base that it is compacted to', () => {
    const log = logOf([1])
    log.append(next(log, 1, EntryKind.config, encodeConfig(voters('a', 'b'))))
    log.append(next(log, 2))
    log.durableIndex = 3
    log.commitIndex = 3
    log.applyingIndex = 3
    log.appliedIndex = 3
    const base = log.compact(2)
    assert.deepEqual(base, { index: 2, term: 1, chain: log.chainAt(2), config: voters('a', 'b') })
    assert.equal(log.baseAt(1), undefined)
    assert.deepEqual(log.baseAt(3)?.config, voters('a', 'b'))
  })

  it('forgets its own later configurations when a snapshot replaces it (T31)', () => {
    const log = logOf([1])
    log.append(next(log, 1, EntryKind.config, encodeConfig(voters('a', 'phantom'))))
    log.reset({ index: 9, term: 2, chain: 7, config: voters('a', 'b') })
    assert.deepEqual(log.config, { index: 9, config: voters('a', 'b') })
    assert.equal(log.lastIndex, 9)
    assert.equal(log.lastTerm, 2)
    assert.equal(log.bytes, 0)
  })

  it('refuses to cut what is committed (T16)', () => {
    const log = logOf([1, 1, 2], origin, 2)
    assert.throws(() => log.truncate(2), { name: 'BrokenInvariant', message: /conflicts at 2.*committed here up to 2/ })
  })

  it('refuses entries that leave a hole or whose term falls', () => {
    const log = logOf([2])
    assert.throws(() => log.append(makeEntry(3, 2, EntryKind.command, new Uint8Array(0), 0, crc32)), {
      name: 'BrokenInvariant'
    })
    assert.throws(() => log.append(makeEntry(2, 1, EntryKind.command, new Uint8Array(0), 0, crc32)), {
      name: 'BrokenInvariant'
    })
  })

  it('answers the lowest index above which at most so many bytes are kept', () => {
    const log = logOf([1, 1, 1, 1])
    const size = log.entry(1)!.record.length
    assert.equal(log.indexKeeping(100 * size), 0)
    assert.equal(log.indexKeeping(2 * size), 2)
    assert.equal(log.indexKeeping(2 * size - 1), 3)
    assert.equal(log.indexKeeping(0), 4)
  })
})
