/** The judges of logs and of what is applied, on histories made by hand: each objects to what it is there for, and to nothing else. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Committed } from '../../../src/sim/judges/committed.ts'
import { LeaderAppendOnly } from '../../../src/sim/judges/leader-append-only.ts'
import { LogMatching } from '../../../src/sim/judges/log-matching.ts'
import { StateMachineSafety } from '../../../src/sim/judges/state-machine-safety.ts'
import { checksum, entriesOf, nodeWith } from './stories.ts'

const objects = (judge: string) => (error: unknown) =>
  error instanceof Error && 'judge' in error && error.judge === judge

describe('leader-append-only', () => {
  it('objects to a leader that cuts its log and still leads', () => {
    const view = nodeWith(0, entriesOf([1, 1]))
    view.role = 'leader'
    view.ledInTerm = 1
    view.truncatedFrom = 2
    assert.throws(() => new LeaderAppendOnly().stepped(view), objects('leader-append-only'))
  })

  it('lets a leader that has stepped down cut its log', () => {
    const view = nodeWith(0, entriesOf([1, 1]))
    view.role = 'follower'
    view.ledInTerm = 1
    view.truncatedFrom = 2
    new LeaderAppendOnly().stepped(view)
  })

  it('lets a follower cut its log, and a leader not', () => {
    const view = nodeWith(0, entriesOf([1, 1]))
    view.truncatedFrom = 2
    new LeaderAppendOnly().stepped(view)
    view.truncatedFrom = 0
    view.role = 'leader'
    view.ledInTerm = 1
    new LeaderAppendOnly().stepped(view)
  })
})

describe('log-matching', () => {
  it('takes the same entries on all nodes, in pieces or at once', () => {
    const judge = new LogMatching(checksum)
    const entries = entriesOf([1, 1, 2])
    const [one, other] = [nodeWith(0, []), nodeWith(1, [])]
    judge.taken(one, undefined, entries)
    judge.taken(other, undefined, entries.slice(0, 1))
    judge.taken(other, undefined, entries.slice(1))
    assert.equal(other.log.lastChain, one.log.lastChain)
  })

  it('objects to two entries of the same index and term', () => {
    const judge = new LogMatching(checksum)
    judge.taken(nodeWith(0, []), undefined, entriesOf([1]))
    assert.throws(() => judge.taken(nodeWith(1, []), undefined, entriesOf([1], 9)), objects('log-matching'))
  })

  it('takes entries of other terms at the same index, after a truncation', () => {
    const judge = new LogMatching(checksum)
    const view = nodeWith(0, [])
    judge.taken(view, undefined, entriesOf([1, 1]))
    judge.taken(view, 2, entriesOf([1, 2]).slice(1))
    assert.equal(view.log.lastTerm, 2)
  })

  it('objects to the same entry after another history', () => {
    const judge = new LogMatching(checksum)
    const entries = entriesOf([1, 3])
    judge.taken(nodeWith(0, []), undefined, entries)
    const elsewhere = nodeWith(1, [])
    judge.taken(elsewhere, undefined, entriesOf([2], 7))
    assert.throws(() => judge.taken(elsewhere, undefined, entriesOf([2, 3]).slice(1)), objects('log-matching'))
  })

  it('objects to a hole, to terms that fall, and to a cut into the base', () => {
    const judge = new LogMatching(checksum)
    assert.throws(() => judge.taken(nodeWith(0, []), undefined, entriesOf([1, 1]).slice(1)), objects('log-matching'))
    const view = nodeWith(1, entriesOf([2]))
    assert.throws(() => judge.taken(view, undefined, entriesOf([2, 1]).slice(1)), objects('log-matching'))
    assert.throws(() => judge.taken(view, 0, []), objects('log-matching'))
  })
})

describe('state-machine-safety', () => {
  it('takes the same entries in order on all nodes', () => {
    const judge = new StateMachineSafety()
    const entries = entriesOf([1, 1, 2])
    for (const slot of [0, 1]) {
      const view = nodeWith(slot, entries)
      judge.handsOver(view, entries.slice(0, 2))
      judge.handsOver(view, entries.slice(2))
      judge.stands(slot, { index: 3, digest: 42, registers: [] })
    }
  })

  it('objects to an entry that is skipped, or applied twice', () => {
    const judge = new StateMachineSafety()
    const entries = entriesOf([1, 1])
    const view = nodeWith(0, entries)
    assert.throws(() => judge.handsOver(view, entries.slice(1)), objects('state-machine-safety'))
    judge.handsOver(view, entries.slice(0, 1))
    assert.throws(() => judge.handsOver(view, entries.slice(0, 1)), objects('state-machine-safety'))
  })

  it('objects to another entry than was applied elsewhere', () => {
    const judge = new StateMachineSafety()
    const [mine, theirs] = [entriesOf([1]), entriesOf([2])]
    judge.handsOver(nodeWith(0, mine), mine)
    assert.throws(() => judge.handsOver(nodeWith(1, theirs), theirs), objects('state-machine-safety'))
  })

  it('objects to an entry that is not on the own disk', () => {
    const entries = entriesOf([1])
    assert.throws(() => new StateMachineSafety().handsOver(nodeWith(0, []), entries), objects('state-machine-safety'))
  })

  it('objects to states that differ at the same index, and to one that goes back', () => {
    const judge = new StateMachineSafety()
    const entries = entriesOf([1, 1])
    const view = nodeWith(0, entries)
    judge.handsOver(view, entries)
    judge.stands(0, { index: 2, digest: 1, registers: [] })
    assert.throws(() => judge.stands(1, { index: 2, digest: 2, registers: [] }), objects('state-machine-safety'))
    assert.throws(() => judge.restores(view, 1), objects('state-machine-safety'))
    judge.restores(view, 2)
  })
})

describe('committed', () => {
  const voters = ['n0', 'n1', 'n2']
  const config = { voters, outgoing: [], learners: [] }
  const decode = () => config
  const slotOf = new Map(voters.map((id, slot) => [id, slot]))

  it('objects to a commit that is not on the disks of a majority', () => {
    const entries = entriesOf([1])
    const views = [nodeWith(0, entries, config), nodeWith(1, [], config), nodeWith(2, [], config)]
    const judge = new Committed(views, slotOf, decode)
    assert.throws(() => judge.observed(views[0]!, 1), objects('committed'))
  })

  it('objects to a leader that lacks what was committed in an earlier term', () => {
    const entries = entriesOf([1])
    const views = [nodeWith(0, entries, config), nodeWith(1, entries, config), nodeWith(2, [], config)]
    const judge = new Committed(views, slotOf, decode)
    judge.observed(views[0]!, 1)
    const late = views[2]!
    late.hardState = { term: 2, votedFor: 'n2' }
    assert.throws(() => judge.leads(late), objects('leader-completeness'))
    judge.leads(views[1]!)
  })

  it('objects to a leader that commits an entry of an earlier term by itself', () => {
    const entries = entriesOf([1, 2])
    const views = voters.map((_, slot) => nodeWith(slot, entries, config))
    const judge = new Committed(views, slotOf, decode)
    const leader = views[0]!
    leader.role = 'leader'
    leader.hardState = { term: 2, votedFor: 'n0' }
    judge.announces(leader, 2)
    assert.throws(() => judge.announces(leader, 1), objects('own-term-commit'))
  })

  it('objects to a node that drops what was committed', () => {
    const entries = entriesOf([1])
    const views = voters.map((_, slot) => nodeWith(slot, entries, config))
    const judge = new Committed(views, slotOf, decode)
    judge.observed(views[0]!, 1)
    assert.throws(() => judge.truncates(views[1]!, 1), objects('committed'))
  })
})
