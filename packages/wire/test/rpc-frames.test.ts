import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  creditFrame,
  failureFrame,
  payloadOfFrame,
  readCredit,
  readFailure,
  readHead,
  readRequest,
  requestHead
} from '../src/rpc-frames.ts'

const readAll = (frame: Uint8Array): void => {
  const head = readHead(frame)
  assert.equal(head === undefined, frame.length < 5)
  const request = readRequest(frame)
  assert.ok(request === undefined || request.payload.length <= frame.length)
  const failure = readFailure(frame)
  assert.ok(failure === undefined || failure.message.length <= frame.length)
  readCredit(frame)
  assert.ok(payloadOfFrame(frame).length <= frame.length)
}

describe('the frames of calls', () => {
  it('are read from any bytes without throwing', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), readAll), { numRuns: 2000 })
  })

  it('are read without throwing when they were changed in a few places or cut short', () => {
    const u32 = fc.nat(2 ** 32 - 1)
    const text = fc.string({ maxLength: 30 })
    const frame = fc.oneof(
      fc.tuple(u32, u32).map(([id, bytes]) => creditFrame(id, bytes)),
      fc
        .tuple(u32, u32, text, fc.uint8Array({ maxLength: 30 }))
        .map(([id, credit, method, payload]) => Buffer.concat([requestHead(id, credit, method), payload])),
      fc
        .tuple(u32, fc.boolean(), text, text, text)
        .map(([id, refused, name, code, message]) => failureFrame(id, { refused, name, code, message }))
    )
    fc.assert(
      fc.property(
        frame,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        fc.nat(),
        (bytes, changes, cut) => {
          const changed = Uint8Array.from(bytes)
          for (const [at, value] of changes) changed[at % changed.length] = value
          readAll(changed)
          readAll(changed.subarray(0, cut % (changed.length + 1)))
        }
      ),
      { numRuns: 2000 }
    )
  })

  it('give back a failure, its texts cut to what is sent', () => {
    const failure = { refused: true, name: 'E', code: 'c', message: 'm'.repeat(10_000) }
    assert.deepEqual(readFailure(failureFrame(7, failure)), { ...failure, message: 'm'.repeat(4096) })
  })
})
