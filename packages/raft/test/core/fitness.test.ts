/** What the transcripts `t23-…` and `t24-…` do not tell of health and priority. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { campaignDelayMs, jitterShare } from '../../src/core/fitness.ts'
import { checkCoreOptions, defaultCoreOptions } from '../../src/core/options.ts'
import type { CoreOptions, Health, NodeId } from '../../src/core/types.ts'
import { Stage } from './interaction/stage.ts'

function group(options: Partial<CoreOptions> = {}, own: Readonly<Record<NodeId, number>> = {}): Stage {
  const stage = new Stage(options)
  for (const [id, priority] of Object.entries(own)) stage.own(id, 'priority', priority)
  stage.add([...'abc'], { voters: [...'abc'], outgoing: [], learners: [] })
  stage.campaign('a')
  stage.settle()
  stage.wait(100)
  assert.equal(stage.leader(), 'a')
  return stage
}

const feel = (stage: Stage, id: NodeId, health: Health): void => void stage.step(id, { type: 'health', health })

/** After how much silence a follower of `a` campaigns. */
function silenceUntilCampaign(stage: Stage, id: NodeId): number {
  stage.crash('a')
  const start = stage.nowMs
  while (stage.status(id).role === 'follower') {
    stage.nowMs += 5
    stage.step(id, { type: 'tick' })
  }
  return stage.nowMs - start
}

describe('priority', () => {
  it('is a whole number from -4 to 4', () => {
    for (const priority of [-4, 0, 4]) checkCoreOptions({ ...defaultCoreOptions, priority })
    for (const priority of [-5, 5, 0.5, Number.NaN]) {
      assert.throws(() => checkCoreOptions({ ...defaultCoreOptions, priority }), RangeError)
    }
  })

  it('makes low ones wait, and lets high ones draw from the early part of the usual span', () => {
    const options = (priority: number): CoreOptions => ({ ...defaultCoreOptions, electionTimeoutMs: 400, priority })
    assert.equal(campaignDelayMs(options(0), 'good'), 0)
    assert.equal(campaignDelayMs(options(3), 'good'), 0)
    assert.equal(campaignDelayMs(options(-1), 'good'), 200)
    assert.equal(campaignDelayMs(options(-4), 'good'), 800)
    assert.equal(jitterShare(options(-4)), 1)
    assert.equal(jitterShare(options(0)), 1)
    assert.equal(jitterShare(options(4)), 0.2)
  })

  it('of a peer is known to the leader, and does not move a leader that has just begun', () => {
    const stage = group({}, { b: 3 })
    assert.deepEqual(
      stage.status('a').peers.map(({ id, priority }) => [id, priority]),
      [
        ['b', 3],
        ['c', 0]
      ]
    )
    stage.wait(2000)
    assert.equal(stage.leader(), 'a')
  })

  it('does not bring in who is not well', () => {
    const stage = group({}, { b: 3 })
    feel(stage, 'b', 'degraded')
    stage.wait(10_000)
    assert.equal(stage.leader(), 'a')
    feel(stage, 'b', 'good')
    stage.wait(1000)
    assert.equal(stage.leader(), 'b')
  })

  it('waits after the loss of a stream as well', () => {
    const stage = group({}, { b: -2 })
    stage.crash('a')
    stage.step('b', { type: 'peer-down', peer: 'a' })
    stage.wait(300, ['b'])
    assert.equal(stage.status('b').role, 'follower')
    stage.wait(400, ['b'])
    assert.equal(stage.leader(), 'b')
  })
})

describe('health', () => {
  it('moves the time of the next campaign when it changes, there and back', () => {
    const good = silenceUntilCampaign(group(), 'b')
    const unfit = group()
    feel(unfit, 'b', 'unfit')
    assert.equal(silenceUntilCampaign(unfit, 'b'), good + 2 * defaultCoreOptions.electionTimeoutMs)
    const recovered = group()
    feel(recovered, 'b', 'unfit')
    feel(recovered, 'b', 'degraded')
    feel(recovered, 'b', 'good')
    assert.equal(silenceUntilCampaign(recovered, 'b'), good)
  })

  it('of a follower never makes its leader go', () => {
    const stage = group()
    feel(stage, 'b', 'unfit')
    stage.wait(6000)
    assert.equal(stage.leader(), 'a')
    assert.equal(stage.status('a').term, 1)
  })

  it('keeps a leader where nobody is clearly well, or where the unfitness is too fresh to know who shares it', () => {
    const stage = group()
    feel(stage, 'a', 'unfit')
    stage.wait(800)
    feel(stage, 'b', 'degraded')
    feel(stage, 'c', 'degraded')
    stage.wait(10_000)
    assert.equal(stage.leader(), 'a')
    feel(stage, 'c', 'good')
    stage.wait(200)
    assert.equal(stage.leader(), 'c')
  })

  it('gives up a hand-over of its own accord once the heir is no longer clearly well', () => {
    const stage = group()
    stage.actor('b').diskHeld = true
    stage.actor('c').diskHeld = true
    stage.step('a', { type: 'propose', ticket: stage.ticket(), payloads: [new Uint8Array(1)] })
    feel(stage, 'a', 'unfit')
    stage.wait(900)
    feel(stage, 'b', 'degraded')
    stage.settle()
    const effects = stage.step('a', { type: 'propose', ticket: stage.ticket(), payloads: [new Uint8Array(1)] })
    assert.equal(effects.find(({ type }) => type === 'refused' || type === 'proposed')?.type, 'refused')
    stage.wait(75)
    const later = stage.step('a', { type: 'propose', ticket: stage.ticket(), payloads: [new Uint8Array(1)] })
    assert.equal(later.find(({ type }) => type === 'refused' || type === 'proposed')?.type, 'proposed')
  })

  it('costs an only voter that lost its lead no time', () => {
    const stage = new Stage()
    stage.add(['a'], { voters: ['a'], outgoing: [], learners: [] })
    stage.settle()
    feel(stage, 'a', 'unfit')
    stage.nowMs += 1000
    stage.forge('b', 'a', { type: 'vote-response', term: 9, granted: false })
    assert.equal(stage.status('a').role, 'follower')
    stage.nowMs += 300
    stage.step('a', { type: 'tick' })
    stage.settle()
    assert.equal(stage.leader(), 'a')
    assert.equal(stage.status('a').term, 10)
  })

  it('lets an only voter lead, whatever it thinks of itself', () => {
    const stage = new Stage()
    stage.add(['a'], { voters: ['a'], outgoing: [], learners: [] })
    stage.settle()
    feel(stage, 'a', 'unfit')
    stage.wait(6000)
    assert.equal(stage.leader(), 'a')
  })

  it('turns a hand-over that is under way to another, if the heir falls ill', () => {
    const stage = group()
    stage.step('a', { type: 'propose', ticket: stage.ticket(), payloads: [new Uint8Array(1)] })
    stage.step('a', { type: 'transfer', ticket: stage.ticket(), to: undefined })
    feel(stage, 'b', 'unfit')
    stage.settle()
    assert.equal(stage.leader(), 'c')
  })

  it('does not overrule who names the next leader', () => {
    const stage = group()
    feel(stage, 'b', 'unfit')
    stage.wait(100)
    stage.step('a', { type: 'transfer', ticket: stage.ticket(), to: 'b' })
    stage.settle()
    assert.equal(stage.leader(), 'b')
  })

  it('leaves nobody to hand over to if all are unfit, and says so', () => {
    const stage = group()
    feel(stage, 'b', 'unfit')
    feel(stage, 'c', 'unfit')
    stage.wait(100)
    const [refused] = stage.step('a', { type: 'transfer', ticket: stage.ticket(), to: undefined })
    assert.ok(refused?.type === 'refused')
    assert.match(refused.detail, /there is no other voter that is fit to lead/)
  })

  it('does not let leadership wander while it wavers: after an attempt there is peace', () => {
    const stage = group()
    stage.cut(['b>a', 'c>a', 'a>b', 'a>c'])
    stage.heal()
    for (let i = 0; i < 40; i++) {
      const leader = stage.leader() ?? 'a'
      feel(stage, leader, 'unfit')
      stage.wait(500)
      feel(stage, leader, 'good')
    }
    // Twenty seconds: each new leader stays two election timeouts at the least.
    assert.ok(stage.status('a').term <= 1 + 20_000 / (2 * defaultCoreOptions.electionTimeoutMs))
  })
})
