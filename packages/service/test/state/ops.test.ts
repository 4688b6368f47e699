import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { decodeOperation, encodeOperation } from '../../src/state/ops.ts'
import { decodePin, encodePin } from '../../src/state/pin-codec.ts'
import { testCid, testPin } from './fixtures.ts'

const text = fc.string({ unit: 'binary' })

const anyPin = fc
  .record({
    number: fc.nat(50),
    type: fc.constantFrom('pin' as const, 'meta-pin' as const, 'clusterdag-pin' as const, 'shard-pin' as const),
    min: fc.integer({ min: -1, max: 1000 }),
    max: fc.integer({ min: -1, max: 1000 }),
    maxDepth: fc.integer({ min: -1, max: 3 }),
    name: text,
    expireAtSeconds: fc.option(fc.integer({ min: 1, max: 4_000_000_000 }), { nil: undefined }),
    timestampSeconds: fc.nat(4_000_000_000),
    shardSizeBytes: fc.maxSafeNat(),
    allocations: fc.array(text),
    origins: fc.array(text),
    metadata: fc.dictionary(fc.oneof(text, fc.constant('__proto__')), text, { noNullPrototype: true }),
    pinUpdate: fc.option(fc.nat(50).map(testCid), { nil: undefined }),
    reference: fc.option(fc.nat(50).map(testCid), { nil: undefined })
  })
  .map((shape) =>
    testPin(shape.number, {
      type: shape.type,
      replicationFactorMin: shape.min,
      replicationFactorMax: shape.max,
      maxDepth: shape.maxDepth,
      mode: shape.maxDepth === 0 ? 'direct' : 'recursive',
      name: shape.name,
      expireAtMs: shape.expireAtSeconds === undefined ? undefined : shape.expireAtSeconds * 1000,
      timestampMs: shape.timestampSeconds * 1000,
      shardSizeBytes: shape.shardSizeBytes,
      allocations: shape.allocations,
      origins: shape.origins,
      metadata: shape.metadata,
      pinUpdate: shape.pinUpdate,
      reference: shape.reference
    })
  )

describe('the pin codec', () => {
  it('reads back every pin as it was written', () => {
    fc.assert(fc.property(anyPin, (pin) => assert.deepEqual(decodePin(encodePin(pin)).pin, pin)))
  })

  it('writes the same bytes whatever the order of the metadata', () => {
    const one = encodePin(testPin(1, { metadata: { b: '2', a: '1' } }))
    const two = encodePin(testPin(1, { metadata: { a: '1', b: '2' } }))
    assert.deepEqual(one, two)
  })

  it('loses user allocations and parts of a second, as IPFS Cluster does', () => {
    const stored = decodePin(
      encodePin(testPin(1, { userAllocations: ['peer'], timestampMs: 1999, expireAtMs: 5678 }))
    ).pin
    assert.deepEqual(stored, testPin(1, { userAllocations: [], timestampMs: 1000, expireAtMs: 5000 }))
  })

  it('hands nothing of one pin on to the next', () => {
    decodePin(
      encodePin(testPin(1, { name: 'first', metadata: { a: '1' }, expireAtMs: 9000, origins: ['/ip4/1.2.3.4'] }))
    )
    assert.deepEqual(
      decodePin(encodePin(testPin(2, { maxDepth: 0, mode: 'direct' }))).pin,
      testPin(2, { maxDepth: 0, mode: 'direct' })
    )
  })

  it('refuses what is no CID before anything is proposed', () => {
    assert.throws(() => encodePin({ ...testPin(1), cid: 'hello' }), TypeError)
    assert.throws(() => encodeOperation({ kind: 'unpin', cid: '' }), TypeError)
  })
})

describe('the operation codec', () => {
  it('answers any bytes with an operation or an error, and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) =>
        assert.equal(typeof decodeOperation(bytes).kind, 'string')
      )
    )
  })

  it('finds every cut and every added byte of a pin', () => {
    const payload = encodeOperation({
      kind: 'pin',
      pin: testPin(4, { name: 'x', allocations: ['a', 'b'], pinUpdate: testCid(5) })
    })
    for (let length = 0; length < payload.length; length++) {
      assert.equal(decodeOperation(payload.subarray(0, length)).kind, 'error', `cut to ${length} bytes`)
    }
    const longer = decodeOperation(Buffer.concat([payload, Buffer.of(0)]))
    assert.equal(longer.kind === 'error' && longer.code, 'MALFORMED')
  })

  it('says that a kind or a version of a later release is unsupported', () => {
    for (const bytes of [Uint8Array.of(1, 99), Uint8Array.of(2, 1)]) {
      const operation = decodeOperation(bytes)
      assert.equal(operation.kind === 'error' && operation.code, 'UNSUPPORTED')
    }
  })

  it('does not allocate for a count that the record cannot hold', () => {
    // A peer record with 2^40 addresses in 40 bytes.
    const record = Buffer.concat([
      Buffer.of(1, 3, 4),
      Buffer.from('peer'),
      Buffer.of(0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20)
    ])
    const operation = decodeOperation(record)
    assert.equal(operation.kind === 'error' && operation.code, 'MALFORMED')
  })
})
