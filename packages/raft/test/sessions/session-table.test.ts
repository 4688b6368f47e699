/**
 * The table of sessions against a model that keeps everything: what is applied is applied once, whatever is sent again, in whatever
 * order, and over reloads of the table from the records that it had written.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type SessionLimits, type SessionStamp, SessionTable } from '../../src/sessions/session-table.ts'

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)

async function* stored(rows: Iterable<{ key: string; value: Uint8Array }>) {
  yield* rows
}

/** A database of records. */
class Rows {
  readonly #values = new Map<string, Uint8Array>()

  take(table: SessionTable): number {
    let count = 0
    for (const { key, value } of table.takeChanges()) {
      count++
      if (value === undefined) this.#values.delete(key)
      else this.#values.set(key, value)
    }
    return count
  }

  load(limits?: SessionLimits): Promise<SessionTable> {
    return SessionTable.fromRows(stored(this.sorted()), limits)
  }

  sorted(): { key: string; value: Uint8Array }[] {
    return [...this.#values].map(([key, value]) => ({ key, value })).sort((a, b) => (a.key < b.key ? -1 : 1))
  }
}

describe('a session table', () => {
  const stamp = (sequence: number, answeredThrough = 0, session = 1): SessionStamp => ({
    session,
    sequence,
    answeredThrough
  })

  it('answers a number that comes again with what it answered first', () => {
    const table = new SessionTable()
    table.open(1)
    assert.deepEqual(table.admit(2, stamp(1)), { type: 'new' })
    table.record(stamp(1), bytes(7))
    assert.deepEqual(table.admit(3, stamp(1)), { type: 'repeated', result: bytes(7) })
  })

  it('takes numbers in any order', () => {
    const table = new SessionTable()
    table.open(1)
    assert.equal(table.admit(2, stamp(9)).type, 'new')
    table.record(stamp(9), bytes(9))
    assert.equal(table.admit(3, stamp(2)).type, 'new')
    table.record(stamp(2), bytes(2))
    assert.equal(table.admit(4, stamp(9)).type, 'repeated')
  })

  it('refuses what its client needs no more, and forgets its result', () => {
    const table = new SessionTable()
    table.open(1)
    table.admit(2, stamp(1))
    table.record(stamp(1), bytes(1))
    assert.equal(table.admit(3, stamp(2, 1)).type, 'new')
    assert.deepEqual(table.admit(4, stamp(1)), { type: 'refused', reason: 'already-answered' })
    assert.equal([...table.rows()].length, 1)
  })

  it('refuses a session that it does not know', () => {
    const table = new SessionTable()
    assert.deepEqual(table.admit(2, stamp(1)), { type: 'refused', reason: 'session-expired' })
  })

  it('ends the session that was used longest ago when there are too many', () => {
    const table = new SessionTable({ maxSessions: 2, maxWindow: 8, maxResultBytes: 100 })
    table.open(1)
    table.open(2)
    table.admit(3, stamp(1))
    table.record(stamp(1), bytes(1))
    table.open(4)
    assert.equal(table.admit(5, stamp(1)).type, 'repeated')
    assert.deepEqual(table.admit(6, stamp(1, 0, 2)), { type: 'refused', reason: 'session-expired' })
  })

  it('refuses a number beyond its window, until the window moves', () => {
    const table = new SessionTable({ maxSessions: 2, maxWindow: 4, maxResultBytes: 100 })
    table.open(1)
    assert.deepEqual(table.admit(2, stamp(5)), { type: 'refused', reason: 'window-exceeded' })
    assert.equal(table.admit(3, stamp(5, 1)).type, 'new')
  })

  it('lets the oldest results go over its bytes, and still knows that they were applied', () => {
    const table = new SessionTable({ maxSessions: 2, maxWindow: 8, maxResultBytes: 3 })
    table.open(1)
    for (const sequence of [1, 2]) {
      table.admit(1 + sequence, stamp(sequence))
      table.record(stamp(sequence), bytes(sequence, 0))
    }
    assert.deepEqual(table.admit(5, stamp(1)), { type: 'repeated', result: undefined })
    assert.deepEqual(table.admit(6, stamp(2)), { type: 'repeated', result: bytes(2, 0) })
  })

  it('is not held up by a client that claims to need nothing up to the end of numbers', () => {
    const table = new SessionTable()
    table.open(1)
    const far = 2 ** 47
    assert.equal(table.admit(2, stamp(far, far)).type, 'new')
    table.record(stamp(far, far), bytes(1))
    assert.equal(table.admit(3, stamp(far, far)).type, 'repeated')
  })

  it('writes only the records that changed', () => {
    const table = new SessionTable()
    const rows = new Rows()
    table.open(1)
    for (let sequence = 1; sequence <= 640; sequence++) {
      table.admit(1 + sequence, stamp(sequence))
      table.record(stamp(sequence), bytes(1))
    }
    assert.equal(rows.take(table), 12)
    assert.equal(rows.take(table), 0)
    table.admit(700, stamp(641))
    table.record(stamp(641), bytes(1))
    assert.equal(rows.take(table), 2)
  })

  const limits: SessionLimits = { maxSessions: 3, maxWindow: 10, maxResultBytes: 40 }
  const action = fc.oneof(
    { weight: 1, arbitrary: fc.record({ type: fc.constant('open' as const) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('reload' as const) }) },
    {
      weight: 12,
      arbitrary: fc.record({
        type: fc.constant('command' as const),
        session: fc.nat(4),
        sequence: fc.integer({ min: 1, max: 90 }),
        answered: fc.nat(100),
        bytes: fc.nat(12)
      })
    }
  )

  it('applies no command twice and answers as a table does that forgets nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 120 }), async (actions) => {
        let table = new SessionTable(limits)
        const rows = new Rows()
        const opened: number[] = []
        const applied = new Map<string, Uint8Array>()
        const answered = new Map<number, number>()
        const used: number[] = []
        let index = 0
        for (const step of actions) {
          index++
          if (step.type === 'reload') {
            rows.take(table)
            assert.deepEqual(rows.sorted(), [...table.rows()])
            table = await rows.load(limits)
          } else if (step.type === 'open') {
            opened.push(table.open(index))
            used.push(index)
            if (used.length > limits.maxSessions) used.shift()
          } else {
            const session = opened.at(-1 - step.session) ?? 999_999
            const { sequence } = step
            const said = { session, sequence, answeredThrough: step.answered }
            const admission = table.admit(index, said)
            const known = used.includes(session)
            if (!known) {
              assert.deepEqual(admission, { type: 'refused', reason: 'session-expired' })
              continue
            }
            used.splice(used.indexOf(session), 1)
            used.push(session)
            const through = Math.max(answered.get(session) ?? 0, Math.min(step.answered, sequence - 1))
            answered.set(session, through)
            const before = applied.get(`${session} ${sequence}`)
            if (sequence <= through) assert.deepEqual(admission, { type: 'refused', reason: 'already-answered' })
            else if (before !== undefined) {
              assert.equal(admission.type, 'repeated')
              if (admission.type === 'repeated' && admission.result !== undefined)
                assert.deepEqual(admission.result, before)
            } else if (sequence > through + limits.maxWindow) {
              assert.deepEqual(admission, { type: 'refused', reason: 'window-exceeded' })
            } else {
              assert.deepEqual(admission, { type: 'new' })
              const result = new Uint8Array(step.bytes).fill(index)
              applied.set(`${session} ${sequence}`, result)
              table.record(said, result)
            }
          }
        }
        rows.take(table)
        assert.deepEqual([...(await rows.load(limits)).rows()], [...table.rows()])
        assert.equal(table.size, used.length)
      }),
      { numRuns: 200 }
    )
  })

  it('refuses records that are not those of a table', async () => {
    const table = new SessionTable()
    table.open(1)
    table.admit(2, stamp(3))
    table.record(stamp(3), bytes(1, 2, 3))
    const rows = [...table.rows()]
    const [head, page] = rows as [(typeof rows)[0], (typeof rows)[0]]
    const broken: { key: string; value: Uint8Array }[][] = [
      [page],
      [head, head],
      [{ key: 'x', value: head.value }],
      [{ key: head.key, value: head.value.subarray(1) }],
      [head, { key: page.key, value: page.value.subarray(1) }],
      [head, { key: page.key, value: bytes() }],
      [head, { key: page.key, value: bytes(64, 0, 0, 0, 0) }],
      [head, { key: page.key, value: bytes(3, 255, 255, 255, 255) }],
      [head, { key: page.key, value: bytes(0, 0, 0, 0, 0) }]
    ]
    for (const records of broken) await assert.rejects(SessionTable.fromRows(stored(records)), RangeError)
  })

  it('takes any records without another error than that', async () => {
    const key = fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f]{12}(\/[0-9a-f]{12})?$/))
    const row = fc.record({ key, value: fc.uint8Array({ maxLength: 40 }) })
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 5 }), async (records) => {
        await SessionTable.fromRows(stored(records)).catch((error: unknown) => assert(error instanceof RangeError))
      })
    )
  })
})
