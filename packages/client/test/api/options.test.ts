/** Options in query strings: what is written is read back, and whatever is bad is one error that names it. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type AddOptions,
  BadRequestError,
  defaultAddOptions,
  defaultPinOptions,
  type PinOptions,
  readAddOptions,
  readPinOptions,
  writeAddOptions,
  writePinOptions
} from '@quorate/client/api'
import fc from 'fast-check'
import { cidV0, cidV1, ipfsPeer, peerA, peerB } from './fixtures.ts'

const nowMs = Date.UTC(2026, 0, 1)
const read = (query: string): PinOptions => readPinOptions(new URLSearchParams(query), nowMs)
const readAdd = (query: string): AddOptions => readAddOptions(new URLSearchParams(query), nowMs)

const wellFormed = fc.string({ unit: 'grapheme', maxLength: 20 })

const pinOptions: fc.Arbitrary<PinOptions> = fc.record({
  replicationFactorMin: fc.integer({ min: -1, max: 50 }),
  replicationFactorMax: fc.integer({ min: -1, max: 50 }),
  name: wellFormed,
  mode: fc.constantFrom('recursive', 'direct'),
  shardSizeBytes: fc.nat(),
  userAllocations: fc.subarray([peerA, peerB]),
  expireAtMs: fc.option(fc.integer({ min: 1, max: Date.UTC(9999, 0, 1) }), { nil: undefined }),
  metadata: fc.dictionary(
    wellFormed.filter((key) => key !== ''),
    wellFormed
  ),
  pinUpdate: fc.option(fc.constantFrom(cidV0, cidV1), { nil: undefined }),
  origins: fc.subarray([`/ip4/1.2.3.4/tcp/4001/p2p/${ipfsPeer}`, `/dns4/example.org/tcp/4001/p2p/${peerA}`])
})

describe('pin options', () => {
  it('are read back as they were written', () => {
    fc.assert(
      fc.property(pinOptions, (options) => {
        const query = new URLSearchParams(writePinOptions(options).toString())
        const back = readPinOptions(query)
        // A dictionary of fast-check may have no prototype.
        assert.deepEqual(
          { ...back, metadata: Object.entries(back.metadata).sort() },
          {
            ...options,
            metadata: Object.entries(options.metadata).sort()
          }
        )
      })
    )
  })

  it('are the defaults when nothing is given, also where everything is given empty', () => {
    assert.deepEqual(read(''), defaultPinOptions)
    assert.deepEqual(
      read(
        'name=&mode=&replication-min=&replication-max=&shard-size=&user-allocations=&expire-at=&pin-update=&origins=&meta-='
      ),
      defaultPinOptions
    )
  })

  it('take replication over its two halves, expire-at over expire-in, and the first of a repeated one', () => {
    const both = read('replication=3&replication-min=1&replication-max=2')
    assert.deepEqual([both.replicationFactorMin, both.replicationFactorMax], [3, 3])
    assert.equal(read('expire-at=2030-01-01T00:00:00Z&expire-in=1h').expireAtMs, Date.UTC(2030, 0, 1))
    assert.equal(read('expire-in=1h30m').expireAtMs, nowMs + 5_400_000)
    assert.deepEqual(read('meta-a=1&meta-a=2&name=x&name=y').metadata, { a: '1' })
  })

  for (const [query, message] of [
    ['replication=x', /^parameter replication invalid/],
    ['replication-min=1.5', /^parameter replication-min invalid/],
    ['replication-max=99999999999999999999', /^parameter replication-max invalid/],
    ['shard-size=-1', /^parameter shard_size is invalid$/],
    ['shard-size=x', /^parameter shard_size is invalid$/],
    ['mode=dirct', /^parameter mode invalid: "dirct"/],
    ['user-allocations=nobody', /^error decoding user-allocations: invalid peer ID "nobody"/],
    ['expire-at=tomorrow', /^expire-at cannot be parsed: /],
    ['expire-in=1d', /^expire-in cannot be parsed: /],
    ['expire-in=999ms', /^expire-in duration too short/],
    ['expire-in=-1h', /^expire-in duration too short/],
    ['pin-update=nope', /^error decoding update option parameter: /],
    ['origins=/ip4/1.2.3.4/tcp/4001', /^error decoding origins: .*has no \/p2p/],
    ['origins=what', /^error decoding origins: /]
  ] as const) {
    it(`are refused for ${query}`, () => {
      assert.throws(
        () => read(query),
        (error) => error instanceof BadRequestError && error.status === 400 && message.test(error.message)
      )
    })
  }

  it('are either read or refused as a bad request, whatever comes', () => {
    const names = [
      'replication',
      'shard-size',
      'mode',
      'user-allocations',
      'expire-at',
      'expire-in',
      'pin-update',
      'origins',
      'meta-x'
    ]
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...names), fc.string())), (pairs) => {
        try {
          readPinOptions(new URLSearchParams(pairs))
        } catch (error) {
          assert.ok(error instanceof BadRequestError)
        }
      })
    )
  })
})

describe('add options', () => {
  it('are read back as they were written', () => {
    const flag = fc.boolean()
    const extra = fc.record({
      layout: fc.constantFrom('balanced', 'trickle'),
      chunker: fc.constantFrom('size-262144', 'size-1048576', 'rabin-128-256-512'),
      hash: fc.constantFrom('sha2-256', 'blake3'),
      format: fc.constantFrom('unixfs', 'car'),
      local: flag,
      recursive: flag,
      hidden: flag,
      wrapWithDirectory: flag,
      shard: flag,
      progress: flag,
      cidVersion: fc.constantFrom(0, 1),
      rawLeaves: flag,
      streamChannels: flag,
      nocopy: flag,
      noPin: flag
    }) as fc.Arbitrary<Omit<AddOptions, keyof PinOptions>>
    fc.assert(
      fc.property(extra, (options) => {
        const written: AddOptions = { ...defaultPinOptions, ...options }
        assert.deepEqual(readAddOptions(new URLSearchParams(writeAddOptions(written).toString())), written)
      })
    )
  })

  it('are the defaults when nothing is given, and pass over what nobody knows', () => {
    assert.deepEqual(readAdd('wrap=true&no-copy=true'), defaultAddOptions)
  })

  it('have raw leaves with CID version 1 unless told otherwise', () => {
    assert.equal(readAdd('cid-version=1').rawLeaves, true)
    assert.equal(readAdd('cid-version=1&raw-leaves=false').rawLeaves, false)
  })

  it('take every spelling of a boolean that Go takes', () => {
    for (const yes of ['1', 't', 'T', 'TRUE', 'true', 'True']) assert.equal(readAdd(`no-pin=${yes}`).noPin, true)
    for (const no of ['0', 'f', 'F', 'FALSE', 'false', 'False']) {
      assert.equal(readAdd(`stream-channels=${no}`).streamChannels, false)
    }
  })

  for (const [query, message] of [
    ['layout=round', /^layout parameter is invalid/],
    ['format=zip', /^format parameter is invalid/],
    ['progress=yes', /^parameter progress invalid/],
    ['cid-version=2', /^parameter cid-version invalid/],
    ['cid-version=x', /^parameter cid-version invalid/],
    ['raw-leaves=2', /^parameter raw-leaves invalid/],
    ['replication-min=x', /^parameter replication-min invalid/]
  ] as const) {
    it(`are refused for ${query}`, () => {
      assert.throws(
        () => readAdd(query),
        (error) => error instanceof BadRequestError && message.test(error.message)
      )
    })
  }
})
