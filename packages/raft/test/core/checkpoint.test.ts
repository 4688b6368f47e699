/** A core that is made of a checkpoint goes on as the one that it was taken of, whenever it was taken. */

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { deserialize, serialize } from 'node:v8'
import fc from 'fast-check'
import { captureCore, createRaftCore, restoreCore } from '../../src/core/raft.ts'
import type { Effect, RaftCore } from '../../src/core/types.ts'
import { groupChecksum, RandomGroup, tightOptions } from './random-group.ts'

/** Through bytes and back, as a file would have it. */
function twinOf(core: RaftCore): RaftCore {
  return restoreCore(deserialize(serialize(captureCore(core))), groupChecksum)
}

/** Entries that came through bytes are equal, and are not the same object: the text of both is compared. */
const bytesOf = (value: unknown): Buffer => serialize(structuredClone(value))

describe('a core made of a checkpoint', () => {
  it('does what the original does, whenever the checkpoint was taken', () => {
    const seen = new Set<string>()
    const roles = new Set<string>()
    const property = fc.property(
      fc.integer({ min: 0, max: 2 ** 31 }),
      fc.integer({ min: 1, max: 40 }),
      (seed, every) => {
        const group = new RandomGroup(seed)
        const twins = new Map<string, RaftCore>()
        group.onStep = (id, input, nowMs, core, step) => {
          // Taken again and again: a twin that was right for long says nothing of the state of today.
          if (group.prng.between(0, every) < 1) {
            twins.set(id, twinOf(core))
            roles.add(core.status(nowMs).role)
          }
          const effects = step()
          const twin = twins.get(id)
          for (const { type } of effects) seen.add(type)
          if (twin === undefined) return
          const same: Effect[] = []
          twin.step(input, nowMs, same)
          assert.deepEqual(same, effects)
        }
        for (let i = 0; i < 2500; i++) group.act()
        for (const { id, core } of group.nodes) {
          const twin = twins.get(id)
          if (twin !== undefined)
            assert.ok(bytesOf(captureCore(twin)).equals(bytesOf(captureCore(core))), `state of ${id}`)
        }
      }
    )
    fc.assert(property, { numRuns: 40, seed: 1 })
    // What such a run has to come by, to prove something.
    for (const type of ['install-snapshot', 'compact', 'read-ready', 'transferred', 'config-changed', 'proposed']) {
      assert.ok(seen.has(type), `no run has the effect ${type}`)
    }
    assert.deepEqual([...roles].sort(), ['candidate', 'follower', 'leader', 'pre-candidate'])
  })

  it('can be made more than once of the same checkpoint', () => {
    const group = new RandomGroup(5)
    for (let i = 0; i < 300; i++) group.act()
    const { core } = group.nodes[0]!
    const checkpoint = captureCore(core)!
    const before = bytesOf(checkpoint)
    for (let i = 0; i < 2; i++) {
      const twin = restoreCore(checkpoint, groupChecksum)
      assert.ok(bytesOf(captureCore(twin)).equals(before))
      for (let at = 0; at < 50; at++) twin.step({ type: 'tick' }, group.nowMs + at * 100, [])
    }
    assert.ok(bytesOf(checkpoint).equals(before), 'the checkpoint has changed with what was made of it')
  })

  it('is not to be had of a core that has halted, nor of one that only looks like one', () => {
    const core = createRaftCore({
      id: 'a',
      options: tightOptions,
      checksum: groupChecksum,
      seed: 1,
      hardState: { term: 0, votedFor: undefined },
      base: { index: 0, term: 0, chain: 0, config: { voters: ['a'], outgoing: [], learners: [] } },
      entries: [],
      appliedIndex: 0
    })
    assert.equal(captureCore({ ...core, step: () => {} } as unknown as RaftCore), undefined)
    assert.notEqual(captureCore(core), undefined)
    core.step({ type: 'persisted', seq: 7 }, 0, [])
    assert.equal(captureCore(core), undefined)
  })
})

/** What is private in a class of the core and need not be captured: it is given to the class when it is made. */
const given = new Set(['Log.#mutations', 'Log.#configAtCommit', 'Core.#s', 'Inflight.#start'])

it('a checkpoint holds every private field of the core', async () => {
  const folder = new URL('../../src/core/', import.meta.url)
  const names = (await readdir(folder)).filter((name) => name.endsWith('.ts'))
  let count = 0
  for (const name of names) {
    const text = await readFile(new URL(name, folder), 'utf8')
    for (const part of text.split(/^(?=(?:export )?class )/m).slice(1)) {
      const className = /class (\w+)/.exec(part)![1]!
      const methods = part.match(/^ {2}(static )?(capture|get state)\w*\([\s\S]*?^ {2}\}/gm)?.join('\n') ?? ''
      for (const [, field] of part.matchAll(/^ {2}(?:readonly )?(#\w+)(?: =|:)/gm)) {
        if (given.has(`${className}.${field}`)) continue
        count++
        assert.ok(methods.includes(field!), `${className} does not capture ${field} (${name})`)
      }
    }
  }
  assert.ok(count > 15, `only ${count} private fields were looked at`)
})
