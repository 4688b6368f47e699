import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeEntry } from '../../src/core/record.ts'
import type { Entry, Term } from '../../src/core/types.ts'
import { Proposals } from '../../src/driver/proposals.ts'
import { checksum } from '../../src/storage/checksum.ts'

const commands = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => Uint8Array.of(i))

const entries = (from: number, to: number, term: Term, kind: 0 | 1 = 1): Entry[] =>
  Array.from({ length: to - from + 1 }, (_, i) => makeEntry(from + i, term, kind, new Uint8Array(0), 0, checksum))

function start(): Proposals<string> {
  return new Proposals<string>(100, () => {})
}

describe('Proposals', () => {
  it('says that all is lost only of a call of which nothing is applied', async () => {
    const proposals = start()
    const first = proposals.add(commands(3), undefined)
    const second = proposals.add(commands(2), undefined)
    assert.equal(proposals.take(1, 5)?.length, 5)
    assert.ok(proposals.onProposed(1, 10, 2))
    proposals.onApplied(entries(10, 11, 2), ['a', 'b'], 9)
    proposals.onApplied(entries(12, 12, 3, 0), [], 9)
    await assert.rejects(first, { name: 'OutcomeUnknownError', message: /of its 3 commands 1 were replaced/ })
    await assert.rejects(second, { name: 'ProposalLostError', index: 13 })
  })

  it('does not say so of a call of which the first half stands in the log of the next leadership', async () => {
    const proposals = start()
    const torn = proposals.add(commands(4), undefined)
    proposals.take(1, 5)
    proposals.onProposed(1, 10, 2)
    const after = proposals.add(commands(1), undefined)
    proposals.take(2, 5)
    proposals.onProposed(2, 13, 4)
    await assert.rejects(torn, { name: 'OutcomeUnknownError', message: /the first 3 were not/ })
    proposals.onApplied(entries(10, 11, 2), ['a', 'b'], 9)
    proposals.onApplied(entries(12, 12, 4, 0), [], 9)
    proposals.onApplied(entries(13, 13, 4), ['c'], 9)
    assert.deepEqual(await after, [{ index: 13, term: 4, result: 'c' }])
  })

  it('acknowledges no call whose place was taken by an entry of an earlier term', async () => {
    const proposals = start()
    const replaced = proposals.add(commands(1), undefined)
    proposals.take(1, 5)
    proposals.onProposed(1, 44, 7)
    // A leader of term 9 did not have it, and brought what one of term 6 had left at that index.
    proposals.onApplied(entries(43, 44, 6), ['a', 'b'], 9)
    await assert.rejects(replaced, { name: 'ProposalLostError', index: 44 })
  })

  it('refuses a call that would be written as one piece of more than 64 MiB', async () => {
    const proposals = new Proposals<string>(1 << 20, () => {})
    const piece = new Uint8Array(1 << 20)
    await assert.rejects(
      proposals.add(
        Array.from({ length: 65 }, () => piece),
        undefined
      ),
      { code: 'too-large' }
    )
    assert.equal(proposals.queued, false)
  })
})
