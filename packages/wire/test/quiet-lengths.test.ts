/** What `quietLengths` does to the decoder inside a connection, on the decoder that Noise uses. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ConnectionEncrypter } from '@libp2p/interface'
import { LengthPrefixedDecoder } from '@libp2p/utils'
import fc from 'fast-check'
import { quietLengths } from '../src/quiet-lengths.ts'

/** An encrypter whose connections are nothing but `connection`. */
const encrypterOf = (connection: object) => () =>
  ({
    secureInbound: async () => ({ connection }),
    secureOutbound: async () => ({ connection })
  }) as unknown as ConnectionEncrypter

const secured = async (connection: object): Promise<void> => {
  const encrypter = quietLengths(encrypterOf(connection))({})
  await encrypter.secureOutbound({} as never)
}

function lengthsOf(bytes: number) {
  let thrown = 0
  const decoder = new LengthPrefixedDecoder({
    encodingLength: () => bytes,
    lengthDecoder: (data) => {
      if (data.byteLength < bytes) {
        thrown++
        throw new RangeError('the length is not complete')
      }
      return data.subarray(0, 2).reduce((length, byte) => length * 256 + byte)
    }
  })
  return { decoder, thrown: () => thrown }
}

const framed = (payload: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([payload.length >> 8, payload.length & 255]), payload])

describe('quietLengths', () => {
  it('reads the same messages, wherever the chunks are cut, and throws nothing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        async (payloads, cuts) => {
          const { decoder, thrown } = lengthsOf(2)
          await secured({ decoder })
          const stream = Buffer.concat(payloads.map(framed))
          const read: Buffer[] = []
          for (let at = 0, cut = 0; at < stream.length; cut++) {
            const end = at + cuts[cut % cuts.length]!
            for (const message of decoder.decode(stream.subarray(at, end))) read.push(Buffer.from(message.subarray()))
            at = end
          }
          assert.deepEqual(
            read,
            payloads.map((payload) => Buffer.from(payload))
          )
          assert.equal(thrown(), 0)
        }
      )
    )
  })

  it('leaves a decoder of other lengths as it is', async () => {
    const { decoder } = lengthsOf(4)
    const { lengthDecoder } = decoder as unknown as { lengthDecoder: unknown }
    await secured({ decoder })
    assert.equal((decoder as unknown as { lengthDecoder: unknown }).lengthDecoder, lengthDecoder)
  })

  it('leaves a connection without a decoder as it is', async () => {
    const connection = Object.freeze({})
    await secured(connection)
  })
})
