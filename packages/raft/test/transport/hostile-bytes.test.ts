/**
 * Whatever bytes a member sends, each decoder of this package answers: with something that is no larger than what was sent, or in the way it declares
 * for what it refuses. The list is held against the sources, so that a new decoder cannot be forgotten.
 */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { decodeConfig, encodeConfig } from '../../src/core/members.ts'
import { checksum } from '../../src/storage/checksum.ts'
import { decodeBase, decodeMessage, encodeBase, encodeMessage } from '../../src/transport/codec.ts'
import { decodeHello, encodeHello } from '../../src/transport/hello.ts'
import {
  decodeChunkRequest,
  decodeManifest,
  encodeChunkRequest,
  encodeManifest
} from '../../src/transport/manifest-codec.ts'
import {
  decodeEntriesAnswer,
  decodeEntriesRequest,
  decodeOffer,
  decodeOfferRequest,
  decodeReport,
  encodeEntriesAnswer,
  encodeEntriesRequest,
  encodeOfferRequest,
  encodeReport
} from '../../src/transport/repair-codec.ts'
import { append, base, id, message, term, u32, u48 } from './arbitraries.ts'

interface Decoder {
  readonly decode: (bytes: Uint8Array) => unknown
  /** Bytes of a member that keeps to the protocol. */
  readonly sound: fc.Arbitrary<Uint8Array>
  /** The error by which it refuses; otherwise it answers a reason, or undefined. */
  readonly refusal?: string
}

const chunks = fc.array(fc.record({ bytes: fc.nat(1024 * 1024), crc32: u32 }), { maxLength: 10 })
const life = fc.record({
  boot: u48,
  bootId: fc.constant('0123456789abcdef'),
  term: u48,
  lastIndex: fc.nat({ max: 2 ** 47 })
})
const refusal = 'SnapshotTransferError'

const decoders: Readonly<Record<string, Decoder>> = {
  decodeMessage: {
    decode: (bytes) => decodeMessage(bytes, checksum),
    sound: message.map((m) => Buffer.concat(encodeMessage(m)))
  },
  decodeBase: { decode: decodeBase, sound: base.map(encodeBase) },
  decodeConfig: { decode: decodeConfig, sound: base.map(({ config }) => encodeConfig(config)) },
  decodeHello: {
    decode: decodeHello,
    sound: fc
      .record({
        clusterId: id,
        memberId: id,
        incarnation: id,
        featureLevel: fc.nat(255),
        life: fc.option(life, { nil: undefined })
      })
      .map(encodeHello)
  },
  decodeManifest: {
    decode: decodeManifest,
    sound: fc
      .tuple(base, id, chunks)
      .map(([at, name, list]) => encodeManifest({ version: 1, id: name, base: at, chunks: list, totalBytes: 0 }))
  },
  decodeChunkRequest: {
    decode: decodeChunkRequest,
    sound: fc.tuple(id, u32).map(([snapshotId, chunk]) => encodeChunkRequest({ snapshotId, chunk }))
  },
  decodeReport: {
    decode: decodeReport,
    refusal,
    sound: fc
      .record({
        term,
        leads: fc.boolean(),
        base: fc.option(base, { nil: undefined }),
        last: fc.option(fc.record({ index: u48, chain: u32 }), { nil: undefined })
      })
      .map(encodeReport)
  },
  decodeEntriesRequest: {
    decode: decodeEntriesRequest,
    refusal,
    sound: fc.tuple(u48, u48, u32).map(([from, to, chain]) => encodeEntriesRequest({ from, to, chain }))
  },
  decodeEntriesAnswer: {
    decode: decodeEntriesAnswer,
    refusal,
    sound: fc.tuple(append, u32).map(([m, previousChain]) => {
      const entries = m.type === 'append-entries-request' ? m.entries : []
      return encodeEntriesAnswer({ previousChain, entries })
    })
  },
  decodeOfferRequest: { decode: decodeOfferRequest, refusal, sound: u48.map(encodeOfferRequest) },
  decodeOffer: { decode: decodeOffer, refusal, sound: base.map(encodeBase) }
}

/** About how much memory a value takes: every string, number and array it is made of. */
function weigh(value: unknown): number {
  if (typeof value === 'string') return 16 + value.length
  if (value instanceof Uint8Array) return 64
  if (typeof value !== 'object' || value === null) return 8
  return Object.values(value).reduce((sum: number, part) => sum + weigh(part), 16)
}

/** Per byte that was sent: an entry of 24 bytes is an object of a few fields, a name of three bytes a string. */
const WEIGHT_PER_BYTE = 32
const WEIGHT_OF_NOTHING = 1000

function take({ decode, refusal: name }: Decoder, bytes: Uint8Array): void {
  let decoded: unknown
  try {
    decoded = decode(bytes)
  } catch (error) {
    if (name === undefined || !(error instanceof Error) || error.name !== name) throw error
    return
  }
  const weight = weigh(decoded)
  assert.ok(weight <= WEIGHT_OF_NOTHING + WEIGHT_PER_BYTE * bytes.length, `${bytes.length} bytes became ${weight}`)
}

describe('any bytes of a member', () => {
  for (const [name, decoder] of Object.entries(decoders)) {
    it(`are answered by ${name}, and become nothing larger`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => take(decoder, bytes)),
        { numRuns: 1000 }
      )
    })

    it(`that were sound before they were changed, cut or doubled are answered by ${name}`, () => {
      const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 })
      fc.assert(
        fc.property(decoder.sound, changes, fc.nat(), (sound, places, cut) => {
          take(decoder, sound)
          const bytes = Uint8Array.from(sound)
          if (bytes.length > 0) for (const [at, value] of places) bytes[at % bytes.length] = value
          take(decoder, bytes)
          take(decoder, bytes.subarray(0, cut % (bytes.length + 1)))
          take(decoder, Buffer.concat([bytes, bytes]))
        }),
        { numRuns: 1000 }
      )
    })

    it(`that are sound for another decoder are answered by ${name}`, () => {
      const others = Object.values(decoders).map(({ sound }) => sound)
      fc.assert(
        fc.property(fc.oneof(...others), (bytes) => take(decoder, bytes)),
        { numRuns: 1000 }
      )
    })

    it(`are answered by ${name} when each length says as much as it can`, () => {
      fc.assert(
        fc.property(decoder.sound, fc.nat(), fc.constantFrom(1, 2, 4), (sound, at, width) => {
          const bytes = Uint8Array.from(sound)
          for (let i = 0; i < width && bytes.length > 0; i++) bytes[(at + i) % bytes.length] = 0xff
          take(decoder, bytes)
        }),
        { numRuns: 1000 }
      )
    })
  }

  it('are read by no decoder that is not tried here', () => {
    const folder = new URL('../../src/transport/', import.meta.url)
    const found = readdirSync(folder).flatMap((file) =>
      [...readFileSync(new URL(file, folder), 'utf8').matchAll(/^export (?:function|const) (decode\w+)/gm)].map(
        ([, name]) => name
      )
    )
    assert.ok(found.length >= 9, `${found.length} decoders were found`)
    assert.deepEqual(
      found.filter((name) => name !== undefined && !(name in decoders)),
      []
    )
  })
})
