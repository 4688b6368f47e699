/** What becomes of a client's wish on its way to consensus, row by row. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultPinOptions, InvalidPinError, type Pin, type PinOptions } from '@quorate/client/api'
import { isEverywhere, preparePin, prepareUpdate } from '../src/pin-request.ts'

const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const now = 1_000_000
const everywhere = { replicationFactorMin: -1, replicationFactorMax: -1 }

const prepare = (
  options: Partial<PinOptions>,
  existing?: Pin,
  defaults: { replicationFactorMin: number; replicationFactorMax: number } = everywhere
): Pin => preparePin(cid, { ...defaultPinOptions, ...options }, existing, defaults, now)

const pinned = (more: Partial<Pin>): Pin => ({ ...prepare({}), ...more })

describe('the pin of a request', () => {
  it('takes the factors that are not given from the configuration', () => {
    for (const [asked, defaults, min, max] of [
      [[0, 0], [-1, -1], -1, -1],
      [[0, 0], [2, 3], 2, 3],
      [[1, 0], [2, 3], 1, 3],
      [[0, 5], [2, 3], 2, 5],
      [[3, 3], [-1, -1], 3, 3],
      [[-1, -1], [2, 3], -1, -1]
    ] as const) {
      const pin = prepare({ replicationFactorMin: asked[0], replicationFactorMax: asked[1] }, undefined, {
        replicationFactorMin: defaults[0],
        replicationFactorMax: defaults[1]
      })
      assert.deepEqual([pin.replicationFactorMin, pin.replicationFactorMax], [min, max])
      assert.equal(isEverywhere(pin), min === -1)
    }
  })

  it('is of the mode that was asked for, and dated now', () => {
    const pin = prepare({ mode: 'direct', name: 'n', metadata: { a: 'b' }, expireAtMs: now + 1 })
    assert.deepEqual(
      [pin.maxDepth, pin.mode, pin.timestampMs, pin.type, pin.name, pin.metadata, pin.expireAtMs, pin.allocations],
      [0, 'direct', now, 'pin', 'n', { a: 'b' }, now + 1, []]
    )
    assert.equal(prepare({}).maxDepth, -1)
  })

  it('is refused with the words of IPFS Cluster when it makes no sense', () => {
    const rows: [Partial<PinOptions>, Pin | undefined, RegExp][] = [
      [
        { replicationFactorMin: 3, replicationFactorMax: 2 },
        undefined,
        /^cluster.replication_factor_min is larger than max: 3 > 2$/
      ],
      [
        { replicationFactorMin: -2, replicationFactorMax: 1 },
        undefined,
        /^cluster.replication_factor_min is wrong: -2$/
      ],
      [
        { replicationFactorMin: 1, replicationFactorMax: -2 },
        undefined,
        /^cluster.replication_factor_max is wrong: -2$/
      ],
      [{ replicationFactorMin: 1 }, undefined, /must be -1 when one of them is: min is 1, max is -1$/],
      [{ replicationFactorMax: 1 }, undefined, /must be -1 when one of them is: min is -1, max is 1$/],
      [{ expireAtMs: now }, undefined, /^pin.ExpireAt set before current time: 1970-01-01T00:16:40.000Z$/],
      [{}, pinned({ type: 'meta-pin' }), /^cannot repin CID with different tracking method.* New: pin. Was: meta-pin$/],
      [
        { mode: 'direct' },
        pinned({ mode: 'recursive' }),
        /^cannot repin a CID which is already pinned in recursive mode/
      ]
    ]
    for (const [options, existing, message] of rows) {
      assert.throws(
        () => prepare(options, existing),
        (error: Error) => error instanceof InvalidPinError && message.test(error.message)
      )
    }
    assert.throws(
      () => prepare({}, undefined, { replicationFactorMin: 0, replicationFactorMax: 0 }),
      /^InvalidPinError: cluster.replication_factor_min and max must be set$/
    )
  })

  it('may make a direct pin recursive, and change the options of the same mode', () => {
    assert.equal(prepare({ mode: 'recursive' }, pinned({ mode: 'direct' })).mode, 'recursive')
    assert.equal(prepare({ name: 'new' }, pinned({ name: 'old' })).name, 'new')
  })
})

describe('the update of a pin', () => {
  const source = pinned({
    cid: 'source',
    name: 'old',
    allocations: ['p'],
    replicationFactorMin: 1,
    replicationFactorMax: 2,
    expireAtMs: now + 5,
    mode: 'direct',
    maxDepth: 0
  })
  const update = (options: Partial<PinOptions>, from = source): Pin =>
    prepareUpdate(cid, { ...defaultPinOptions, ...options }, from, now)

  it('copies everything but what is named', () => {
    assert.deepEqual(update({ replicationFactorMin: 9, mode: 'recursive', metadata: { not: 'taken' } }), {
      ...source,
      cid,
      pinUpdate: 'source',
      timestampMs: now
    })
    const changed = update({ name: 'new', expireAtMs: now + 9 })
    assert.deepEqual([changed.name, changed.expireAtMs], ['new', now + 9])
  })

  it('is refused for a part of a sharded DAG, and for an expiry that is past', () => {
    assert.throws(
      () => update({}, { ...source, type: 'shard-pin' }),
      /this pin type cannot be updated: source is a shard-pin/
    )
    assert.throws(() => update({ expireAtMs: now - 1 }), /pin.ExpireAt set before current time/)
  })
})
