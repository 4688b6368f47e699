/**
 * Linearizable reads in the words of the dissertation, fact by fact, on real cores.
 * "§" is the paper's section (extended version), "diss. §" the dissertation's.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { effectsOf, group } from './interaction/paper-stage.ts'
import { Stage } from './interaction/stage.ts'

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
