/** Whatever bytes a peer sends for a request or an answer, they are what the method's schema says or a `MalformedRpcError`. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encode } from 'cborg'
import fc from 'fast-check'
import type { z } from 'zod'
import { type RpcMethod, rpcMethods } from '../../src/rpc/methods.ts'
import { MalformedRpcError, readPayload, writePayload } from '../../src/rpc/payloads.ts'

const methods = Object.keys(rpcMethods) as RpcMethod[]
const parts = ['request', 'response'] as const

/** The inside of a schema, as far as it is needed here. */
interface Definition {
  readonly type: string
  readonly in?: z.ZodType
  readonly innerType?: z.ZodType
  readonly element?: z.ZodType
  readonly valueType?: z.ZodType
  readonly shape?: Readonly<Record<string, z.ZodType>>
  readonly entries?: Readonly<Record<string, string>>
}

const text = fc.constantFrom('a', 'pinned', '0'.repeat(16), '0'.repeat(32), 'f'.repeat(32))
const number = fc.oneof(fc.nat(1000), fc.constantFrom(0, 1, -1, 1.5, 2 ** 53 - 1))

/** Values of about the shape that a schema asks for. */
function shaped(schema: z.ZodType): fc.Arbitrary<unknown> {
  const { type, in: inner, innerType, element, valueType, shape, entries } = schema._zod.def as unknown as Definition
  switch (type) {
    case 'object':
      return fc.record(Object.fromEntries(Object.entries(shape ?? {}).map(([key, field]) => [key, shaped(field)])), {
        noNullPrototype: true
      })
    case 'array':
      return fc.array(shaped(element as z.ZodType), { maxLength: 3 })
    case 'record':
      return fc.dictionary(fc.string(), shaped(valueType as z.ZodType), { maxKeys: 3, noNullPrototype: true })
    case 'pipe':
      return shaped(inner as z.ZodType)
    case 'optional':
    case 'nullable':
      return fc.option(shaped(innerType as z.ZodType), { nil: type === 'optional' ? undefined : null })
    case 'enum':
      return fc.constantFrom(...Object.values(entries ?? {}))
    case 'string':
      return text
    case 'number':
      return number
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'custom':
      return fc.uint8Array({ maxLength: 20 })
    default:
      return fc.anything({ maxDepth: 2 })
  }
}

/** @returns whether the bytes were taken */
function take(method: RpcMethod, part: (typeof parts)[number], bytes: Uint8Array): boolean {
  try {
    readPayload(method, part, bytes, 'a peer')
    return true
  } catch (error) {
    if (!(error instanceof MalformedRpcError)) throw error
    assert.ok(error.message.includes(method))
    return false
  }
}

describe('the bytes of a call', () => {
  it('may be anything', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...methods),
        fc.constantFrom(...parts),
        fc.uint8Array({ maxLength: 100 }),
        (...call) => {
          take(...call)
        }
      ),
      { numRuns: 5000 }
    )
  })

  it('may be any value', () => {
    const value = fc.anything({ withDate: false, withBigInt: true, withTypedArray: true, withNullPrototype: true })
    fc.assert(
      fc.property(fc.constantFrom(...methods), fc.constantFrom(...parts), value, (method, part, sent) => {
        let bytes: Uint8Array
        try {
          bytes = encode(sent)
        } catch {
          return
        }
        take(method, part, bytes)
      }),
      { numRuns: 2000 }
    )
  })

  it('may nest without end, or announce more than there is', () => {
    for (const method of methods) {
      for (const head of [0x81, 0xa1, 0xd8, 0x9f, 0xbf]) take(method, 'request', Buffer.alloc(100_000, head))
      for (const head of [0x5b, 0x7b, 0x9b, 0xbb]) {
        take(method, 'request', Buffer.concat([Uint8Array.of(head), Buffer.alloc(8, 0xff), Buffer.alloc(20)]))
        take(method, 'request', Buffer.concat([Uint8Array.of(head, 0, 0, 0, 0x10), Buffer.alloc(24)]))
      }
    }
  })

  it('may be millions of wrong values: they are not looked at, and not listed', () => {
    const bytes = encode({ filter: Array.from({ length: 1_000_000 }, () => null) })
    const sent = (): unknown => readPayload('Tracker.statusAll', 'request', bytes, 'a peer')
    assert.throws(sent, { name: 'MalformedRpcError', message: /more than 131072 values/ })
    const fewer = encode({ filter: Array.from({ length: 100_000 }, () => null) })
    assert.throws(
      () => readPayload('Tracker.statusAll', 'request', fewer, 'a peer'),
      (error: Error) => error.name === 'MalformedRpcError' && error.message.length < 1000
    )
  })

  it('may be as many rows as a frame has', () => {
    const rows = Array.from({ length: 10_000 }, () => ({ cid: 'a' }))
    assert.equal(readPayload('Ipfs.repoGc', 'response', writePayload(rows), 'a peer').length, rows.length)
  })

  for (const method of methods) {
    it(`of ${method} may be changed anywhere`, () => {
      let taken = 0
      for (const part of parts) {
        const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 })
        fc.assert(
          fc.property(shaped(rpcMethods[method][part]), changes, fc.nat(), (value, places, cut) => {
            const bytes = Uint8Array.from(writePayload(value))
            if (take(method, part, bytes)) taken++
            for (const [at, byte] of places) bytes[at % bytes.length] = byte
            take(method, part, bytes)
            take(method, part, bytes.subarray(0, cut % (bytes.length + 1)))
          }),
          { numRuns: 200 }
        )
      }
      assert.ok(taken > 0, 'no value that was made up was of the form that the method wants')
    })
  }
})
