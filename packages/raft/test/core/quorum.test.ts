/** `core/quorum.ts` against a brute-force reference: sets of members enumerated, not sorted. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { NO_QUORUM, quorumReached, tallyVotes } from '../../src/core/quorum.ts'
import type { ClusterConfig, NodeId } from '../../src/core/types.ts'

const names: readonly NodeId[] = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']

/** Whether `holders` are more than half of `members`, by counting. */
const isMajority = (members: readonly NodeId[], holders: ReadonlySet<NodeId>): boolean =>
  members.length > 0 && members.filter((id) => holders.has(id)).length > members.length / 2

const isQuorum = (config: ClusterConfig, holders: ReadonlySet<NodeId>): boolean =>
  isMajority(config.voters, holders) && (config.outgoing.length === 0 || isMajority(config.outgoing, holders))

/** The reference: of all values in use, the highest that the holders of it or more are a quorum for. */
const bruteForce = (config: ClusterConfig, values: ReadonlyMap<NodeId, number>): number => {
  let best = NO_QUORUM
  for (const candidate of new Set(names.map((id) => values.get(id) ?? 0))) {
    const holders = new Set(names.filter((id) => (values.get(id) ?? 0) >= candidate))
    if (isQuorum(config, holders)) best = Math.max(best, candidate)
  }
  return best
}

const subset = fc.subarray([...names], { minLength: 1, maxLength: 5 })
const anyConfig: fc.Arbitrary<ClusterConfig> = fc
  .record({ voters: subset, outgoing: fc.oneof(fc.constant<NodeId[]>([]), subset) })
  .map(({ voters, outgoing }) => ({ voters, outgoing, learners: [] }))
const anyValues = fc
  .array(fc.integer({ min: 0, max: 6 }), { minLength: names.length, maxLength: names.length })
  .map((list) => new Map(names.map((id, i) => [id, list[i] ?? 0])))

describe('quorumReached', () => {
  it('agrees with the brute-force reference for single and joint configurations', () => {
    fc.assert(
      fc.property(anyConfig, anyValues, (config, values) => {
        assert.equal(
          quorumReached(config, (id) => values.get(id) ?? 0),
          bruteForce(config, values)
        )
      }),
      { numRuns: 5000 }
    )
  })

  it('agrees with the reference for every acknowledgement vector of 1 to 4 voters, alone and joint with 1 to 3', () => {
    for (let voterCount = 1; voterCount <= 4; voterCount++) {
      for (let outgoingCount = 0; outgoingCount <= 3; outgoingCount++) {
        // The outgoing voters overlap the new ones by one.
        const voters = names.slice(0, voterCount)
        const outgoing = outgoingCount === 0 ? [] : names.slice(voterCount - 1, voterCount - 1 + outgoingCount)
        const config = { voters, outgoing, learners: [] }
        const involved = [...new Set([...voters, ...outgoing])]
        for (let vector = 0; vector < 3 ** involved.length; vector++) {
          const values = new Map(involved.map((id, i) => [id, Math.floor(vector / 3 ** i) % 3]))
          assert.equal(
            quorumReached(config, (id) => values.get(id) ?? 0),
            bruteForce(config, values)
          )
        }
      }
    }
  })

  it('decides nothing without voters', () => {
    assert.equal(
      quorumReached({ voters: [], outgoing: [], learners: ['a'] }, () => 9),
      NO_QUORUM
    )
  })

  it('never asks a node that is no voter (T33)', () => {
    const asked = new Set<NodeId>()
    quorumReached({ voters: ['a', 'b'], outgoing: ['c'], learners: ['d'] }, (id) => {
      asked.add(id)
      return 0
    })
    assert.deepEqual([...asked].sort(), ['a', 'b', 'c'])
  })

  it('gives any two quorums of one configuration a member in common', () => {
    fc.assert(
      fc.property(anyConfig, fc.subarray([...names]), fc.subarray([...names]), (config, one, other) => {
        const [first, second] = [new Set(one), new Set(other)]
        const reached = (holders: ReadonlySet<NodeId>) => quorumReached(config, (id) => (holders.has(id) ? 1 : 0)) === 1
        if (reached(first) && reached(second)) assert.ok(one.some((id) => second.has(id)))
      })
    )
  })
})

describe('tallyVotes', () => {
  it('is won, lost or open exactly when a quorum granted, none can any more, or either may still be', () => {
    fc.assert(
      fc.property(
        anyConfig,
        fc.dictionary(fc.constantFrom(...names), fc.boolean(), { maxKeys: 10, noNullPrototype: true }),
        (config, cast) => {
          const votes = new Map(Object.entries(cast))
          const granted = new Set(names.filter((id) => votes.get(id) === true))
          const notRefused = new Set(names.filter((id) => votes.get(id) !== false))
          const expected = isQuorum(config, granted) ? 'won' : isQuorum(config, notRefused) ? 'open' : 'lost'
          assert.equal(tallyVotes(config, votes), expected)
        }
      ),
      { numRuns: 3000 }
    )
  })

  it('is not won by the votes of strangers (T33)', () => {
    const votes = new Map([
      ['a', true],
      ['x', true],
      ['y', true]
    ])
    assert.equal(tallyVotes({ voters: ['a', 'b', 'c'], outgoing: [], learners: ['x'] }, votes), 'open')
  })
})
