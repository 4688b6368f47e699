/** The simulator's checksum is the one that real nodes use. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { checksum } from '../../src/sim/checksum.ts'

describe('the checksum of simulated entries', () => {
  it('is that of zlib, whatever it continues', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(0xffff_ffff), (bytes, seed) => {
        assert.equal(checksum(bytes, seed), crc32(bytes, seed))
      })
    )
  })
})
