/** What keeps the memory of a node bounded when a part of it is slow, or a peer sends without end. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { makeEntry } from '../../src/core/record.ts'
import type { CoreOptions } from '../../src/core/types.ts'
import { Stage } from './interaction/stage.ts'

/** The only voter, as leader. */
function alone(options: Partial<CoreOptions>): Stage {
  const stage = new Stage(options)
  stage.add(['a'], { voters: ['a'], outgoing: [], learners: [] })
  stage.settle()
  return stage
}

const answerTo = (stage: Stage, ...payloads: Uint8Array[]) =>
  stage
    .step('a', { type: 'propose', ticket: stage.ticket(), payloads })
    .find((effect) => effect.type === 'proposed' || effect.type === 'refused')

describe('a slow state machine', () => {
  it('makes the leader refuse once too many entries are committed and not applied', () => {
    const stage = alone({ maxUncommittedEntries: 3 })
    const payload = new Uint8Array(10)
    assert.equal(answerTo(stage, payload, payload, payload)?.type, 'proposed')
    stage.persist('a')
    assert.equal(stage.status('a').commitIndex, stage.status('a').lastIndex)
    const refused = answerTo(stage, payload)
    assert.ok(refused?.type === 'refused' && refused.reason === 'busy')
    assert.match(refused.detail, /3 entries with 102 bytes are not applied yet, 0 of them not committed/)
    stage.settle()
    assert.equal(answerTo(stage, payload)?.type, 'proposed')
  })

  it('makes it refuse once they have too many bytes, and a new leader counts what it finds', () => {
    const stage = alone({ maxUncommittedBytes: 1000 })
    assert.equal(answerTo(stage, new Uint8Array(900))?.type, 'proposed')
    stage.persist('a')
    assert.equal(answerTo(stage, new Uint8Array(900))?.type, 'refused')
    stage.crash('a')
    stage.restart('a')
    stage.persist('a')
    assert.equal(stage.status('a').role, 'leader')
    assert.equal(answerTo(stage, new Uint8Array(900))?.type, 'refused')
    stage.settle()
    assert.equal(answerTo(stage, new Uint8Array(900))?.type, 'proposed')
  })
})

describe('a state machine that is slower than that of the leader', () => {
  /** `c` applies nothing more; the others go on without it. */
  function slow(options: Partial<CoreOptions>): Stage {
    const stage = new Stage({ maxInflightMessages: 2, maxAppendBytes: 100, ...options })
    stage.add([...'abc'], { voters: [...'abc'], outgoing: [], learners: [] })
    stage.campaign('a')
    stage.settle()
    stage.actor('c').applyHeld = true
    return stage
  }

  function proposeOneByOne(stage: Stage, count: number): void {
    for (let i = 0; i < count; i++) {
      assert.equal(answerTo(stage, new Uint8Array(10))?.type, 'proposed')
      stage.settle()
    }
  }

  for (const [what, options] of [
    ['entries', { maxUncommittedEntries: 10 }],
    ['bytes', { maxUncommittedBytes: 340 }]
  ] as const) {
    it(`lets a log grow by so many ${what}, and the window of the leader, and no further`, () => {
      const stage = slow(options)
      proposeOneByOne(stage, 100)
      const { appliedIndex, lastIndex } = stage.status('c')
      assert.equal(appliedIndex, 1)
      assert.ok(lastIndex > 10 && lastIndex < 20, `${lastIndex} entries`)
      assert.equal(stage.status('a').appliedIndex, 101)
      // Heartbeats do not let it grow either.
      stage.wait(1000)
      proposeOneByOne(stage, 10)
      assert.ok(stage.status('c').lastIndex < 20)
    })
  }

  it('catches up when it goes on, without a new entry', () => {
    const stage = slow({ maxUncommittedEntries: 10 })
    proposeOneByOne(stage, 100)
    stage.actor('c').applyHeld = false
    stage.wait(1000)
    assert.equal(stage.status('c').appliedIndex, 101)
    assert.equal(stage.status('a').peers.find(({ id }) => id === 'c')?.matchIndex, 101)
  })

  it('never keeps a group from committing, although nobody can apply before it does', () => {
    const stage = new Stage({ maxUncommittedEntries: 3 })
    stage.add([...'ab'], { voters: [...'ab'], outgoing: [], learners: [] })
    stage.campaign('a')
    stage.settle()
    for (let i = 0; i < 10; i++) {
      const payloads = Array.from({ length: 3 }, () => new Uint8Array(10))
      assert.equal(answerTo(stage, ...payloads)?.type, 'proposed')
      stage.settle()
    }
    assert.equal(stage.status('b').appliedIndex, 31)
  })
})

describe('a disk that hangs', () => {
  it('lets no more than so many answers gather behind it', () => {
    const stage = new Stage()
    stage.add([...'ab'], { voters: [...'ab'], outgoing: [], learners: [] })
    stage.forge('b', 'a', { type: 'vote-response', term: 9, granted: false })
    for (let i = 0; i < 20_000; i++) {
      stage.forge('b', 'a', { type: 'pre-vote-request', term: 10, lastIndex: 0, lastTerm: 0 })
    }
    assert.equal(stage.actor('a').writes.length, 16_384)
    // What is to be remembered is written all the same.
    stage.forge('b', 'a', { type: 'vote-request', term: 10, lastIndex: 0, lastTerm: 0, transfer: true })
    assert.deepEqual(stage.actor('a').writes.at(-1)?.hardState, { term: 10, votedFor: 'b' })
  })
})

describe('entries that reach over the beginning of the log', () => {
  it('are compared with the one that the log begins after', () => {
    const stage = alone({})
    for (let i = 0; i < 3; i++) answerTo(stage, Uint8Array.of(i))
    stage.settle()
    stage.step('a', { type: 'compactable', index: 3 })
    const { base } = stage.actor('a')
    assert.equal(base.index, 3)
    const other = makeEntry(3, base.term, 1, Uint8Array.of(99), 0, crc32)
    const next = makeEntry(4, base.term, 1, Uint8Array.of(2), other.chain, crc32)
    stage.forge('b', 'a', {
      type: 'append-entries-request',
      term: stage.status('a').term + 1,
      prevIndex: 2,
      prevTerm: base.term,
      prevChain: 0,
      entries: [other, next],
      commitIndex: 0,
      readPosition: 0
    })
    assert.match(stage.lines.at(-1) ?? '', /HALT b has another entry 3 than the one that this log begins after/)
  })
})
