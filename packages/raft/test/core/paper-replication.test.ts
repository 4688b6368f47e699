/**
 * Replication and its safety in the words of the Raft paper, fact by fact, on real cores.
 * "§" is the paper's section (extended version), "diss. §" the dissertation's.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { effectsOf, group, lastAppendOf, propose, sentBy } from './interaction/paper-stage.ts'

describe('§5.3 log replication', () => {
  it('an entry is committed once a majority has it on disk, and applied in order', () => {
    const stage = group('abcde')
    propose(stage, 'a', 'x', 'y')
    stage.deliver((_, to) => to === 'b' || to === 'c')
    stage.persist('b')
    stage.deliver((_, to) => to === 'a')
    stage.persist('a')
    assert.equal(stage.status('a').commitIndex, 1, 'two of five')
    stage.persist('c')
    stage.deliver((_, to) => to === 'a')
    assert.equal(stage.status('a').commitIndex, 3)
    stage.settle()
    for (const id of 'abcde') assert.equal(stage.status(id).appliedIndex, 3)
  })

  it('the leader itself counts only what is on its own disk (T9)', () => {
    const stage = group('abc')
    stage.actor('a').diskHeld = true
    propose(stage, 'a', 'x')
    stage.isolate(['c'], ['a', 'b'])
    stage.settle()
    assert.equal(stage.status('a').commitIndex, 1, 'b has it, a has it in memory only')
    stage.persist('a')
    assert.equal(stage.status('a').commitIndex, 2)
  })

  it('a follower refuses entries that do not follow its log', () => {
    const stage = group('abc')
    propose(stage, 'a', 'x')
    stage.drop()
    propose(stage, 'a', 'y')
    stage.deliver((_, to) => to === 'b')
    assert.equal(stage.status('b').lastIndex, 1)
    stage.settle()
    assert.equal(stage.status('b').lastIndex, 3, 'and gets what it lacked')
  })

  it('an old append that arrives again removes nothing (T15)', () => {
    const stage = group('abc')
    propose(stage, 'a', 'x')
    const old = lastAppendOf(stage, 'a')
    stage.settle()
    propose(stage, 'a', 'y', 'z')
    stage.settle()
    stage.forge('a', 'b', old)
    assert.equal(stage.status('b').lastIndex, 4)
    assert.equal(stage.status('b').commitIndex, 4)
  })

  it('a heartbeat commits no further than it verified, however long the tail (T10, T12)', () => {
    const stage = group('abc')
    stage.isolate(['a'], ['b', 'c'])
    propose(stage, 'a', 'p', 'q', 'r')
    stage.settle(['a'])
    assert.equal(stage.status('a').lastIndex, 4)
    stage.forge('b', 'a', {
      ...lastAppendOf(stage, 'a'),
      term: 2,
      prevIndex: 1,
      prevTerm: 1,
      prevChain: stage.actor('b').core.entry(1)!.chain,
      entries: [],
      commitIndex: 3
    })
    assert.equal(stage.status('a').commitIndex, 1)
    const answer = sentBy(stage, 'a').findLast((message) => message.type === 'append-entries-response')
    assert.ok(answer?.type === 'append-entries-response' && answer.success)
    assert.equal(answer.index, 1)
  })

  it('an answer to entries leaves once they are durable, one to a heartbeat at once, with what is durable (T3)', () => {
    const stage = group('abc')
    stage.actor('b').diskHeld = true
    propose(stage, 'a', 'x')
    stage.deliver((_, to) => to === 'b')
    const heartbeat = stage.forge('a', 'b', {
      ...lastAppendOf(stage, 'a'),
      prevIndex: 2,
      prevTerm: 1,
      prevChain: stage.actor('a').core.entry(2)!.chain,
      entries: []
    })
    const answer = heartbeat.find((effect) => effect.type === 'send')
    assert.ok(answer?.type === 'send' && answer.message.type === 'append-entries-response')
    assert.equal(answer.message.index, 1)
  })

  it('entries cut and written again are not durable by the older write (T14)', () => {
    const stage = group('abc')
    stage.isolate(['a'], ['b', 'c'])
    propose(stage, 'a', 'p')
    const seq = stage.actor('a').writes.at(-1)!.seq
    stage.campaign('b')
    stage.settle(['b', 'c'])
    propose(stage, 'b', 'q')
    const append = lastAppendOf(stage, 'b')
    const noop = stage.actor('b').core.entry(2)!
    stage.forge('b', 'a', {
      ...append,
      prevIndex: 1,
      prevTerm: 1,
      prevChain: stage.actor('a').core.entry(1)!.chain,
      entries: [noop, ...append.entries]
    })
    stage.step('a', { type: 'persisted', seq })
    assert.equal(stage.status('a').lastIndex, 3)
    assert.equal(stage.status('a').durableIndex, 1)
    stage.step('a', { type: 'persisted', seq: stage.actor('a').writes.at(-1)!.seq })
    assert.equal(stage.status('a').durableIndex, 3)
  })

  it('a leader that would cut what is committed stops the follower instead (T16)', () => {
    const stage = group('abc')
    propose(stage, 'a', 'x')
    stage.settle()
    // Another history from the same place on: an entry of a later term where x is committed.
    const other = group('abc')
    other.forge('b', 'a', { type: 'vote-response', term: 4, granted: false })
    other.settle()
    other.campaign('a')
    other.settle()
    const entry = other.actor('a').core.entry(2)!
    stage.forge('c', 'b', {
      ...lastAppendOf(stage, 'a'),
      term: 6,
      prevIndex: 1,
      prevTerm: 1,
      prevChain: stage.actor('b').core.entry(1)!.chain,
      entries: [entry]
    })
    assert.match(stage.lines.at(-1)!, /HALT .*conflicts at 2.*committed here up to 2/)
  })

  it('a damaged entry is dropped with an alarm and harms nothing', () => {
    const stage = group('abc')
    propose(stage, 'a', 'x')
    const append = lastAppendOf(stage, 'a')
    const entry = append.entries[0]!
    const record = entry.record.slice()
    record[record.length - 1]! ^= 1
    stage.forge('a', 'b', { ...append, entries: [{ ...entry, record }] })
    assert.equal(effectsOf(stage, 'alarm', 'b').length, 1)
    assert.equal(stage.status('b').lastIndex, 1)
    stage.settle()
    assert.equal(stage.status('b').lastIndex, 2)
  })

  it('a log with another history under the same term is damage, and stops the node', () => {
    const stage = group('abc')
    stage.forge('a', 'b', { ...lastAppendOf(stage, 'a'), prevIndex: 1, prevTerm: 1, prevChain: 12345, entries: [] })
    assert.match(stage.lines.at(-1)!, /HALT a has another history at 1/)
  })

  it('messages run ahead of their answers up to the limit, and no further', () => {
    const stage = group('abc', { maxInflightMessages: 3 })
    stage.drop()
    for (let i = 0; i < 10; i++) propose(stage, 'a', `${i}`)
    const appends = sentBy(stage, 'a').filter(
      (message) => message.type === 'append-entries-request' && message.entries.length > 0 && message.prevIndex >= 1
    )
    assert.equal(appends.length, 2 * 3)
    stage.settle()
    assert.equal(stage.status('c').appliedIndex, 11)
  })

  it('proposals beyond the uncommitted limits are refused as busy, and taken again after a commit', () => {
    const stage = group('abc', { maxUncommittedEntries: 2 })
    propose(stage, 'a', 'x', 'y')
    propose(stage, 'a', 'z')
    const refusal = effectsOf(stage, 'refused', 'a')[0]!.effect
    assert.ok(refusal.type === 'refused' && refusal.reason === 'busy')
    stage.settle()
    assert.ok(propose(stage, 'a', 'z').some((effect) => effect.type === 'proposed'))
  })

  it('a payload beyond maxEntryBytes is refused with all that came with it', () => {
    const stage = group('abc', { maxEntryBytes: 3 })
    const effects = propose(stage, 'a', 'abc', 'abcd')
    assert.ok(effects.some((effect) => effect.type === 'refused' && effect.reason === 'too-large'))
    assert.equal(stage.status('a').lastIndex, 1)
  })

  it('a state machine is given no more than maxApplyEntries at a time', () => {
    const stage = group('a', { maxApplyEntries: 2 })
    propose(stage, 'a', '1', '2', '3', '4', '5')
    stage.persist('a')
    assert.deepEqual(
      stage.actor('a').applies.map((entries) => entries.length),
      [2]
    )
    stage.settle()
    assert.equal(stage.status('a').appliedIndex, 6)
  })
})

describe('§5.4 safety', () => {
  it('§5.4.1 a candidate whose log is behind gets no vote, even if it was voted for before (T1)', () => {
    const stage = group('abc')
    propose(stage, 'a', 'x')
    stage.settle()
    const effects = stage.forge('c', 'b', { type: 'vote-request', term: 5, lastIndex: 1, lastTerm: 1, transfer: true })
    stage.settle(['b'])
    const vote = sentBy(stage, 'b').findLast((message) => message.type === 'vote-response')
    assert.equal(vote?.type === 'vote-response' && vote.granted, false)
    assert.ok(effects.length > 0)
    assert.equal(stage.status('b').votedFor, undefined, 'the term was followed, the vote kept (T4)')
  })

  it('§5.4.3 every acknowledged entry survives the crash of the leader and a minority', () => {
    const stage = group('abcde')
    propose(stage, 'a', 'x')
    stage.isolate(['d', 'e'], ['a', 'b', 'c'])
    stage.settle()
    assert.equal(stage.status('a').commitIndex, 2)
    stage.crash('a')
    stage.crash('b')
    stage.heal()
    stage.campaign('d')
    stage.settle()
    assert.notEqual(stage.status('d').role, 'leader', 'its log lacks x, and c does not vote for it')
    stage.campaign('c')
    stage.settle()
    stage.wait(100, ['c', 'd', 'e'])
    assert.equal(stage.leader(), 'c')
    assert.equal(stage.status('e').appliedIndex, stage.status('c').commitIndex)
  })
})
