/** A member whose data was lost, or put back to an older copy, and who runs on under its old name (T18, T34, T35). */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EMPTY_CONFIG } from '../../src/core/members.ts'
import { Stage } from './interaction/stage.ts'

const propose = (stage: Stage, count: number): void => {
  for (let i = 0; i < count; i++) {
    stage.step('a', { type: 'propose', ticket: stage.ticket(), payloads: [Uint8Array.of(i)] })
    stage.settle()
  }
}

/** Leader `a`, and `c` without its disk. */
function wiped(): Stage {
  const stage = new Stage()
  stage.add([...'abc'], { voters: [...'abc'], outgoing: [], learners: [] })
  stage.campaign('a')
  stage.settle()
  propose(stage, 5)
  stage.crash('c')
  const actor = stage.actor('c')
  actor.hardState = { term: 0, votedFor: undefined }
  actor.base = { index: 0, term: 0, chain: 0, config: EMPTY_CONFIG }
  actor.entries = []
  actor.appliedIndex = 0
  stage.restart('c')
  return stage
}

const alarms = (stage: Stage): string[] => stage.lines.filter((line) => line.includes('ALARM'))

describe('a member that lost its log', () => {
  it('is reported once by the leader, is sent nothing as if it had the rest, and does not look caught up', () => {
    const stage = wiped()
    stage.wait(20_000)
    assert.equal(alarms(stage).length, 1)
    assert.match(alarms(stage)[0]!, /^a ALARM peer-lost-log: c does not hold entry 6, which it had acknowledged/)
    assert.equal(stage.status('a').peers.find(({ id }) => id === 'c')?.state, 'probe')
    assert.equal(stage.status('c').lastIndex, 0)
    propose(stage, 1)
    assert.equal(stage.status('a').commitIndex, 7)
  })

  it('is brought up once it was removed and added again', () => {
    const stage = wiped()
    const change = (voters: string, learners = '') => {
      stage.step('a', {
        type: 'change-members',
        ticket: stage.ticket(),
        change: { voters: [...voters], learners: [...learners] }
      })
      stage.settle()
    }
    change('ab')
    change('ab', 'c')
    stage.wait(1000)
    change('abc')
    stage.wait(1000)
    assert.deepEqual(alarms(stage), [])
    assert.equal(stage.status('c').commitIndex, stage.status('a').commitIndex)
    assert.deepEqual(stage.status('c').config, { voters: [...'abc'], outgoing: [], learners: [] })
  })

  it('is no more than late refusals, as long as it acknowledges anything', () => {
    const stage = new Stage()
    stage.add([...'ab'], { voters: [...'ab'], outgoing: [], learners: [] })
    stage.campaign('a')
    stage.settle()
    propose(stage, 3)
    const { term } = stage.status('a')
    for (let i = 0; i < 500; i++) {
      if (i % 50 === 0) stage.wait(200)
      const late = {
        success: false,
        index: 2,
        hintIndex: 1,
        hintTerm: 1,
        readPosition: 0,
        health: 'good',
        priority: 0
      } as const
      stage.forge('b', 'a', { type: 'append-entries-response', term, ...late })
    }
    assert.deepEqual(alarms(stage), [])
  })
})
