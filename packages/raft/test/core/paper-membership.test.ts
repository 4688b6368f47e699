/**
 * Changes of members and compaction in the words of the Raft paper, fact by fact, on real cores.
 * "§" is the paper's section (extended version), "diss. §" the dissertation's.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { effectsOf, group, lastAppendOf, propose } from './interaction/paper-stage.ts'
import { Stage } from './interaction/stage.ts'

describe('§6 cluster membership changes', () => {
  it('a change waits until an entry of the leader’s term is committed (T29)', () => {
    const stage = new Stage()
    stage.add([...'abc'], { voters: [...'abc'], outgoing: [], learners: [] })
    stage.campaign('a')
    stage.settle(['a', 'b', 'c'])
    stage.crash('a')
    stage.campaign('b')
    while (stage.status('b').role !== 'leader') {
      stage.deliver()
      stage.persist('b')
      stage.persist('c')
    }
    const ticket = stage.ticket()
    const change = { voters: ['b', 'c'], learners: [] }
    stage.step('b', { type: 'change-members', ticket, change })
    const refusal = effectsOf(stage, 'refused', 'b').at(-1)!.effect
    assert.ok(refusal.type === 'refused' && refusal.reason === 'change-in-progress')
    assert.match(refusal.detail, /nothing of term 2 is committed/)
    stage.settle()
    const effects = stage.step('b', { type: 'change-members', ticket, change })
    assert.ok(effects.some((effect) => effect.type === 'proposed'))
  })

  it('a leader that inherits a joint configuration leaves it', () => {
    const stage = group('abc')
    stage.add([...'de'], { voters: [], outgoing: [], learners: [] })
    stage.step('a', { type: 'change-members', ticket: 1, change: { voters: [...'cde'], learners: [] } })
    stage.persist('a')
    stage.deliver()
    for (const id of 'bcde') stage.persist(id)
    stage.crash('a')
    stage.drop()
    // c has the joint entry; d and e do not, and refuse nothing.
    stage.campaign('c')
    stage.settle()
    stage.wait(200, [...'bcde'])
    assert.equal(stage.leader(), 'c')
    assert.deepEqual(stage.status('c').config, { voters: [...'cde'], outgoing: [], learners: [] })
    assert.equal(stage.status('c').configCommitted, true)
  })

  it('a configuration whose entry is cut is out of force again (T30)', () => {
    const stage = group('abc')
    stage.isolate(['a'], ['b', 'c'])
    stage.step('a', { type: 'change-members', ticket: 1, change: { voters: ['a', 'b'], learners: [] } })
    stage.settle(['a'])
    assert.deepEqual(stage.status('a').config.voters, ['a', 'b'])
    stage.campaign('b')
    stage.settle(['b', 'c'])
    stage.heal()
    stage.wait(200, ['b', 'c'])
    assert.deepEqual(stage.status('a').config.voters, ['a', 'b', 'c'])
    assert.equal(stage.status('a').configIndex, 0)
  })

  it('a removed follower is told that its removal is committed, and asks for no votes', () => {
    const stage = group('abc')
    stage.step('a', { type: 'change-members', ticket: 1, change: { voters: ['a', 'b'], learners: [] } })
    stage.settle()
    stage.wait(200)
    assert.deepEqual(stage.status('c').config.voters, ['a', 'b'])
    assert.equal(stage.status('c').configCommitted, true)
    stage.wait(3000)
    assert.equal(stage.status('c').role, 'follower')
    assert.equal(stage.status('a').term, 1)
    assert.deepEqual(
      stage.status('a').peers.map((peer) => peer.id),
      ['b']
    )
  })

  it('a node without a configuration never campaigns, and takes what a leader sends', () => {
    const stage = new Stage()
    stage.add(['d'], { voters: [], outgoing: [], learners: [] })
    stage.wait(5000)
    assert.equal(stage.status('d').role, 'follower')
    assert.equal(stage.status('d').term, 0)
  })
})

describe('§7 log compaction', () => {
  it('a snapshot at or below what is committed is not fetched (T38)', () => {
    const stage = group('abc')
    propose(stage, 'a', 'x')
    stage.settle()
    const base = stage.actor('a').core.baseAt(1)!
    const effects = stage.forge('a', 'b', { type: 'install-snapshot-request', term: 1, base, readPosition: 0 })
    assert.ok(!effects.some((effect) => effect.type === 'install-snapshot'))
    const answer = effects.find((effect) => effect.type === 'send')
    assert.ok(answer?.type === 'send' && answer.message.type === 'install-snapshot-response')
    assert.equal(answer.message.outcome, 'installed')
  })

  it('while a snapshot is fetched the log takes nothing, so that nothing acknowledged can vanish with it', () => {
    const stage = group('abc')
    propose(stage, 'a', 'x', 'y')
    stage.drop((_, to) => to === 'b')
    stage.settle()
    const base = { ...stage.actor('a').core.baseAt(3)!, term: 1 }
    stage.crash('b')
    stage.actor('b').entries.length = 0
    stage.actor('b').appliedIndex = 0
    stage.restart('b')
    stage.forge('a', 'b', { type: 'install-snapshot-request', term: 1, base, readPosition: 0 })
    propose(stage, 'a', 'z')
    const effects = stage.forge('a', 'b', {
      ...lastAppendOf(stage, 'a'),
      prevIndex: 0,
      prevTerm: 0,
      prevChain: 0,
      entries: []
    })
    const answer = effects.find((effect) => effect.type === 'send')
    assert.ok(answer?.type === 'send' && answer.message.type === 'install-snapshot-response')
    assert.equal(answer.message.outcome, 'fetching')
    assert.equal(stage.status('b').lastIndex, 0)
  })

  it('the log keeps trailingEntries below what is compactable', () => {
    const stage = group('abc', { trailingEntries: 2 })
    propose(stage, 'a', '1', '2', '3', '4')
    stage.settle()
    stage.step('b', { type: 'compactable', index: 5 })
    assert.equal(stage.status('b').baseIndex, 3)
  })

  it('a leader keeps what its slowest live peer lacks, and forgets a peer that is silent for long', () => {
    const stage = group('abc')
    stage.isolate(['c'], ['a', 'b'])
    propose(stage, 'a', '1', '2', '3', '4')
    stage.settle()
    stage.step('a', { type: 'compactable', index: 5 })
    assert.equal(stage.status('a').baseIndex, 1)
    stage.wait(10_000, ['a', 'b'])
    stage.step('a', { type: 'compactable', index: 5 })
    assert.equal(stage.status('a').baseIndex, 5)
  })

  it('a leader compacts no further than a snapshot that a peer is fetching', () => {
    const stage = group('abc', { maxLogBytes: 60 })
    stage.isolate(['c'], ['a', 'b'])
    propose(stage, 'a', '1', '2', '3', '4')
    stage.settle()
    stage.step('a', { type: 'compactable', index: 5 })
    assert.equal(stage.status('a').baseIndex, 3, 'c does not hold more than maxLogBytes')
    stage.heal()
    stage.wait(100)
    stage.step('a', { type: 'snapshot-ready', base: stage.actor('a').core.baseAt(4)! })
    stage.settle()
    propose(stage, 'a', '6', '7', '8')
    stage.settle()
    stage.step('a', { type: 'compactable', index: 8 })
    assert.equal(stage.status('a').baseIndex, 4)
  })
})
