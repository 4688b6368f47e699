/** The judge of feature levels, on histories made by hand. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeLevel } from '../../../src/core/announcements.ts'
import { makeEntry } from '../../../src/core/record.ts'
import { type CoreStatus, type Entry, EntryKind } from '../../../src/core/types.ts'
import { FeatureLevels } from '../../../src/sim/judges/feature-levels.ts'
import type { NodeView } from '../../../src/sim/judges/view.ts'
import { checksum, entriesOf, nodeWith } from './stories.ts'

const CONFIG = { voters: ['n0', 'n1'], outgoing: [], learners: ['n2'] }

/** Two voters and a learner, which run these versions. */
function group(versions: readonly number[]): { judge: FeatureLevels; views: NodeView[] } {
  const views = versions.map((version, slot) => {
    const view = nodeWith(slot, entriesOf([1]), CONFIG)
    view.version = version
    return view
  })
  const slots = new Map(views.map(({ id, slot }) => [id, slot]))
  const noConfigEntries = (): never => assert.fail('there is none')
  return { judge: new FeatureLevels(views, slots, noConfigEntries), views }
}

const raise = (level: number): Entry => makeEntry(2, 1, EntryKind.level, encodeLevel(level), 0, checksum)

const status = (level: number, commitIndex: number): CoreStatus =>
  ({ level, commitIndex, supportedLevel: 3 }) as CoreStatus

describe('feature-levels', () => {
  it('takes a level that every member knows, and entries of other kinds', () => {
    const { judge, views } = group([3, 2, 2])
    judge.appends(views[0]!, [raise(2)])
    judge.appends(views[0]!, entriesOf([1]))
  })

  it('objects to a level that a member does not know, be it a learner', () => {
    const { judge, views } = group([3, 3, 2])
    assert.throws(() => judge.appends(views[0]!, [raise(3)]), {
      judge: 'feature-levels',
      message: /n0 raises the level to 3 at 2, and n2 knows 2/
    })
  })

  it('objects to a node that has forgotten a level which was in force before', () => {
    const { judge, views } = group([3, 3, 3])
    judge.reports(views[0]!, status(1, 4))
    judge.reports(views[0]!, status(2, 6))
    judge.reports(views[1]!, status(1, 5))
    assert.equal(judge.highest, 2)
    assert.throws(() => judge.reports(views[1]!, status(1, 6)), { judge: 'feature-levels' })
  })
})
