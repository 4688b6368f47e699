/** What the transcripts `t49-…` do not tell of leases: how they are set up, and what voids them. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkCoreOptions, defaultCoreOptions } from '../../src/core/options.ts'
import type { CoreOptions } from '../../src/core/types.ts'
import { Stage } from './interaction/stage.ts'

const command = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A group that settled under the leader `a`, which took a lease if it may. */
function group(ids: string, options: Partial<CoreOptions> = { leaseMs: 300 }): Stage {
  const stage = new Stage(options)
  stage.add([...ids], { voters: [...ids], outgoing: [], learners: [] })
  stage.campaign('a')
  stage.settle()
  stage.wait(100)
  assert.equal(stage.leader(), 'a')
  return stage
}

const remaining = (stage: Stage, id = 'a'): number => stage.status(id).leaseRemainingMs

describe('a lease', () => {
  it('is below the election timeout, with room for clocks that run apart', () => {
    const options = (leaseMs: number): CoreOptions => ({ ...defaultCoreOptions, leaseMs })
    checkCoreOptions(options(0))
    checkCoreOptions(options(405))
    assert.throws(() => checkCoreOptions(options(406)), /leaseMs is 406/)
    assert.throws(() => checkCoreOptions(options(-1)), /leaseMs is -1/)
    assert.throws(() => checkCoreOptions(options(1.5)), /leaseMs is 1.5/)
    const patient = { ...defaultCoreOptions, electionTimeoutMs: 100_000 }
    checkCoreOptions({ ...patient, leaseMs: 60_000 })
    assert.throws(() => checkCoreOptions({ ...patient, leaseMs: 60_001 }), /leaseMs is 60001/)
  })

  it('is not taken without leaseMs', () => {
    const stage = group('abc', {})
    assert.equal(remaining(stage), 0)
    assert.equal(stage.actor('a').core.leaseIndex(stage.nowMs), undefined)
    assert.equal(stage.actor('a').core.entry(1)?.record.length, 24)
  })

  it('is held by the leader alone, and renewed by every round', () => {
    const stage = group('abc')
    for (let i = 0; i < 20; i++) {
      stage.wait(50)
      assert.ok(remaining(stage) > 150, `${remaining(stage)} ms remain`)
      assert.ok(remaining(stage) <= 300)
    }
    assert.equal(remaining(stage, 'b'), 0)
  })

  it('names what a read has to see', () => {
    const stage = group('abc')
    stage.step('a', { type: 'propose', ticket: stage.ticket(), payloads: [command('x')] })
    stage.settle()
    assert.equal(stage.actor('a').core.leaseIndex(stage.nowMs), 2)
  })

  it('ends when nobody answers, while the node still leads', () => {
    const stage = group('abc')
    stage.isolate(['a'], ['b', 'c'])
    stage.wait(325, ['a'])
    assert.equal(stage.status('a').role, 'leader')
    assert.equal(remaining(stage), 0)
  })

  it('is void after this node stood still, whatever it had been answered before (T26)', () => {
    const stage = group('abc', { leaseMs: 400 })
    assert.ok(remaining(stage) > 300)
    stage.nowMs += 230
    assert.equal(remaining(stage), 0)
    stage.step('a', { type: 'tick' })
    assert.equal(remaining(stage), 0)
    stage.wait(100)
    assert.ok(remaining(stage) > 0)
  })

  it('does not come back in the term of a hand-over that failed', () => {
    const stage = group('abc')
    stage.cut(['a>b'])
    stage.step('a', { type: 'transfer', ticket: stage.ticket(), to: 'b' })
    stage.heal()
    stage.wait(1000)
    assert.equal(stage.status('a').role, 'leader')
    assert.equal(remaining(stage), 0)
  })

  it('of a group of one is held by its only voter', () => {
    const stage = group('a')
    assert.ok(remaining(stage) > 0)
  })

  it('holds up the first commit of the next leader for as long as clocks can make of it', () => {
    const stage = group('abc')
    stage.crash('a')
    stage.step('b', { type: 'peer-down', peer: 'a' })
    stage.step('c', { type: 'peer-down', peer: 'a' })
    stage.campaign('b')
    stage.settle()
    assert.equal(stage.leader(), 'b')
    const since = stage.nowMs
    while (stage.status('b').commitIndex < 2) stage.wait(5)
    assert.ok(stage.nowMs - since >= 300 * 1.11)
    assert.ok(stage.nowMs - since <= 300 * 1.11 + 10)
  })

  it('is waited for after a restart of the whole group, by what the snapshot says of it', () => {
    const stage = group('abc')
    for (const id of 'abc') {
      stage.step(id, { type: 'compactable', index: 1 })
      assert.equal(stage.actor(id).base.leaseMs, 300)
      stage.crash(id)
      stage.restart(id)
    }
    stage.campaign('b')
    stage.settle()
    assert.equal(stage.leader(), 'b')
    assert.equal(stage.status('b').commitIndex, 1)
    stage.wait(350)
    assert.equal(stage.status('b').commitIndex, 2)
  })

  it('is waited for no longer than any can be, whatever the log says of it', () => {
    const stage = group('abc')
    for (const id of 'abc') {
      stage.step(id, { type: 'compactable', index: 1 })
      stage.crash(id)
      const actor = stage.actor(id)
      actor.base = { ...actor.base, leaseMs: 2 ** 32 - 1 }
      stage.restart(id)
    }
    stage.campaign('b')
    stage.settle()
    stage.wait(60_000)
    assert.equal(stage.status('b').commitIndex, 1)
    stage.wait(6_700)
    assert.equal(stage.leader(), 'b')
    assert.equal(stage.status('b').commitIndex, 2)
  })
})
