import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeEntry } from '../../src/core/record.ts'
import { EntryKind } from '../../src/core/types.ts'
import { checkAnswer, serveEntries } from '../../src/driver/shared-entries.ts'
import { findIn } from '../../src/driver/stored-log.ts'
import { checksum } from '../../src/storage/checksum.ts'
import {
  decodeEntriesAnswer,
  decodeEntriesRequest,
  decodeOfferRequest,
  decodeReport,
  encodeEntriesAnswer,
  encodeEntriesRequest,
  encodeOfferRequest,
  encodeReport
} from '../../src/transport/repair-codec.ts'

const config = { voters: ['a', 'b'], outgoing: [], learners: ['c'] }
const base = { index: 10, term: 2, chain: 7, config }

/** A log of so many entries after the base. */
function logOf(count: number, bytes = 20) {
  const entries = []
  let { chain } = base
  for (let n = 1; n <= count; n++) {
    const entry = makeEntry(base.index + n, 3, EntryKind.command, new Uint8Array(bytes).fill(n), chain, checksum)
    entries.push(entry)
    chain = entry.chain
  }
  return { hardState: { term: 3, votedFor: undefined }, base, entries }
}

describe('calls of a repair', () => {
  it('come back as they were sent', () => {
    for (const report of [
      { term: 2 ** 40, leads: true, base, last: { index: 2 ** 41, chain: 0xffff_ffff } },
      { term: 0, leads: false, base: undefined, last: undefined },
      { term: 5, leads: false, base, last: undefined }
    ]) {
      assert.deepEqual(decodeReport(encodeReport(report)), report)
    }
    const joiner = { index: 0, term: 0, chain: 0, config: { voters: [], outgoing: [], learners: [] } }
    const last = { index: 7, chain: 8 }
    const sent = decodeReport(encodeReport({ term: 1, leads: true, base: joiner, last }))
    assert.deepEqual(sent, { term: 1, leads: true, base: undefined, last })
    const request = { from: 3, to: 2 ** 40, chain: 99 }
    assert.deepEqual(decodeEntriesRequest(encodeEntriesRequest(request)), request)
    assert.equal(decodeOfferRequest(encodeOfferRequest(2 ** 33)), 2 ** 33)
    const { entries } = logOf(3)
    const decoded = decodeEntriesAnswer(encodeEntriesAnswer({ previousChain: 7, entries }))
    assert.deepEqual(
      decoded.entries.map(({ record }) => Buffer.from(record)),
      entries.map(({ record }) => Buffer.from(record))
    )
  })
})

describe('shared entries', () => {
  it('are those up to the one asked for, as many as one answer holds, and pass the check', () => {
    const log = logOf(10, 200 * 1024)
    const last = log.entries.at(-1)!
    const request = { from: 11, to: last.index, chain: last.chain }
    const answer = serveEntries(findIn(log), request)
    assert.equal(answer.entries.length, 2)
    assert.equal(answer.entries.at(-1), last)
    assert.equal(checkAnswer(request, answer).length, 2)
    const low = serveEntries(findIn(log), { from: 11, to: 12, chain: log.entries[1]!.chain })
    assert.equal(low.previousChain, base.chain)
    assert.equal(low.entries.length, 2)
  })

  it('are none where the log has another entry, or none', () => {
    const log = logOf(3)
    assert.deepEqual(serveEntries(findIn(log), { from: 11, to: 13, chain: 1 }).entries, [])
    assert.deepEqual(serveEntries(findIn(log), { from: 1, to: 2 ** 40, chain: 1 }).entries, [])
  })

  it('are taken only if all of them are what was asked for', () => {
    const { entries } = logOf(4)
    const request = { from: 11, to: 14, chain: entries[3]!.chain }
    const previousChain = base.chain
    assert.equal(checkAnswer(request, { previousChain, entries }).length, 4)
    assert.equal(checkAnswer(request, { previousChain: 8, entries }).length, 0)
    assert.equal(checkAnswer(request, { previousChain, entries: entries.slice(0, 3) }).length, 0)
    assert.equal(checkAnswer(request, { previousChain, entries: entries.filter((_, n) => n !== 1) }).length, 0)
    assert.equal(checkAnswer({ ...request, from: 12 }, { previousChain, entries }).length, 0)
    const record = Uint8Array.from(entries[2]!.record)
    record[record.length - 1]! ^= 1
    const spoilt = entries.with(2, { ...entries[2]!, record })
    assert.equal(checkAnswer(request, { previousChain, entries: spoilt }).length, 0)
  })
})
