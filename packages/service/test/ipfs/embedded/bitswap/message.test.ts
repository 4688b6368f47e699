/** The bytes of bitswap: what is written can be read, by others too, and what strangers send does no harm. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  type BitswapMessage,
  decodeMessage,
  encodeFrame,
  FrameReader
} from '../../../../src/ipfs/embedded/bitswap/message.ts'

const bytes = (maxLength: number) => fc.uint8Array({ maxLength })
const message: fc.Arbitrary<BitswapMessage> = fc.record({
  wants: fc.array(
    fc.record({
      cid: bytes(60),
      cancel: fc.boolean(),
      wantType: fc.constantFrom(0 as const, 1 as const),
      sendDontHave: fc.boolean()
    })
  ),
  full: fc.boolean(),
  blocks: fc.array(fc.record({ prefix: bytes(8), data: bytes(3000) })),
  presences: fc.array(fc.record({ cid: bytes(60), type: fc.constantFrom(0 as const, 1 as const) }))
})

const hex = (part: Uint8Array) => Buffer.from(part).toString('hex')
const plain = ({ wants, full, blocks, presences }: BitswapMessage) => ({
  wants: wants.map((want) => ({ ...want, cid: hex(want.cid) })),
  full,
  blocks: blocks.map(({ prefix, data }) => [hex(prefix), hex(data)]),
  presences: presences.map(({ cid, type }) => [hex(cid), type])
})

describe('bitswap messages', () => {
  it('are read as they were written, in whatever pieces they arrive', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 4 }), fc.integer({ min: 1, max: 500 }), (messages, pieceBytes) => {
        const stream = Buffer.concat(messages.flatMap(encodeFrame))
        const reader = new FrameReader(100_000)
        const read: BitswapMessage[] = []
        for (let at = 0; at < stream.length; at += pieceBytes) {
          for (const frame of reader.push(stream.subarray(at, at + pieceBytes))) read.push(decodeMessage(frame))
        }
        assert.deepEqual(read.map(plain), messages.map(plain))
      })
    )
  })

  it('are those of the protocol', () => {
    const cid = Uint8Array.of(1, 2, 3)
    const frame = encodeFrame({
      wants: [{ cid, cancel: false, wantType: 1, sendDontHave: true }],
      full: false,
      blocks: [{ prefix: Uint8Array.of(9), data: Uint8Array.of(7, 8) }],
      presences: [{ cid, type: 1 }]
    })
    assert.equal(
      Buffer.concat(frame).toString('hex'),
      [
        '25',
        '0a11',
        '0a0d0a030102031001180020012801',
        '1000',
        '22070a0301020310',
        '01',
        '1a07',
        '0a0109',
        '12020708'
      ].join('')
    )
  })

  it('of any bytes are read or refused, with nothing else happening', () => {
    fc.assert(
      fc.property(bytes(300), (noise) => {
        try {
          decodeMessage(noise)
        } catch (error) {
          assert.ok(error instanceof RangeError)
        }
      })
    )
  })

  it('that claim to be too large are refused before they have arrived', () => {
    assert.throws(() => new FrameReader(1000).push(Uint8Array.of(0xff, 0xff, 0x7f)), RangeError)
    assert.throws(() => new FrameReader(1000).push(new Uint8Array(10).fill(0xff)), RangeError)
  })
})
