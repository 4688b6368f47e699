/**
 * What the Raft paper and the dissertation promise, fact by fact, on real cores. "§" is the paper's section (extended version),
 * "diss. §" the dissertation's.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AppendEntriesRequest, Message } from '../../src/core/messages.ts'
import type { CoreOptions, NodeId } from '../../src/core/types.ts'
import { Stage } from './interaction/stage.ts'

const command = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A group that settled under the leader `a`. */
const group = (ids: string, options: Partial<CoreOptions> = {}, learners = ''): Stage => {
  const stage = new Stage(options)
  stage.add([...ids, ...learners], { voters: [...ids], outgoing: [], learners: [...learners] })
  stage.campaign('a')
  stage.settle()
  assert.equal(stage.leader(), 'a')
  return stage
}

const propose = (stage: Stage, id: NodeId, ...texts: string[]) =>
  stage.step(id, { type: 'propose', ticket: stage.ticket(), payloads: texts.map(command) })

const sentBy = (stage: Stage, id: NodeId): Message[] =>
  stage.effects.flatMap(({ node, effect }) => {
    if (node !== id) return []
    if (effect.type === 'send') return [effect.message]
    return effect.type === 'persist' ? effect.release.map((envelope) => envelope.message) : []
  })

/** The last message with entries, or heartbeat, that `id` sent to anybody. */
const lastAppendOf = (stage: Stage, id: NodeId): AppendEntriesRequest => {
  const last = sentBy(stage, id).findLast((message) => message.type === 'append-entries-request')
  assert.ok(last?.type === 'append-entries-request')
  return last
}

const effectsOf = (stage: Stage, type: string, id?: NodeId) =>
  stage.effects.filter(({ node, effect }) => effect.type === type && (id === undefined || node === id))

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

describe('§8 and diss. §6.4 client interaction', () => {
  it('a leader answers no read before a quorum confirmed it (T48)', () => {
    const stage = group('abc')
    stage.step('a', { type: 'read', ticket: 7 })
    assert.equal(effectsOf(stage, 'read-ready').length, 0)
    stage.deliver()
    stage.deliver((from) => from === 'b')
    assert.equal(effectsOf(stage, 'read-ready').length, 1)
  })

  it('a leader answers no read before it committed in its own term (T46)', () => {
    const stage = new Stage()
    stage.add([...'abc'], { voters: [...'abc'], outgoing: [], learners: [] })
    stage.campaign('a')
    while (stage.status('a').role !== 'leader') {
      stage.deliver()
      for (const id of 'abc') stage.persist(id)
    }
    stage.actor('b').diskHeld = true
    stage.actor('c').diskHeld = true
    stage.step('a', { type: 'read', ticket: 7 })
    stage.settle()
    assert.ok(
      stage.status('a').peers.every((peer) => peer.lastContactAgoMs === 0),
      'both confirmed'
    )
    assert.equal(effectsOf(stage, 'read-ready').length, 0)
    stage.persist('b')
    stage.settle()
    assert.equal(effectsOf(stage, 'read-ready').length, 1)
  })

  it('an answer confirms only reads that came before the message it answers (T47)', () => {
    const stage = group('abc')
    stage.step('a', { type: 'read', ticket: 1 })
    // The answers to the first round are under way when the second read comes.
    stage.deliver((_, to) => to !== 'a')
    stage.step('a', { type: 'read', ticket: 2 })
    stage.deliver((_, to) => to === 'a')
    assert.deepEqual(
      effectsOf(stage, 'read-ready').map(({ effect }) => effect.type === 'read-ready' && effect.ticket),
      [1]
    )
  })

  it('a read on a node without a leader is refused after a while, not kept for ever', () => {
    const stage = new Stage()
    stage.add([...'abc'], { voters: [...'abc'], outgoing: [], learners: [] })
    stage.isolate(['a'], ['b', 'c'])
    stage.step('a', { type: 'read', ticket: 5 })
    stage.wait(1000, ['a'])
    const refusal = effectsOf(stage, 'refused', 'a')[0]?.effect
    assert.ok(refusal?.type === 'refused' && refusal.reason === 'leadership-lost' && refusal.ticket === 5)
  })

  it('reads that wait on a follower are answered by itself once it leads', () => {
    const stage = group('abc')
    stage.crash('a')
    stage.step('b', { type: 'read', ticket: 5 })
    stage.campaign('b')
    stage.settle()
    stage.wait(100, ['b', 'c'])
    assert.ok(effectsOf(stage, 'read-ready', 'b').length === 1 || effectsOf(stage, 'refused', 'b').length === 1)
    assert.equal(effectsOf(stage, 'read-ready', 'b').length, 1)
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

describe('the core itself', () => {
  it('answers nothing after it halted', () => {
    const stage = new Stage()
    stage.add(['a'], { voters: ['a'], outgoing: [], learners: [] })
    const { core } = stage.actor('a')
    const out: Parameters<typeof core.step>[2] = []
    core.step({ type: 'applied', index: 99 }, 1, out)
    assert.deepEqual(
      out.map((effect) => effect.type),
      ['halt']
    )
    core.step({ type: 'tick' }, 1000, out)
    assert.equal(out.length, 1)
  })

  it('halts when time goes back', () => {
    const stage = group('abc')
    const out: Parameters<ReturnType<Stage['actor']>['core']['step']>[2] = []
    stage.actor('a').core.step({ type: 'tick' }, 1, out)
    assert.ok(out[0]?.type === 'halt')
  })

  it('refuses options that make no sense, by name and value', () => {
    assert.throws(() => new Stage({ heartbeatMs: 200 }).add(['a'], { voters: ['a'], outgoing: [], learners: [] }), {
      name: 'RangeError',
      message: /heartbeatMs is 200/
    })
    assert.throws(() => new Stage({ maxAppendBytes: 0 }).add(['a'], { voters: ['a'], outgoing: [], learners: [] }), {
      name: 'RangeError',
      message: /maxAppendBytes is 0/
    })
  })
})
