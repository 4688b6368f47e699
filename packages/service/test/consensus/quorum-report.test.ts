import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describeQuorum, hasQuorum } from '../../src/consensus/quorum-report.ts'

const config = (voters: string[], outgoing: string[] = [], learners: string[] = []) => ({ voters, outgoing, learners })

describe('the quorum in plain words', () => {
  it('says how many are there, how many it takes, and who is missing', () => {
    for (const [voters, here, text, enough] of [
      ['a', 'a', '1 of 1 voters reachable, 1 needed.', true],
      ['ab', 'a', '1 of 2 voters reachable, 2 needed. Missing: b.', false],
      ['abc', 'ab', '2 of 3 voters reachable, 2 needed. Missing: c.', true],
      ['abcd', 'ad', '2 of 4 voters reachable, 3 needed. Missing: b, c.', false],
      ['abc', 'xyz', '0 of 3 voters reachable, 2 needed. Missing: a, b, c.', false],
      ['', 'a', 'This peer is not a member of a cluster yet.', false]
    ] as const) {
      assert.equal(describeQuorum(config([...voters]), new Set(here)), text)
      assert.equal(hasQuorum(config([...voters]), new Set(here)), enough)
    }
  })

  it('counts both sides of a change of membership, and no learners', () => {
    const joint = config(['b', 'c', 'd'], ['a', 'b', 'c'], ['x'])
    assert.equal(
      describeQuorum(joint, new Set(['c', 'd', 'x'])),
      '2 of 3 voters reachable, 2 needed. Missing: b. While the membership changes, also of the old one: ' +
        '1 of 3 voters reachable, 2 needed. Missing: a, b.'
    )
    assert.equal(hasQuorum(joint, new Set(['c', 'd', 'x'])), false)
    assert.equal(hasQuorum(joint, new Set(['b', 'c'])), true)
  })
})
