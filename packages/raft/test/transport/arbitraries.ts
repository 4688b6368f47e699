/** Messages and what they are made of, as they come from a member that keeps to the protocol: for the property tests of the decoders. */

import fc from 'fast-check'
import type { Message } from '../../src/core/messages.ts'
import { makeEntry } from '../../src/core/record.ts'
import type { Entry, LogBase } from '../../src/core/types.ts'
import { checksum } from '../../src/storage/checksum.ts'

export const u48 = fc.nat({ max: 2 ** 48 - 1 })
export const term = fc.nat({ max: 2 ** 47 - 1 })
export const u32 = fc.nat({ max: 2 ** 32 - 1 })
export const id = fc.stringMatching(/^[A-Za-z0-9]{1,20}$/)
const config = fc
  .uniqueArray(id, { minLength: 1, maxLength: 6 })
  .map((ids) => ({ voters: ids.slice(0, 3).sort(), outgoing: [], learners: ids.slice(3).sort() }))
export const base = fc.record(
  {
    index: u48,
    term,
    chain: u32,
    config,
    level: fc.integer({ min: 2, max: 255 }),
    leaseMs: fc.integer({ min: 1, max: 2 ** 32 - 1 })
  },
  { noNullPrototype: true, requiredKeys: ['index', 'term', 'chain', 'config'] }
) as fc.Arbitrary<LogBase>

/** An AppendEntries as a leader makes it: entries that follow `prev`, with terms that never fall. */
export const append: fc.Arbitrary<Message> = fc
  .record({
    prevIndex: fc.nat(2 ** 47),
    prevTerm: fc.nat(2 ** 40),
    prevChain: u32,
    steps: fc.array(fc.record({ rise: fc.nat(3), kind: fc.nat(255), payload: fc.uint8Array() }), {
      maxLength: 8
    }),
    commitIndex: u48,
    readPosition: u48
  })
  .map(({ prevIndex, prevTerm, prevChain, steps, commitIndex, readPosition }) => {
    const entries: Entry[] = []
    let term = prevTerm
    for (const [i, step] of steps.entries()) {
      term += step.rise
      const chain = entries.at(-1)?.chain ?? prevChain
      entries.push(makeEntry(prevIndex + 1 + i, term, step.kind as 0, step.payload, chain, checksum))
    }
    const type = 'append-entries-request'
    return { type, term: term + 1, prevIndex, prevTerm, prevChain, entries, commitIndex, readPosition }
  })

const messages: Readonly<Record<Message['type'], fc.Arbitrary<unknown>>> = {
  'append-entries-request': append,
  'pre-vote-request': fc.record({ lastIndex: u48, lastTerm: u48 }),
  'pre-vote-response': fc.record({ granted: fc.boolean() }),
  'vote-request': fc.record({ lastIndex: u48, lastTerm: u48, transfer: fc.boolean() }),
  'vote-response': fc.record({ granted: fc.boolean() }),
  'append-entries-response': fc.record({
    success: fc.boolean(),
    index: u48,
    hintIndex: u48,
    hintTerm: u48,
    readPosition: u48,
    health: fc.constantFrom('good', 'degraded', 'unfit'),
    priority: fc.integer({ min: -4, max: 4 })
  }),
  'install-snapshot-request': fc.record({ base, readPosition: u48 }),
  'install-snapshot-response': fc.record({
    index: u48,
    outcome: fc.constantFrom('fetching', 'installed', 'failed'),
    readPosition: u48
  }),
  'timeout-now': fc.record({ leaseOver: fc.boolean() }),
  'read-index-request': fc.record({ id: u48 }),
  'read-index-response': fc.record({ id: u48, index: fc.option(u48, { nil: undefined }) }),
  'digest-report': fc.record({ index: u48, digest: u32 }),
  'digest-verdict': fc.record({ index: u48, digest: u32, proven: fc.boolean() })
}

/** A message of any type. */
export const message = fc.oneof(
  ...Object.entries(messages).map(([type, rest]) =>
    fc.tuple(term, rest).map(([drawn, fields]) => ({ type, term: drawn, ...(fields as object) }))
  )
) as fc.Arbitrary<Message>
