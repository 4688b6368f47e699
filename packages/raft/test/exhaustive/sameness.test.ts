/**
 * Two states of a node are the same to the search if nothing tells them apart that can make a difference. So each field of the core is either looked
 * at by `nodes.ts`, or known to make none there. A field that is new belongs to one of the two: decide which, and say so here.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { defaultCoreOptions } from '../../src/core/options.ts'
import { createRaftCore, stateOf } from '../../src/core/raft.ts'

interface Fields {
  readonly lookedAt: readonly string[]
  /** The same in all states, or without effect on what comes, in a search without snapshots, reads, leases, levels and digests (`nodes.ts` says why). */
  readonly indifferent: readonly string[]
}

const NODE: Fields = {
  lookedAt: [
    'halted',
    'health',
    'id',
    'leader',
    'leaderContactMs',
    'leading',
    'log',
    'role',
    'term',
    'transfer',
    'votedFor',
    'votes'
  ],
  indifferent: [
    'checksum',
    'digests',
    'electionDeadlineMs',
    'followerReads',
    'healthSinceMs',
    'hurriedTries',
    'installing',
    'lastTickMs',
    'leasesOverInTerm',
    'mutations',
    'nowMs',
    'options',
    'out',
    'peerLevels',
    'prng',
    'stallWaitEndMs',
    'stallsExcused',
    'supportedLevel'
  ]
}

const LOG: Fields = {
  lookedAt: ['appliedIndex', 'applyingIndex', 'commitIndex', 'durableIndex', 'stagedIndex'],
  indifferent: ['leases', 'levels']
}

const LEADING: Fields = {
  lookedAt: ['leaseGivenUp', 'noopIndex', 'outpaced', 'peers', 'quorumFloorMs'],
  indifferent: [
    'commitNotBeforeMs',
    'handOvers',
    'leaseMarks',
    'readPosition',
    'reads',
    'roundPosition',
    'settledFromMs',
    'stallsExcused'
  ]
}

const PROGRESS: Fields = {
  lookedAt: [
    'contactAtMs',
    'farewellUntilMs',
    'health',
    'id',
    'inflight',
    'knownSinceMs',
    'matchIndex',
    'nextIndex',
    'priority',
    'probeSent',
    'sentAtMs',
    'sentCommitIndex',
    'state'
  ],
  indifferent: ['brokenPromises', 'failedSnapshots', 'readPosition', 'snapshot', 'snapshotAtMs', 'snapshotNotBeforeMs']
}

/** The state of a leader with a peer. */
function leader() {
  const config = { voters: ['a'], outgoing: [], learners: ['b'] }
  const core = createRaftCore({
    id: 'a',
    options: defaultCoreOptions,
    checksum: crc32,
    seed: 1,
    hardState: { term: 0, votedFor: undefined },
    base: { index: 0, term: 0, chain: 0, config },
    entries: [],
    appliedIndex: 0
  })
  core.step({ type: 'tick' }, 0, [])
  core.step({ type: 'persisted', seq: 1 }, 0, [])
  return stateOf(core)
}

describe('the sameness of two states of a node', () => {
  const state = leader()
  const peer = state.leading?.peers.get('b')
  assert.ok(state.leading !== undefined && peer !== undefined)
  const cases: readonly (readonly [string, object, Fields])[] = [
    ['a node', state, NODE],
    ['a log', state.log, LOG],
    ['a leader', state.leading, LEADING],
    ['a peer of a leader', peer, PROGRESS]
  ]
  for (const [name, object, { lookedAt, indifferent }] of cases) {
    it(`is decided for every field of ${name}`, () => {
      // Private fields are not seen here: what they hold is in the effects, which the search keeps.
      assert.deepEqual(Object.keys(object).sort(), [...lookedAt, ...indifferent].sort())
    })
  }
})
