/** A question for a read index and its answer, across a restart of who asked (T47). */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { crc32 } from 'node:zlib'
import { defaultCoreOptions } from '../../src/core/options.ts'
import { createRaftCore } from '../../src/core/raft.ts'
import type { Effect, Input } from '../../src/core/types.ts'

/** A follower of `a` in term 1, which has just asked for a read index: the number of its question, and its inputs. */
function followerThatAsks(seed: number): { id: number; step: (input: Input) => Effect[] } {
  const core = createRaftCore({
    id: 'b',
    options: defaultCoreOptions,
    checksum: crc32,
    seed,
    hardState: { term: 1, votedFor: 'a' },
    base: { index: 0, term: 0, chain: 0, config: { voters: ['a', 'b', 'c'], outgoing: [], learners: [] } },
    entries: [],
    appliedIndex: 0
  })
  const step = (input: Input): Effect[] => {
    const out: Effect[] = []
    core.step(input, 1, out)
    return out
  }
  const at = { prevIndex: 0, prevTerm: 0, prevChain: 0, commitIndex: 0, readPosition: 0 }
  step({
    type: 'receive',
    from: 'a',
    message: { type: 'append-entries-request', term: 1, entries: [], ...at }
  })
  const asked = step({ type: 'read', ticket: 1 }).find(
    (effect) => effect.type === 'send' && effect.message.type === 'read-index-request'
  )
  assert(asked?.type === 'send' && asked.message.type === 'read-index-request')
  return { id: asked.message.id, step }
}

it('takes no answer to a question of an earlier start for one to its own', () => {
  const before = followerThatAsks(1)
  const now = followerThatAsks(7)
  const answer = (id: number): Input => ({
    type: 'receive',
    from: 'a',
    message: { type: 'read-index-response', term: 1, id, index: 7 }
  })
  assert.deepEqual(now.step(answer(before.id)), [])
  assert.deepEqual(now.step(answer(now.id)), [{ type: 'read-ready', ticket: 1, index: 7 }])
})
