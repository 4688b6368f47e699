/** Who may finish a change of membership after a restart, when the commit index is known only to be at least the applied index (T32). */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { encodeConfig } from '../../src/core/members.ts'
import { defaultCoreOptions } from '../../src/core/options.ts'
import { createRaftCore } from '../../src/core/raft.ts'
import { makeEntry } from '../../src/core/record.ts'
import { type ClusterConfig, type Effect, type Entry, EntryKind } from '../../src/core/types.ts'

/** Whom node `a` asks for a pre-vote when no leader is heard, having started with these configurations in its log, none known to be committed. */
function asksAfterSilence(first: ClusterConfig, configs: readonly ClusterConfig[]): string[] {
  const entries: Entry[] = []
  configs.forEach((config, i) => {
    entries.push(makeEntry(i + 1, 1, EntryKind.config, encodeConfig(config), entries[i - 1]?.chain ?? 0, crc32))
  })
  const core = createRaftCore({
    id: 'a',
    options: defaultCoreOptions,
    checksum: crc32,
    seed: 1,
    hardState: { term: 1, votedFor: undefined },
    base: { index: 0, term: 0, chain: 0, config: first },
    entries,
    appliedIndex: 0
  })
  const out: Effect[] = []
  for (let nowMs = 0; nowMs < 3 * defaultCoreOptions.electionTimeoutMs; nowMs += 25)
    core.step({ type: 'tick' }, nowMs, out)
  return out.flatMap((effect) => (effect.type === 'send' ? [effect.to] : []))
}

const config = (voters: string[], outgoing: string[] = []): ClusterConfig => ({ voters, outgoing, learners: [] })

describe('a node that the newest entry of its log removes', () => {
  it('campaigns if it votes in a configuration between its commit index and that entry', () => {
    const asked = asksAfterSilence(config(['b', 'c']), [
      config(['a'], ['b', 'c']),
      config(['a']),
      config(['b'], ['a']),
      config(['b'])
    ])
    assert.deepEqual(new Set(asked), new Set(['b']))
  })

  it('never campaigns if it votes in none of them', () => {
    assert.deepEqual(asksAfterSilence(config(['b', 'c']), [config(['b', 'c', 'd']), config(['b', 'd'])]), [])
  })
})
