/** Sessions and the digest in the state: each number takes effect once, on every peer alike, over restarts and in snapshots (T43, T44, T45). */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { Command, SessionStamp } from '@quorate/raft'
import { LevelDatastore } from 'datastore-level'
import fc from 'fast-check'
import { ByteWriter } from '../../src/state/byte-codec.ts'
import { decodeResult, encodeResult, type SessionResult } from '../../src/state/op-results.ts'
import { decodeOperation, encodeOperation, type Operation } from '../../src/state/ops.ts'
import { encodePin } from '../../src/state/pin-codec.ts'
import { openPinsetState, type PinsetState } from '../../src/state/pinset-state.ts'
import { collect, stream, temporaryFolder, testCid, testPin } from './fixtures.ts'

const open: Operation = { kind: 'session-open' }
const pinOf = (number: number): Operation => ({ kind: 'pin', pin: testPin(number) })
const unpinOf = (number: number): Operation => ({ kind: 'unpin', cid: testCid(number) })
const command = (index: number, operation: Operation, stamp?: SessionStamp): Command => ({
  index,
  payload: encodeOperation(operation, stamp)
})
const inSession = (session: number, sequence: number, answeredThrough = 0): SessionStamp => ({
  session,
  sequence,
  answeredThrough
})

async function newState(t: TestContext): Promise<PinsetState> {
  return await openPinsetState({ folder: await temporaryFolder(t) })
}

async function bytesOf(state: PinsetState): Promise<Buffer> {
  const snapshot = await state.snapshot()
  const chunks = await collect(snapshot.chunks(new AbortController().signal))
  await snapshot.close()
  return Buffer.concat(chunks)
}

describe('a command in a session', () => {
  it('answers what it answered first when it comes again, and changes nothing', async (t) => {
    const state = await newState(t)
    const results = await state.apply(
      [
        command(1, open),
        command(2, pinOf(1), inSession(1, 1)),
        command(3, unpinOf(1), inSession(1, 2)),
        command(4, pinOf(1), inSession(1, 1)),
        command(5, unpinOf(1), inSession(1, 2)),
        command(6, unpinOf(1), inSession(1, 3))
      ],
      6
    )
    assert.deepEqual(results[4], { ok: true, kind: 'unpin', pin: testPin(1) })
    assert.equal(results[5]?.ok, false)
    assert.equal(state.count(), 0)
    await state.close()
  })

  it('is known again after the state was closed and opened, and where its snapshot was restored', async (t) => {
    const folder = await temporaryFolder(t)
    const first = await openPinsetState({ folder })
    await first.apply(
      [command(1, open), command(2, pinOf(1), inSession(1, 1)), command(3, unpinOf(1), inSession(1, 2))],
      3
    )
    await first.close()
    const again = await openPinsetState({ folder })
    const other = await newState(t)
    await other.restore(3, stream([await bytesOf(again)]))
    assert.notEqual(other.digest(), undefined)
    for (const state of [again, other]) {
      assert.deepEqual(await state.apply([command(4, unpinOf(1), inSession(1, 2))], 4), [
        { ok: true, kind: 'unpin', pin: testPin(1) }
      ])
    }
    assert.equal(again.digest(), other.digest())
    assert.deepEqual(await bytesOf(again), await bytesOf(other))
    await again.close()
    await other.close()
  })

  it('of a session that has ended, or that needs it no more, is not applied', async (t) => {
    const state = await newState(t)
    const results = await state.apply(
      [
        command(1, open),
        command(2, pinOf(1), inSession(9, 1)),
        command(3, pinOf(2), inSession(1, 2, 1)),
        command(4, pinOf(1), inSession(1, 1))
      ],
      4
    )
    assert.deepEqual(
      results.map((result) => result.ok || result.code),
      [true, 'SESSION_EXPIRED', true, 'SESSION_ANSWERED']
    )
    assert.deepEqual(await collect(state.list()), [testPin(2)])
    await state.close()
  })

  it('that cannot be read is answered as any other, and again', async (t) => {
    const state = await newState(t)
    const writer = new ByteWriter()
    writer.raw(Uint8Array.of(1, 6, 1, 1, 0, 1, 77))
    const payload = writer.finish()
    const results = await state.apply([command(1, open), { index: 2, payload }, { index: 3, payload }], 3)
    assert.equal(!results[1]?.ok && results[1]?.code, 'MALFORMED')
    assert.deepEqual(results[2], results[1])
    await state.close()
  })

  it('is not one with numbers that have no place in the table, or one that opens a session', () => {
    const malformed = [Uint8Array.of(1, 6, 1), Uint8Array.of(1, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 0, 4)]
    for (const bytes of [...malformed, encodeOperation(open, inSession(1, 1))]) {
      const operation = decodeOperation(bytes)
      assert.equal(operation.kind === 'error' && operation.code, 'MALFORMED')
    }
    const known = decodeOperation(encodeOperation(unpinOf(1), inSession(7, 8, 3)))
    assert.deepEqual([known.kind, known.stamp], ['unpin', inSession(7, 8, 3)])
  })

  it('keeps its result as bytes', () => {
    const pin = testPin(1, { name: 'x' })
    const results: [SessionResult, Uint8Array | undefined][] = [
      [{ ok: true, kind: 'pin' }, undefined],
      [{ ok: true, kind: 'peer-record' }, undefined],
      [{ ok: true, kind: 'peer-forget' }, undefined],
      [{ ok: true, kind: 'unpin', pin }, encodePin(pin)],
      [{ ok: false, code: 'PIN_NOT_FOUND', message: 'no such pin' }, undefined]
    ]
    for (const [result, record] of results) assert.deepEqual(decodeResult(encodeResult(result, record)), result)
  })
})

describe('the digest of the state', () => {
  it('begins with the first session', async (t) => {
    const state = await newState(t)
    await state.apply([command(1, pinOf(1))], 1)
    assert.equal(state.digest(), undefined)
    await state.apply([command(2, open)], 2)
    assert.equal(typeof state.digest(), 'number')
    await state.close()
  })

  it('tells a state that applied a command twice, or another one, from the others, for good', async (t) => {
    const history = (change: (index: number) => Operation): Command[] => [
      command(1, open),
      ...[2, 3, 4, 5].map((index) => command(index, change(index)))
    ]
    const digests = new Set<number | undefined>()
    const histories = [
      history(pinOf),
      history((index) => pinOf(index === 3 ? 99 : index)),
      // The second of two that are the same changes nothing but the digest.
      history((index) => pinOf(index === 3 ? 2 : index)),
      history((index) => (index === 3 ? unpinOf(77) : pinOf(index)))
    ]
    for (const commands of histories) {
      const state = await newState(t)
      await state.apply(commands, 5)
      digests.add(state.digest())
      await state.close()
    }
    assert.equal(digests.size, histories.length)
  })

  const step = fc.record({
    session: fc.nat(2),
    sequence: fc.integer({ min: 1, max: 12 }),
    answered: fc.nat(12),
    number: fc.nat(5),
    kind: fc.constantFrom('pin' as const, 'unpin' as const, 'open' as const),
    stamped: fc.boolean()
  })

  it('and the sessions are the same on peers that batch otherwise, restart, and restore snapshots', async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 40 }),
        fc.array(fc.record({ size: fc.integer({ min: 1, max: 9 }), after: fc.nat(3) }), { minLength: 1, maxLength: 5 }),
        async (steps, cuts) => {
          const opened: number[] = []
          const all = steps.map((asked, position): Command => {
            const index = position + 1
            if (asked.kind === 'open') {
              opened.push(index)
              return command(index, open)
            }
            const stamp = inSession(opened.at(-1 - asked.session) ?? 500, asked.sequence, asked.answered)
            const operation = asked.kind === 'pin' ? pinOf(asked.number) : unpinOf(asked.number)
            return command(index, operation, asked.stamped ? stamp : undefined)
          })
          const folder = await temporaryFolder(t)
          const plain = await newState(t)
          const expected = await plain.apply(all, all.length)
          let state = await openPinsetState({ folder })
          const results: unknown[] = []
          for (let at = 0, cut = 0; at < all.length; cut++) {
            const { size, after } = cuts[cut % cuts.length]!
            const batch = all.slice(at, at + size)
            results.push(...(await state.apply(batch, batch.at(-1)!.index)))
            at += batch.length
            if (after === 1) {
              await state.close()
              state = await openPinsetState({ folder })
            } else if (after === 2) await state.restore(at, stream([await bytesOf(state)]))
          }
          assert.deepEqual(results, expected)
          assert.equal(state.digest(), plain.digest())
          assert.deepEqual(await bytesOf(state), await bytesOf(plain))
          await state.close()
          await plain.close()
        }
      ),
      { numRuns: 15 }
    )
  })
})

describe('a state that is put away', () => {
  it('is empty when it is opened again', async (t) => {
    const folder = await temporaryFolder(t)
    const state = await openPinsetState({ folder })
    await state.apply([command(1, open), command(2, pinOf(1), inSession(1, 1))], 2)
    await state.discard()
    assert.equal(state.count(), 1)
    await state.close()
    const again = await openPinsetState({ folder })
    assert.deepEqual([again.appliedIndex(), again.count(), again.digest()], [0, 0, undefined])
    const [opened, answer] = await again.apply([command(1, open), command(2, pinOf(1), inSession(1, 1))], 2)
    assert.deepEqual([opened?.ok, answer], [true, { ok: true, kind: 'pin' }])
    await again.close()
  })
})

describe('what an earlier release wrote', () => {
  it('is opened as a state without sessions, and goes on', async (t) => {
    const folder = await temporaryFolder(t)
    const state = await openPinsetState({ folder })
    await state.apply([command(1, pinOf(1))], 1)
    await state.close()
    const store = new LevelDatastore(join(folder, 'gen-1'))
    await store.open()
    // Version, applied index, number of pins.
    await store.db.put('/m/books', Uint8Array.of(1, 1, 1))
    await store.close()
    const opened = await openPinsetState({ folder })
    assert.deepEqual([opened.appliedIndex(), opened.count(), opened.digest()], [1, 1, undefined])
    await opened.apply([command(2, open), command(3, unpinOf(1), inSession(2, 1))], 3)
    assert.equal(opened.count(), 0)
    await opened.close()
  })

  it('is restored from its snapshot', async (t) => {
    const record = encodePin(testPin(1))
    const writer = new ByteWriter()
    writer.raw(Buffer.from('QSNP'))
    writer.byte(1)
    writer.varint(7)
    writer.byte(1)
    writer.bytes(record)
    writer.byte(0)
    writer.varint(1)
    writer.varint(0)
    const state = await newState(t)
    await state.restore(7, stream([writer.finish()]))
    assert.deepEqual(await collect(state.list()), [testPin(1)])
    assert.deepEqual([state.appliedIndex(), state.digest()], [7, undefined])
    await state.close()
  })

  it('is refused, with the state left as it was, when its sessions cannot be', async (t) => {
    const source = await newState(t)
    await source.apply([command(1, open), command(2, pinOf(1), inSession(1, 1))], 2)
    const whole = await bytesOf(source)
    await source.close()
    const at = whole.indexOf('000000000001/')
    assert(at > 0)
    const broken = Buffer.from(whole)
    broken[at + 3] = 0x78
    const state = await newState(t)
    await assert.rejects(state.restore(2, stream([broken])), { name: 'SnapshotUnreadableError' })
    assert.equal(state.appliedIndex(), 0)
    await state.close()
  })
})
