import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Stage } from './interaction/stage.ts'

describe('a peer that can never take a snapshot', () => {
  it('is offered one ever more rarely, and at once again after it has caught up', () => {
    const stage = new Stage({ electionTimeoutMs: 300, heartbeatMs: 60 })
    stage.add([...'abc'], { voters: [...'abc'], outgoing: [], learners: [] })
    stage.campaign('a')
    stage.settle()
    stage.crash('c')
    for (let i = 0; i < 5; i++) {
      stage.step('a', { type: 'propose', ticket: stage.ticket(), payloads: [Uint8Array.of(i)] })
      stage.settle()
    }
    const grow = () => {
      stage.wait(21 * 300, ['a', 'b'])
      stage.step('a', { type: 'compactable', index: stage.status('a').appliedIndex })
      assert.equal(stage.status('a').baseIndex, stage.status('a').lastIndex)
      stage.restart('c')
    }
    grow()
    let offers = 0
    const run = (ms: number, take: boolean): void => {
      for (const end = stage.nowMs + ms; stage.nowMs < end; ) {
        stage.wait(20)
        if (stage.lines.some((line) => line === 'a needs a snapshot for c')) {
          stage.lines.length = 0
          stage.step('a', { type: 'snapshot-ready', base: stage.actor('a').base })
          stage.settle()
        }
        const { installing } = stage.actor('c')
        if (installing === undefined) continue
        offers++
        if (take) {
          stage.install('c')
        } else {
          stage.actor('c').installing = undefined
          stage.step('c', { type: 'snapshot-failed', index: installing.base.index })
        }
        stage.settle()
      }
    }
    run(20_000, false)
    assert.ok(offers >= 6 && offers <= 12, `${offers} offers in 20 s`)
    run(5_000, true)
    assert.equal(stage.status('c').commitIndex, stage.status('a').commitIndex)
    stage.crash('c')
    stage.step('a', { type: 'propose', ticket: stage.ticket(), payloads: [Uint8Array.of(9)] })
    stage.settle()
    grow()
    offers = 0
    run(1000, false)
    assert.ok(offers >= 3, `${offers} offers in the first second`)
  })
})
