import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { classifyError, createApiError, type ErrorCode, errorCodes } from '@quorate/client/api'

describe('the table of errors', () => {
  for (const code of Object.keys(errorCodes) as ErrorCode[]) {
    it(`knows ${code} again by its name`, () => {
      const { status, message } = errorCodes[code]
      assert.equal(classifyError(status, message, code), code)
      const error = createApiError(code, message)
      assert.equal(error.code, code)
      assert.equal(error.status, status)
      assert.match(error.name, /Error$/)
      assert.ok(status >= 400 && status <= 599)
    })
  }

  it('has the message and the status that clients of IPFS Cluster compare', () => {
    assert.equal(errorCodes['pin-not-found'].message, 'pin is not part of the pinset')
    assert.equal(errorCodes['pin-not-found'].status, 404)
    assert.equal(errorCodes['route-not-found'].message, 'not found')
  })

  it('finds the code of an answer of IPFS Cluster by its message', () => {
    for (const [message, code] of [
      ['pin is not part of the pinset', 'pin-not-found'],
      ['timed out waiting for leader: context deadline exceeded', 'no-leader'],
      [
        'not enough peers to allocate CID. Needed at least: 3. Wanted at most: 3. Available candidates: 1.',
        'not-enough-allocations'
      ],
      ['cluster.replication_factor_min is larger than max', 'invalid-pin'],
      ['IPFS error (resolve?arg=x). Code: 0. Message: y', 'ipfs-error'],
      ['something new', 'internal']
    ] as const) {
      assert.equal(classifyError(500, message), code)
    }
    assert.equal(classifyError(400, 'error decoding Cid: x'), 'bad-request')
    assert.equal(classifyError(405, ''), 'method-not-allowed')
    assert.equal(classifyError(500, 'x', 'no-such-code'), 'internal')
  })
})
