/** What the codec gives back, and what it refuses. That no bytes at all make it throw is tried in `hostile-bytes.test.ts`, of all decoders. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Message } from '../../src/core/messages.ts'
import { checksum } from '../../src/storage/checksum.ts'
import { decodeBase, decodeMessage, encodeBase, encodeMessage } from '../../src/transport/codec.ts'
import { decodeHello, encodeHello } from '../../src/transport/hello.ts'
import {
  decodeChunkRequest,
  decodeManifest,
  encodeChunkRequest,
  encodeManifest
} from '../../src/transport/manifest-codec.ts'
import { decodeReport, encodeReport } from '../../src/transport/repair-codec.ts'
import { append, base, id, message, u32 } from './arbitraries.ts'

/** Buffers and plain arrays compare as different, and are not. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_key, part) => (part instanceof Uint8Array ? Buffer.from(part).toString('hex') : part))
  )

describe('the message codec', () => {
  it('gives back every message', () => {
    fc.assert(
      fc.property(message, (original) => {
        const decoded = decodeMessage(Buffer.concat(encodeMessage(original)), checksum)
        // Buffer has a toJSON of its own, which runs before the replacer sees it.
        const strip = (m: Message) =>
          m.type === 'append-entries-request'
            ? { ...m, entries: m.entries.map((e) => ({ ...e, record: [...e.record] })) }
            : m
        assert.ok(typeof decoded !== 'string', String(decoded))
        assert.deepEqual(plain(strip(decoded)), plain(strip(original)))
      })
    )
  })

  it('takes any bytes without throwing', () => {
    fc.assert(
      fc.property(fc.nat(12), fc.uint8Array({ maxLength: 200 }), (kind, rest) => {
        decodeMessage(Buffer.concat([Uint8Array.of(kind), rest]), checksum)
      }),
      { numRuns: 2000 }
    )
  })

  it('refuses every message that is cut short or goes on too long', () => {
    fc.assert(
      fc.property(message, fc.nat(), (original, cut) => {
        const bytes = Buffer.concat(encodeMessage(original))
        const short = decodeMessage(bytes.subarray(0, cut % bytes.length), checksum)
        // Cut between two entries an append is a shorter append; nothing else is anything.
        if (original.type !== 'append-entries-request') assert.equal(typeof short, 'string')
        assert.equal(typeof decodeMessage(Buffer.concat([bytes, Uint8Array.of(1)]), checksum), 'string')
      })
    )
  })

  it('refuses an append in which one bit of an entry is flipped', () => {
    fc.assert(
      fc.property(append, fc.nat(), fc.nat(7), (original, at, bit) => {
        const bytes = Buffer.concat(encodeMessage(original))
        const start = 35
        if (bytes.length === start) return
        const place = start + (at % (bytes.length - start))
        bytes[place]! ^= 1 << bit
        assert.equal(typeof decodeMessage(bytes, checksum), 'string')
      })
    )
  })

  it('gives back manifests, requests and hellos', () => {
    const chunk = fc.record({ bytes: fc.nat(1024 * 1024), crc32: u32 }, { noNullPrototype: true })
    fc.assert(
      fc.property(base, fc.array(chunk, { maxLength: 20 }), id, u32, (at, chunks, name, number) => {
        const totalBytes = chunks.reduce((sum, { bytes }) => sum + bytes, 0)
        const manifest = { version: 1 as const, id: name, base: at, chunks, totalBytes }
        assert.deepEqual(decodeManifest(encodeManifest(manifest)), manifest)
        const request = { snapshotId: name, chunk: number }
        assert.deepEqual(decodeChunkRequest(encodeChunkRequest(request)), request)
        const life = {
          boot: number,
          bootId: '0123456789abcdef',
          term: at.term,
          lastIndex: Math.min(at.index, 2 ** 48 - 2)
        }
        const hello = { clusterId: name, memberId: `${name}x`, incarnation: '', featureLevel: number & 0xff, life }
        assert.deepEqual(decodeHello(encodeHello(hello)), hello)
        assert.deepEqual(decodeHello(encodeHello({ ...hello, life: undefined })), { ...hello, life: undefined })
        const damaged = { ...hello, life: { ...life, lastIndex: undefined } }
        assert.deepEqual(decodeHello(encodeHello(damaged)), damaged)
      })
    )
  })

  it('refuses a manifest that names a path, or a chunk beyond the limit', () => {
    const sound = {
      version: 1 as const,
      id: 'ab',
      base: { index: 1, term: 1, chain: 0, config: { voters: ['a'], outgoing: [], learners: [] } },
      chunks: [{ bytes: 10, crc32: 0 }],
      totalBytes: 10
    }
    assert.notEqual(decodeManifest(encodeManifest(sound)), undefined)
    assert.equal(decodeManifest(encodeManifest({ ...sound, id: '../b' })), undefined)
    assert.equal(
      decodeManifest(encodeManifest({ ...sound, chunks: [{ bytes: 1024 * 1024 + 1, crc32: 0 }] })),
      undefined
    )
  })

  it('takes no term from which a node could not campaign any more', () => {
    fc.assert(
      fc.property(message, fc.integer({ min: 2 ** 47, max: 2 ** 48 - 1 }), (original, large) => {
        const bytes = Buffer.concat(encodeMessage({ ...original, term: large }))
        assert.match(String(decodeMessage(bytes, checksum)), /beyond any/)
        const at = { index: 1, chain: 0, config: { voters: ['a'], outgoing: [], learners: [] } }
        assert.equal(decodeBase(encodeBase({ ...at, term: large })), undefined)
        assert.notEqual(decodeBase(encodeBase({ ...at, term: 2 ** 47 - 1 })), undefined)
        assert.throws(
          () => decodeReport(encodeReport({ term: large, leads: true, base: undefined, last: undefined })),
          {
            name: 'SnapshotTransferError'
          }
        )
      })
    )
  })

  it('throws at no message that was changed in a few places, and makes nothing of it that is larger than it', () => {
    fc.assert(
      fc.property(message, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }), (m, changes) => {
        const bytes = Buffer.concat(encodeMessage(m))
        for (const [at, value] of changes) bytes[at % bytes.length] = value
        const decoded = decodeMessage(bytes, checksum)
        if (typeof decoded !== 'string' && decoded.type === 'append-entries-request') {
          const taken = decoded.entries.reduce((sum, { record }) => sum + record.length, 0)
          assert.ok(taken <= bytes.length)
        }
      }),
      { numRuns: 2000 }
    )
  })
})
