/** The checker of recorded histories, on histories made by hand and on random ones beside a search that is too simple to be wrong. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Action, checkRegister, type Operation } from './linearizability.ts'

const write = (value: string): Action => ({ kind: 'write', value })
const read = (value?: string): Action => ({ kind: 'read', value })
const remove = (removed?: string): Action => ({ kind: 'delete', removed })

/** An operation from `invokedAt` to `returnedAt`; without an answer if that is left out. */
const op = (action: Action, invokedAt: number, returnedAt?: number): Operation => ({
  id: invokedAt,
  action,
  invokedAt,
  returnedAt
})

const holds = (...operations: Operation[]): boolean => checkRegister(operations).linearizable
const holdsWithRepeats = (...operations: Operation[]): boolean =>
  checkRegister(operations, { repeats: true }).linearizable

describe('checkRegister', () => {
  it('accepts one operation after the other', () => {
    assert.ok(holds())
    assert.ok(
      holds(op(read(), 1, 2), op(write('a'), 3, 4), op(read('a'), 5, 6), op(remove('a'), 7, 8), op(read(), 9, 10))
    )
  })

  it('accepts concurrent operations in whichever order explains them', () => {
    assert.ok(holds(op(write('a'), 1, 10), op(write('b'), 2, 9), op(read('b'), 3, 4), op(read('a'), 5, 6)))
    assert.ok(holds(op(write('a'), 1, 10), op(read(), 2, 3), op(read('a'), 4, 5)))
    assert.ok(holds(op(write('a'), 1, 2), op(remove('a'), 3, 10), op(read('a'), 4, 5), op(read(), 6, 7)))
  })

  it('refuses a stale read', () => {
    assert.ok(!holds(op(write('a'), 1, 2), op(write('b'), 3, 4), op(read('a'), 5, 6)))
    assert.ok(!holds(op(write('a'), 1, 2), op(read(), 3, 4)))
  })

  it('refuses a lost write', () => {
    assert.ok(!holds(op(write('a'), 1, 2), op(write('b'), 3, 4), op(read('b'), 5, 6), op(read('a'), 7, 8)))
  })

  it('refuses reads that go back, also while the write is under way', () => {
    assert.ok(!holds(op(write('a'), 1, 20), op(read('a'), 2, 3), op(read(), 4, 5)))
    assert.ok(
      !holds(op(write('a'), 1, 2), op(write('b'), 3, 20), op(read('b'), 4, 5), op(read('a'), 6, 7), op(read('b'), 8, 9))
    )
  })

  it('refuses a value that nobody wrote, and one that was read before it was asked for', () => {
    assert.ok(!holds(op(read('a'), 1, 2)))
    assert.ok(!holds(op(read('a'), 1, 2), op(write('a'), 3, 4)))
    assert.ok(!holds(op(read('a'), 1, 2), op(write('a'), 3)))
  })

  it('lets a write without an answer happen late, once, or never', () => {
    assert.ok(holds(op(write('a'), 1), op(read(), 2, 3)))
    assert.ok(holds(op(write('a'), 1), op(read(), 2, 3), op(read('a'), 4, 5)))
    assert.ok(holds(op(write('a'), 1), op(write('b'), 2, 3), op(read('b'), 4, 5), op(read('a'), 6, 7)))
    assert.ok(!holds(op(write('a'), 1), op(read('a'), 2, 3), op(read(), 4, 5)))
    assert.ok(
      !holds(op(write('a'), 1), op(read('a'), 2, 3), op(write('b'), 4, 5), op(read('b'), 6, 7), op(read('a'), 8, 9))
    )
  })

  it('lets a delete without an answer happen late, once, or never', () => {
    assert.ok(holds(op(write('a'), 1, 2), op(remove(), 3), op(read('a'), 4, 5), op(read(), 6, 7)))
    assert.ok(
      !holds(
        op(write('a'), 1, 2),
        op(remove(), 3),
        op(read(), 4, 5),
        op(write('b'), 6, 7),
        op(read('b'), 8, 9),
        op(read(), 10, 11)
      )
    )
    assert.ok(!holds(op(write('a'), 1, 2), op(read(), 3, 4), op(remove(), 5)))
  })

  it('takes a delete that found nothing for one that may have removed it at an earlier try', () => {
    assert.ok(holds(op(write('a'), 1, 2), op(remove(), 3, 4), op(read(), 5, 6)))
    assert.ok(!holds(op(write('a'), 1, 2), op(remove(), 3, 4), op(read('a'), 5, 6)))
  })

  it('holds a delete to what it says that it removed', () => {
    assert.ok(holds(op(write('a'), 1), op(remove('a'), 2, 3)))
    assert.ok(!holds(op(write('a'), 1, 2), op(write('b'), 3, 4), op(remove('a'), 5, 6)))
    assert.ok(!holds(op(write('a'), 1, 2), op(remove('a'), 3, 4), op(remove('a'), 5, 6)))
  })

  it('tells a write that was done twice from one that was lost', () => {
    const twice = [
      op(write('a'), 1, 20),
      op(read('a'), 2, 3),
      op(write('b'), 4, 5),
      op(read('b'), 6, 7),
      op(read('a'), 8, 9)
    ]
    assert.ok(!holds(...twice))
    assert.ok(holdsWithRepeats(...twice))
    const deletedTwice = [
      op(write('a'), 1, 2),
      op(remove('b'), 3, 20),
      op(read(), 4, 5),
      op(write('b'), 6, 7),
      op(read('b'), 8, 9),
      op(read(), 10, 11)
    ]
    assert.ok(!holds(...deletedTwice))
    assert.ok(holdsWithRepeats(...deletedTwice))
    assert.ok(!holdsWithRepeats(op(write('a'), 1, 2), op(write('b'), 3, 4), op(read('a'), 5, 6)))
    assert.ok(!holdsWithRepeats(op(write('a'), 1, 2), op(read(), 3, 4)))
  })

  it('names the answer that nothing explains, and what was possible instead', () => {
    const verdict = checkRegister([op(write('a'), 1, 2), op(write('b'), 3, 6), op(read(), 4, 5)])
    assert.ok(!verdict.linearizable)
    assert.equal(verdict.operation.invokedAt, 4)
    assert.deepEqual([...verdict.possible].sort(), ['a', 'b'])
  })

  it('refuses to judge what is no history of unique writes', () => {
    assert.throws(() => checkRegister([op(write('a'), 1, 2), op(write('a'), 3, 4)]), RangeError)
    assert.throws(() => checkRegister([op(read('a'), 1)]), RangeError)
  })

  it('agrees with a search of all orders', () => {
    let refused = 0
    let accepted = 0
    fc.assert(
      fc.property(fc.array(drawn, { maxLength: 6 }), (draws) => {
        const operations = historyOf(draws)
        const expected = explainedBySomeOrder(operations)
        if (expected) accepted++
        else refused++
        assert.equal(checkRegister(operations).linearizable, expected)
        // Whoever may repeat may as well not.
        if (expected) assert.ok(checkRegister(operations, { repeats: true }).linearizable)
      }),
      { numRuns: 5_000 }
    )
    assert.ok(refused > 100 && accepted > 100, `${refused} refused and ${accepted} accepted say little`)
  })

  it('judges thousands of operations with many that were never answered', () => {
    const operations: Operation[] = []
    let at = 0
    for (let round = 0; round < 2_000; round++) {
      operations.push(op(write(`v${round}`), at++, at + 3), op(read(`v${round}`), at++, at + 1))
      at += 4
      if (round % 10 === 0) operations.push(op(write(`lost${round}`), at++), op(remove(), at++))
    }
    assert.ok(holds(...operations))
    assert.ok(!holds(...operations, op(read('v7'), at, at + 1)))
  })
})

/** `kind`, whose value, how long it lasts; a length of 0 is no answer. */
const drawn = fc.record({
  kind: fc.constantFrom('write' as const, 'read' as const, 'delete' as const),
  value: fc.integer({ min: -1, max: 5 }),
  begin: fc.integer({ min: 0, max: 12 }),
  length: fc.integer({ min: 0, max: 8 })
})

/** A history out of random draws: writes have values of their own, the others name one of them, or nothing. */
function historyOf(draws: readonly { kind: string; value: number; begin: number; length: number }[]): Operation[] {
  const values = draws.flatMap(({ kind }, at) => (kind === 'write' ? [`w${at}`] : []))
  const operations: Operation[] = []
  for (const [at, { kind, value, begin, length }] of draws.entries()) {
    const seen = value < 0 ? undefined : values[value % Math.max(1, values.length)]
    const action = kind === 'write' ? write(`w${at}`) : kind === 'read' ? read(seen) : remove(seen)
    if (kind === 'read' && length === 0) continue
    // The index keeps positions unique.
    const invokedAt = begin * 100 + at
    const returnedAt = length === 0 ? undefined : (begin + length) * 100 + 50 + at
    operations.push({ id: at, action, invokedAt, returnedAt })
  }
  return operations
}

/** Tries every order of every choice of the unanswered. */
function explainedBySomeOrder(operations: readonly Operation[], value?: string): boolean {
  const answered = operations.filter(({ returnedAt }) => returnedAt !== undefined)
  if (answered.length === 0) return true
  const firstAnswer = Math.min(...answered.map(({ returnedAt }) => returnedAt!))
  return operations.some((operation) => {
    if (operation.invokedAt > firstAnswer) return false
    const rest = operations.filter((other) => other !== operation)
    const { action, returnedAt } = operation
    if (action.kind === 'write') return explainedBySomeOrder(rest, action.value)
    if (action.kind === 'read') return action.value === value && explainedBySomeOrder(rest, value)
    if (returnedAt !== undefined && action.removed !== undefined && action.removed !== value) return false
    return explainedBySomeOrder(rest, undefined)
  })
}
