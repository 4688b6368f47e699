/** A node that joined was sent the log from its first entry on, but the first configuration stands in no entry. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { EMPTY_CONFIG, encodeConfig } from '../../src/core/members.ts'
import { defaultCoreOptions } from '../../src/core/options.ts'
import { createRaftCore } from '../../src/core/raft.ts'
import { makeEntry } from '../../src/core/record.ts'
import { type Effect, type Entry, EntryKind, type Input } from '../../src/core/types.ts'

describe('compaction on a node that joined', () => {
  const config = { voters: ['a'], outgoing: [], learners: ['joiner'] }
  const entries: Entry[] = []
  for (let index = 1; index <= 6; index++) {
    const kind = index === 5 ? EntryKind.config : EntryKind.command
    const payload = index === 5 ? encodeConfig(config) : new Uint8Array([index])
    entries.push(makeEntry(index, 1, kind, payload, entries[index - 2]?.chain ?? 0, crc32))
  }
  const core = createRaftCore({
    id: 'joiner',
    options: { ...defaultCoreOptions, trailingEntries: 0 },
    checksum: crc32,
    seed: 1,
    hardState: { term: 0, votedFor: undefined },
    base: { index: 0, term: 0, chain: 0, config: EMPTY_CONFIG },
    entries: [],
    appliedIndex: 0
  })
  const step = (input: Input): Effect[] => {
    const out: Effect[] = []
    core.step(input, 1, out)
    return out
  }
  step({
    type: 'receive',
    from: 'a',
    message: {
      type: 'append-entries-request',
      term: 1,
      prevIndex: 0,
      prevTerm: 0,
      prevChain: 0,
      entries,
      commitIndex: 6,
      readPosition: 0
    }
  })
  step({ type: 'persisted', seq: 1 })
  step({ type: 'applied', index: 6 })

  it('keeps the log below the first configuration that it knows', () => {
    assert.deepEqual(step({ type: 'compactable', index: 4 }), [])
    assert.equal(core.baseAt(4), undefined)
  })

  it('drops the log at and past that configuration, and carries it in the base', () => {
    const base = { index: 6, term: 1, chain: entries[5]!.chain, config }
    assert.deepEqual(step({ type: 'compactable', index: 6 }), [{ type: 'compact', base }])
  })
})
