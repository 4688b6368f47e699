/** `core/members.ts`: legality of changes, when one step is enough, and the codec of config entries. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  configFault,
  decodeConfig,
  encodeConfig,
  isJoint,
  leaveJoint,
  membersOf,
  planChange
} from '../../src/core/members.ts'
import type { ClusterConfig, NodeId } from '../../src/core/types.ts'
import { isLogBase } from '../../src/storage/base-file.ts'

const config = (voters: string, outgoing = '', learners = ''): ClusterConfig => ({
  voters: [...voters],
  outgoing: [...outgoing],
  learners: [...learners]
})

const name = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 60 })
const anyConfig: fc.Arbitrary<ClusterConfig> = fc
  .record({
    all: fc.uniqueArray(name, { minLength: 1, maxLength: 9 }),
    outgoing: fc.uniqueArray(name, { maxLength: 5 }),
    cut: fc.nat({ max: 8 })
  })
  .map(({ all, outgoing, cut }) => {
    const voterCount = 1 + (cut % all.length)
    return {
      voters: all.slice(0, voterCount).sort(),
      outgoing: outgoing.sort(),
      learners: all.slice(voterCount).sort()
    }
  })

describe('planChange', () => {
  const table: [name: string, from: ClusterConfig, voters: string, learners: string, expected: ClusterConfig][] = [
    ['adds a learner in one step', config('abc'), 'abc', 'd', config('abc', '', 'd')],
    ['promotes a learner in one step', config('abc', '', 'd'), 'abcd', '', config('abcd')],
    ['removes a voter in one step', config('abc'), 'ab', '', config('ab')],
    ['makes a voter a learner in one step', config('abc'), 'ab', 'c', config('ab', '', 'c')],
    ['adds two voters through a joint configuration', config('abc'), 'abcde', '', config('abcde', 'abc')],
    ['replaces a voter through a joint configuration', config('abc'), 'abd', '', config('abd', 'abc')],
    ['replaces all through a joint configuration', config('abc'), 'def', '', config('def', 'abc')],
    ['keeps an outgoing voter that becomes a learner', config('abc'), 'de', 'a', config('de', 'abc', 'a')],
    ['sorts what it is given', config('abc'), 'cab', 'ed', config('abc', '', 'de')],
    ['takes the configuration in force', config('abc'), 'abc', '', config('abc')]
  ]
  for (const [fact, from, voters, learners, expected] of table) {
    it(fact, () => assert.deepEqual(planChange(from, { voters: [...voters], learners: [...learners] }), expected))
  }

  const illegal: [name: string, voters: string[], learners: string[], why: RegExp][] = [
    ['without a voter', [], ['a'], /no voter/],
    ['that names a voter twice', ['a', 'a'], [], /a twice/],
    ['that names a learner twice', ['a'], ['b', 'b'], /b twice/],
    ['that makes a node both', ['a', 'b'], ['b'], /b both/],
    ['with an empty name', ['a', ''], [], /not a name/],
    ['with a name that is not ASCII', ['a', 'ä'], [], /not a name/]
  ]
  for (const [fact, voters, learners, why] of illegal) {
    it(`refuses a change ${fact}`, () => {
      const answer = planChange(config('abc'), { voters, learners })
      assert.match(typeof answer === 'string' ? answer : JSON.stringify(answer), why)
    })
  }

  it('needs no joint phase only where any two majorities, old and new, meet', () => {
    const members = fc.subarray([...'abcdef'], { minLength: 1 })
    const majorities = (voters: readonly NodeId[]): NodeId[][] => {
      const all: NodeId[][] = []
      for (let bits = 0; bits < 2 ** voters.length; bits++) {
        const chosen = voters.filter((_, i) => (bits >> i) & 1)
        if (chosen.length * 2 > voters.length) all.push(chosen)
      }
      return all
    }
    fc.assert(
      fc.property(members, members, (before, after) => {
        const next = planChange({ voters: before, outgoing: [], learners: [] }, { voters: after, learners: [] })
        assert.ok(typeof next !== 'string')
        if (isJoint(next)) return
        for (const one of majorities(before)) {
          for (const other of majorities(next.voters)) assert.ok(one.some((id) => other.includes(id)))
        }
      }),
      { numRuns: 200 }
    )
  })
})

describe('membersOf', () => {
  it('names every voter, outgoing voter and learner once', () => {
    assert.deepEqual(membersOf(config('de', 'abc', 'af')), ['a', 'b', 'c', 'd', 'e', 'f'])
  })
})

describe('leaveJoint', () => {
  it('keeps voters and learners and drops the outgoing', () => {
    assert.deepEqual(leaveJoint(config('de', 'abc', 'a')), config('de', '', 'a'))
  })
})

describe('the codec of a configuration', () => {
  it('reads back what it wrote', () => {
    fc.assert(
      fc.property(anyConfig, (value) => {
        assert.equal(configFault(value), undefined)
        assert.deepEqual(decodeConfig(encodeConfig(value)), value)
      })
    )
  })

  it('writes the documented bytes', () => {
    const bytes = [1, 2, 0, 1, 0, 97, 1, 0, 98, 0, 0, 1, 0, 2, 0, 120, 121]
    assert.deepEqual([...encodeConfig({ voters: ['a', 'b'], outgoing: [], learners: ['xy'] })], bytes)
  })

  it('answers undefined for every truncation and every extension', () => {
    fc.assert(
      fc.property(anyConfig, fc.nat(), (value, at) => {
        const bytes = encodeConfig(value)
        assert.equal(decodeConfig(bytes.subarray(0, at % bytes.length)), undefined)
        assert.equal(decodeConfig(new Uint8Array([...bytes, 0])), undefined)
      })
    )
  })

  it('never throws, and accepts nothing but what it would have written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (noise, versioned) => {
        const bytes = versioned ? new Uint8Array([1, ...noise]) : noise
        const value = decodeConfig(bytes)
        if (value !== undefined) assert.deepEqual(encodeConfig(value), bytes)
      }),
      { numRuns: 2000 }
    )
  })
})

describe('the limits of a configuration', () => {
  const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `n${String(i).padStart(5, '0')}`)

  it('are those of the files that keep it', () => {
    const largest = { voters: names(1024), outgoing: [], learners: [`z${'x'.repeat(255)}`] }
    assert.equal(configFault(largest), undefined)
    assert.ok(isLogBase({ index: 1, term: 1, chain: 0, config: largest }))
    assert.match(configFault({ ...largest, voters: names(1025) }) ?? '', /1025 nodes in one list/)
    assert.match(configFault({ ...largest, learners: [`z${'x'.repeat(256)}`] }) ?? '', /is not a name/)
  })

  it('hold before lists are compared with each other, so that no message costs more than its length', () => {
    const list = names(60_000)
    const config = { voters: list, outgoing: [], learners: list.map((id) => `${id}l`) }
    assert.equal(decodeConfig(encodeConfig(config)), undefined)
  })
})
