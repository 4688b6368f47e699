/**
 * Elections in the words of the Raft paper and the dissertation, fact by fact, on real cores: terms, votes, pre-votes, leaders without a quorum.
 * "§" is the paper's section (extended version), "diss. §" the dissertation's.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { NodeId } from '../../src/core/types.ts'
import { effectsOf, group, lastAppendOf, sentBy } from './interaction/paper-stage.ts'
import { Stage } from './interaction/stage.ts'

describe('§5.1 terms', () => {
  it('a leader that hears of a higher term follows', () => {
    const stage = group('abc')
    stage.forge('b', 'a', { type: 'vote-response', term: 9, granted: false })
    assert.equal(stage.status('a').role, 'follower')
    assert.equal(stage.status('a').term, 9)
    assert.equal(stage.status('a').votedFor, undefined)
  })

  it('a message of an older term is refused with the newer term, and changes nothing', () => {
    const stage = group('abc')
    stage.forge('b', 'a', { type: 'vote-response', term: 9, granted: false })
    stage.settle(['a'])
    const before = stage.status('a')
    const request = lastAppendOf(stage, 'a')
    const effects = stage.forge('c', 'a', request)
    assert.deepEqual(stage.status('a'), before)
    const answer = effects[0]
    assert.ok(answer?.type === 'send' && answer.message.type === 'append-entries-response')
    assert.equal(answer.message.success, false)
    assert.equal(answer.message.term, 9)
  })
})

describe('§5.2 leader election', () => {
  it('a node votes once a term, for whoever asked first', () => {
    const stage = new Stage()
    stage.add([...'abc'], { voters: [...'abc'], outgoing: [], learners: [] })
    const ask = { type: 'vote-request', term: 3, lastIndex: 0, lastTerm: 0, transfer: false } as const
    stage.forge('b', 'a', ask)
    stage.forge('c', 'a', ask)
    stage.settle(['a'])
    const votes = sentBy(stage, 'a').filter((message) => message.type === 'vote-response')
    assert.deepEqual(
      votes.map((vote) => vote.granted),
      [true, false]
    )
  })

  it('a vote survives a crash: the same candidate gets it again, another does not', () => {
    const stage = new Stage()
    stage.add([...'abc'], { voters: [...'abc'], outgoing: [], learners: [] })
    const ask = { type: 'vote-request', term: 3, lastIndex: 0, lastTerm: 0, transfer: false } as const
    stage.forge('b', 'a', ask)
    stage.settle(['a'])
    stage.crash('a')
    stage.restart('a')
    stage.effects.length = 0
    stage.forge('c', 'a', ask)
    stage.forge('b', 'a', ask)
    stage.settle(['a'])
    const votes = sentBy(stage, 'a').filter((message) => message.type === 'vote-response')
    assert.deepEqual(
      votes.map((vote) => vote.granted),
      [false, true]
    )
  })

  it('a vote that was asked for twice leaves only once it is durable, both times (T3)', () => {
    const stage = new Stage()
    stage.add([...'abc'], { voters: [...'abc'], outgoing: [], learners: [] })
    const ask = { type: 'vote-request', term: 3, lastIndex: 0, lastTerm: 0, transfer: false } as const
    stage.forge('c', 'a', { type: 'vote-response', term: 3, granted: false })
    stage.persist('a')
    stage.forge('b', 'a', ask)
    const again = stage.forge('b', 'a', ask)
    assert.deepEqual(
      again.map((effect) => effect.type),
      ['persist']
    )
  })

  it('a candidate does not count its own vote before it is durable (T5)', () => {
    const stage = new Stage()
    stage.add(['a'], { voters: ['a'], outgoing: [], learners: [] })
    assert.equal(stage.status('a').role, 'candidate')
    stage.persist('a')
    assert.equal(stage.status('a').role, 'leader')
  })

  it('a candidate that hears the leader of its term follows it', () => {
    const stage = new Stage()
    stage.add([...'abc'], { voters: [...'abc'], outgoing: [], learners: [] })
    stage.campaign('b')
    stage.deliver()
    stage.deliver()
    assert.equal(stage.status('b').role, 'candidate')
    const { term } = stage.status('b')
    stage.forge('c', 'b', {
      type: 'append-entries-request',
      term,
      prevIndex: 0,
      prevTerm: 0,
      prevChain: 0,
      entries: [],
      commitIndex: 0,
      readPosition: 0
    })
    assert.equal(stage.status('b').role, 'follower')
    assert.equal(stage.status('b').leader, 'c')
  })

  it('two leaders in one term stop the node that hears of both', () => {
    const stage = group('abc')
    stage.forge('c', 'a', { ...lastAppendOf(stage, 'a') })
    assert.equal(effectsOf(stage, 'halt', 'a').length, 1)
  })

  it('the only voter leads without waiting for a timeout', () => {
    const stage = new Stage()
    stage.add(['a'], { voters: ['a'], outgoing: [], learners: [] })
    stage.settle()
    assert.equal(stage.status('a').role, 'leader')
    assert.equal(stage.status('a').commitIndex, 1)
  })

  it('election timeouts lie between one and two electionTimeoutMs, and differ', () => {
    const stage = new Stage()
    const ids = [...'abcdefgh']
    stage.add(ids, { voters: ids, outgoing: [], learners: [] })
    const times = new Map<NodeId, number>()
    while (times.size < ids.length && stage.nowMs < 2000) {
      stage.nowMs += 1
      for (const id of ids) {
        stage.step(id, { type: 'tick' })
        if (stage.status(id).role === 'pre-candidate' && !times.has(id)) times.set(id, stage.nowMs)
      }
    }
    assert.equal(times.size, ids.length)
    for (const took of times.values()) assert.ok(took >= 450 && took <= 900, `${took}`)
    assert.ok(new Set(times.values()).size > ids.length / 2)
  })
})

describe('diss. §6.2 and §9.6 leaders without a quorum, and pre-vote', () => {
  it('a leader that hears no quorum for an election timeout follows (T21)', () => {
    const stage = group('abc')
    stage.isolate(['a'], ['b', 'c'])
    stage.wait(600, ['a'])
    assert.equal(stage.status('a').role, 'follower')
    assert.equal(stage.status('a').term, 1)
  })

  it('a leader that was itself stopped for long does not take the silence for that of its peers (T26)', () => {
    const stage = group('abc')
    stage.nowMs += 5000
    stage.step('a', { type: 'tick' })
    assert.equal(stage.status('a').role, 'leader')
  })

  it('a pre-vote changes neither term, vote nor timer of who is asked (T22)', () => {
    const stage = group('abc')
    const before = stage.status('b')
    stage.forge('c', 'b', { type: 'pre-vote-request', term: 2, lastIndex: 1, lastTerm: 1 })
    assert.deepEqual(stage.status('b'), before)
  })

  it('followers grant a pre-vote to the leader that stepped down, though they heard it lately (T22)', () => {
    const stage = group('abc')
    stage.wait(75)
    const effects = stage.forge('a', 'b', { type: 'pre-vote-request', term: 2, lastIndex: 1, lastTerm: 1 })
    const answer = effects[0]
    assert.ok(answer?.type === 'send' && answer.message.type === 'pre-vote-response')
    assert.equal(answer.message.granted, true)
  })

  it('a node that is behind learns the term from the refusal of its pre-vote', () => {
    const stage = group('abc')
    stage.isolate(['c'], ['a', 'b'])
    stage.forge('b', 'a', { type: 'vote-response', term: 7, granted: false })
    stage.settle(['a', 'b'])
    stage.heal()
    stage.campaign('c')
    stage.settle()
    assert.equal(stage.status('c').term, 7)
  })
})
