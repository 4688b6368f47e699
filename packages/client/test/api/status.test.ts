import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  BadRequestError,
  formatPinTypeFilter,
  formatStatusFilter,
  parsePinTypeFilter,
  parseStatusFilter,
  trackerStatuses
} from '@quorate/client/api'
import fc from 'fast-check'

describe('status filters', () => {
  it('read back what they write', () => {
    fc.assert(
      fc.property(fc.subarray(trackerStatuses.slice(1) as string[], { minLength: 1 }), (names) => {
        const filter = parseStatusFilter(names.join(','))
        assert.deepEqual(parseStatusFilter(formatStatusFilter(filter)), filter)
        assert.deepEqual([...(filter ?? [])].sort(), [...names].sort())
      })
    )
  })

  it('know families, pass over blanks and unknown names, and take nothing for everything', () => {
    assert.deepEqual(parseStatusFilter('error'), new Set(['cluster_error', 'pin_error', 'unpin_error']))
    assert.deepEqual(parseStatusFilter(' queued , pinned,what'), new Set(['pin_queued', 'unpin_queued', 'pinned']))
    assert.equal(parseStatusFilter(''), undefined)
    assert.equal(formatStatusFilter(['error']), 'error')
  })

  for (const text of ['what', 'undefined', 'PINNED', ',']) {
    it(`refuse ${JSON.stringify(text)} with the message of IPFS Cluster`, () => {
      assert.throws(
        () => parseStatusFilter(text),
        (error) => error instanceof BadRequestError && error.message === 'invalid filter value' && error.status === 400
      )
    })
  }
})

describe('pin type filters', () => {
  it('take all and nothing for everything, and pass over unknown types beside known ones', () => {
    assert.equal(parsePinTypeFilter(''), undefined)
    assert.equal(parsePinTypeFilter('pin,all'), undefined)
    assert.deepEqual(parsePinTypeFilter('pin,nonsense'), new Set(['pin']))
    assert.equal(formatPinTypeFilter(undefined), 'all')
    assert.throws(() => parsePinTypeFilter('nonsense'), BadRequestError)
  })
})
