import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BadRequestError, defaultPinOptions, type RawParams, routes, routeTarget } from '@quorate/client/api'
import { cidV0, cidV1, peerA } from './fixtures.ts'

const query = (text: string): URLSearchParams => new URLSearchParams(text)

describe('routes', () => {
  it('write their targets percent-encoded', () => {
    assert.equal(routeTarget(routes.id, {}, {}), '/id')
    assert.equal(routeTarget(routes.recover, { cid: cidV0 }, { local: true }), `/pins/${cidV0}/recover?local=true`)
    assert.equal(routeTarget(routes.peerRemove, { peer: peerA }, {}), `/peers/${peerA}`)
    assert.equal(
      routeTarget(routes.pinIpfs, { path: `/ipfs/${cidV0}/a b/ü?` }, { ...defaultPinOptions, name: 'x&y' }),
      `/pins/ipfs/${cidV0}/a%20b/%C3%BC%3F?name=x%26y`
    )
    assert.equal(routeTarget(routes.unpinIpns, { path: '/ipns/example.org' }, {}), '/pins/ipns/example.org')
    assert.equal(routeTarget(routes.allocations, {}, { filter: undefined }), '/allocations?filter=all')
  })

  it('read the parameters that they write', () => {
    const raw: RawParams = { '*': `${cidV0}/a//b` }
    assert.deepEqual(routes.pinIpfs.params.read(raw), { path: `/ipfs/${cidV0}/a/b` })
    assert.deepEqual(routes.status.params.read({ cid: cidV1 }), { cid: cidV1 })
    const statusQuery = { local: false, filter: new Set(['pinned', 'pinning'] as const), cids: [] }
    assert.deepEqual(routes.statusAll.query.read(routes.statusAll.query.write(statusQuery)), statusQuery)
  })

  it('turn local on for the exact word alone', () => {
    for (const [text, local] of [
      ['local=true', true],
      ['local=True', false],
      ['local=1', false],
      ['', false]
    ] as const) {
      assert.deepEqual(routes.status.query.read(query(text)), { local })
    }
  })

  it('do not look at the filter when CIDs are listed, and keep them in order and twice', () => {
    assert.deepEqual(routes.statusAll.query.read(query(`filter=nonsense&cids=${cidV1},${cidV0},${cidV1}`)), {
      local: false,
      filter: undefined,
      cids: [cidV1, cidV0, cidV1]
    })
    assert.deepEqual(routes.statusAll.query.read(query('local=false&filter=&cids=')), {
      local: false,
      filter: undefined,
      cids: []
    })
  })

  it('refuse what they cannot read with the messages of IPFS Cluster', () => {
    const refuses = (run: () => unknown, message: RegExp): void => {
      assert.throws(run, (error) => error instanceof BadRequestError && message.test(error.message))
    }
    refuses(() => routes.pin.params.read({ cid: 'x' }), /^error decoding Cid: /)
    refuses(() => routes.pinIpfs.params.read({ '*': 'x' }), /^error parsing path: /)
    refuses(() => routes.peerRemove.params.read({ peer: 'x' }), /^error decoding Peer ID: /)
    refuses(() => routes.statusAll.query.read(query('filter=nonsense')), /^invalid filter value$/)
    refuses(() => routes.statusAll.query.read(query(`cids=${cidV0},x`)), /^error decoding Cid: /)
    refuses(() => routes.allocations.query.read(query('filter=nonsense')), /^invalid filter value$/)
    refuses(() => routes.allocation.query.read(query('consistency=maybe')), /^parameter consistency invalid/)
  })

  it('ask for credentials everywhere but for the health of the peer', () => {
    const open = Object.entries(routes).filter(([, route]) => route.open)
    assert.deepEqual(
      open.map(([name]) => name),
      ['health']
    )
  })
})
