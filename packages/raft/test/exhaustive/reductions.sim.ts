/**
 * What the search leaves out changes nothing that is found: within bounds small enough for both, a plain search and the one that leaves things out come to the
 * same states of the nodes and to the same verdicts. And it is right when it says that it came to an end: where all can be counted by hand, it counts the same.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeConfig } from '../../src/core/members.ts'
import type { Mutation } from '../../src/core/mutations.ts'
import { payloadOf } from '../../src/core/record.ts'
import { type Entry, EntryKind, type NodeId } from '../../src/core/types.ts'
import type { NodeState } from './nodes.ts'
import { type Bounds, permutations, type SearchInit, search } from './search.ts'

const none: Bounds = { maxTerm: 1, campaigns: 1, proposals: 0, changes: 0, crashes: 0, heartbeats: 0 }

/** What safety is about in a state of the group, up to the names of the nodes: who is what, and what their logs and disks hold. */
function project(group: readonly NodeState[]): string {
  const texts = permutations(group.length).map((renaming) => {
    const name = (id: NodeId | undefined): string => (id === undefined ? '-' : `n${renaming[Number(id.slice(1))]}`)
    const label = (entry: Entry): string => `${entry.index}/${entry.term} ${meaning(entry, name)}`
    const nodes: string[] = []
    for (const { slot, role, term, leader, commitIndex, log, disk, peers } of group) {
      const { hardState, entries } = disk
      const matches = [...peers].map(([id, { matchIndex }]) => `${name(id)}:${matchIndex}`).sort()
      nodes[renaming[slot] as number] =
        `${role} ${term} ${name(leader)} ${commitIndex} ${log.map(label)} ${matches} ` +
        `disk ${hardState.term} ${name(hardState.votedFor)} ${entries.map(label)}`
    }
    return nodes.join('|')
  })
  return texts.sort()[0] as string
}

function meaning(entry: Entry, name: (id: NodeId) => string): string {
  const payload = payloadOf(entry)
  if (entry.kind === EntryKind.noop) return ''
  if (entry.kind === EntryKind.command) return name(`n${payload[0]}`)
  return `${decodeConfig(payload)?.voters.map(name).sort()}`
}

function explore(voters: number, bounds: Bounds, plain?: 'once' | 'often') {
  const projected = new Set<string>()
  const groups = new Set<string>()
  const onState = (group: readonly NodeState[]): void => {
    const key = group.map(({ id }) => id).join()
    if (groups.has(key)) return
    groups.add(key)
    projected.add(project(group))
  }
  const init: SearchInit = { voters, bounds, depth: 100, onState }
  const { states, exhausted } = search(plain === undefined ? init : { ...init, plain })
  assert(exhausted, `it ended with ${states} states`)
  return { projected, states }
}

describe('a search that leaves out what others can do as well', () => {
  const cases: readonly (readonly [number, Partial<Bounds>])[] = [
    [3, { campaigns: 3 }],
    [3, { crashes: 1 }],
    [3, { proposals: 1 }],
    [3, { heartbeats: 1 }],
    [3, { proposals: 1, crashes: 1 }],
    [2, { maxTerm: 2, campaigns: 3 }],
    [2, { maxTerm: 3, campaigns: 3 }],
    [2, { maxTerm: 2, campaigns: 2, crashes: 1 }],
    [2, { maxTerm: 2, campaigns: 2, proposals: 1 }],
    [2, { maxTerm: 2, campaigns: 2, changes: 1 }]
  ]
  for (const [voters, more] of cases) {
    it(`comes to the same states of ${voters} nodes as one that does not: ${JSON.stringify(more)}`, (t) => {
      const bounds = { ...none, ...more }
      const reduced = explore(voters, bounds)
      const once = explore(voters, bounds, 'once')
      const often = explore(voters, bounds, 'often')
      t.diagnostic(
        `${reduced.states} states, plain ${once.states} and ${often.states}; ${reduced.projected.size} as to what is safe`
      )
      assert.deepEqual([...reduced.projected].sort(), [...often.projected].sort())
      // What arrives once may arrive often.
      assert(once.projected.isSubsetOf(reduced.projected))
      assert(reduced.states < once.states && reduced.states < often.states)
    })
  }

  it('loses nothing of two terms of 3 nodes, where each message arrives once at most', (t) => {
    const bounds = { ...none, maxTerm: 2, campaigns: 2 }
    const reduced = explore(3, bounds)
    const once = explore(3, bounds, 'once')
    t.diagnostic(
      `${reduced.states} states, plain ${once.states}; ${reduced.projected.size} and ${once.projected.size} as to what is safe`
    )
    assert(once.projected.isSubsetOf(reduced.projected))
  })

  const bugs: readonly (readonly [Mutation, string, Partial<Bounds>])[] = [
    ['vote-not-persisted', 'single-vote', { campaigns: 2, crashes: 1 }],
    ['vote-erased-on-step-down', 'single-vote', { campaigns: 2 }],
    ['refusal-counted-as-vote', 'election-safety', { campaigns: 2 }],
    ['own-match-at-append', 'committed', {}],
    ['ack-before-durable', 'committed', {}],
    ['truncate-on-overlap', 'committed', { proposals: 1 }]
  ]
  for (const [mutation, judge, more] of bugs) {
    it(`comes to the same verdict as one that does not: ${mutation}`, () => {
      for (const plain of [undefined, 'often'] as const) {
        const init = {
          voters: 3,
          bounds: { ...none, ...more },
          depth: 100,
          mutations: new Set([mutation]),
          consequencesOnly: true
        }
        const { violation } = search(plain === undefined ? init : { ...init, plain })
        assert.equal(violation?.judge, judge)
      }
    })
  }
})

describe('a search that can be counted by hand', () => {
  const count = (voters: number, more: Partial<Bounds>) => {
    const { states, exhausted, violation } = search({ voters, bounds: { ...none, ...more }, depth: 100 })
    assert.equal(violation, undefined)
    return { states, exhausted }
  }

  it('ends at once if nothing may happen', () => {
    assert.deepEqual(count(3, { campaigns: 0 }), { states: 1, exhausted: true })
  })

  it('takes a single node from follower to candidate to leader to a commit', () => {
    assert.deepEqual(count(1, {}), { states: 4, exhausted: true })
  })

  it('lets a single node propose before its first entry is durable, and after', () => {
    // The four above; then both entries on their way, one of them, none.
    assert.deepEqual(count(1, { proposals: 1 }), { states: 4 + 3, exhausted: true })
  })

  it('crashes a single node at each point, with what was durable, or a write more', () => {
    // The four above, and the same four after a crash at the start. A crash as a candidate: without its vote on disk, and with it. As a leader: without
    // its first entry on disk, and with it. After the commit: one more.
    assert.deepEqual(count(1, { crashes: 1 }), { states: 4 + 4 + 2 + 2 + 1, exhausted: true })
  })

  it('says that it did not end if it was stopped by the depth or by the number of states', () => {
    // A campaign, whoever's it is and whoever helps; its vote on disk.
    const init = { voters: 3, bounds: none }
    const shallow = search({ ...init, depth: 2 })
    assert.deepEqual([shallow.states, shallow.depth, shallow.exhausted], [3, 2, false])
    const few = search({ ...init, depth: 100, maxStates: 10 })
    assert.deepEqual([few.states, few.exhausted], [10, false])
  })
})
