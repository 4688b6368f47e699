import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import {
  encodeLease,
  encodeLevel,
  entryFault,
  leaseOf,
  levelAfter,
  levelOf,
  logFault
} from '../../src/core/announcements.ts'
import { makeEntry, parseRecord } from '../../src/core/record.ts'
import { type Entry, EntryKind, type LogBase } from '../../src/core/types.ts'

const entry = (index: number, kind: EntryKind, payload: Uint8Array): Entry =>
  makeEntry(index, 1, kind, payload, 0, crc32)
const base = (level?: number): LogBase => ({
  index: 4,
  term: 1,
  chain: 0,
  config: { voters: ['a'], outgoing: [], learners: [] },
  ...(level === undefined ? {} : { level })
})

describe('what a no-op says', () => {
  it('is how long leases take, or nothing', () => {
    for (const leaseMs of [0, 1, 300, 2 ** 32 - 1]) {
      assert.equal(leaseOf(entry(1, EntryKind.noop, encodeLease(leaseMs))), leaseMs)
    }
    assert.equal(encodeLease(0).length, 0)
  })
})

describe('what a level entry says', () => {
  it('is a level from 1 to 255', () => {
    for (const level of [1, 2, 255]) assert.equal(levelOf(entry(1, EntryKind.level, encodeLevel(level))), level)
    for (const bytes of [[], [1], [0, 0], [0, 1], [1, 0, 0]]) {
      assert.equal(levelOf(entry(1, EntryKind.level, Uint8Array.from(bytes))), undefined)
    }
  })

  it('is what the log stands at from there on', () => {
    const raise = entry(6, EntryKind.level, encodeLevel(3))
    const noop = entry(5, EntryKind.noop, encodeLease(0))
    assert.equal(levelAfter(base(), [noop]), 1)
    assert.equal(levelAfter(base(2), [noop]), 2)
    assert.equal(levelAfter(base(2), [noop, raise]), 3)
  })
})

describe('a version', () => {
  it('takes what it knows', () => {
    const raise = entry(6, EntryKind.level, encodeLevel(2))
    assert.equal(logFault(base(2), [entry(5, EntryKind.command, new Uint8Array(9)), raise], 2), undefined)
  })

  it('names both levels where it does not', () => {
    const raise = entry(6, EntryKind.level, encodeLevel(3))
    assert.match(entryFault(raise, 2)!, /at feature level 3 since entry 6, and 2 is the highest/)
    assert.match(logFault(base(3), [], 2)!, /at feature level 3 by entry 4, and 2 is the highest/)
    assert.match(logFault(base(), [raise], 1)!, /since entry 6, and 1 is the highest/)
  })

  it('stops at a kind of entry that it does not know, which is no damage', () => {
    const strange = entry(7, 9 as EntryKind, new Uint8Array(3))
    assert.equal(parseRecord(strange.record, 0)?.kind, 9)
    assert.match(entryFault(strange, 2)!, /entry 7 is of kind 9, of a feature level above 2/)
  })
})
