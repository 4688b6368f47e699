/** The JSON of each object, letter by letter: names, order, and what is null, empty or left out. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  addedOutputCodec,
  addedOutputsCodec,
  type Codec,
  DecodeError,
  encodeJson,
  errorBodyCodec,
  globalPinInfoCodec,
  globalRepoGcCodec,
  peerAddCodec,
  peerInfoCodec,
  pinCodec,
  versionCodec
} from '@quorate/client/api'
import { cidV0, cidV1, ipfsPeer, peer, peerA, peerB, pin, status } from './fixtures.ts'

function text<T>(codec: Codec<T>, value: T): string {
  return encodeJson(codec.encode(value))
}

function assertGolden<T>(codec: Codec<T>, value: T, golden: string): void {
  assert.equal(text(codec, value), golden)
  assert.deepEqual(codec.decode(JSON.parse(golden)), value)
}

describe('the JSON of a pin', () => {
  it('has its members in the order of IPFS Cluster, its map sorted, and HTML escaped', () => {
    assertGolden(
      pinCodec,
      pin,
      '{"replication_factor_min":2,"replication_factor_max":3,"name":"a \\u003cname\\u003e \\u0026 more","mode":"recursive",' +
        '"shard_size":0,"user_allocations":null,"expire_at":"2030-01-02T03:04:05Z","metadata":{"10":"ten","9":"nine","zebra":"1"},' +
        `"pin_update":null,"origins":["/ip4/10.1.2.3/tcp/4001/p2p/${ipfsPeer}"],"cid":"${cidV1}","type":"pin",` +
        `"allocations":["${peerA}","${peerB}"],"max_depth":-1,"reference":null,"timestamp":"2026-05-06T07:08:09.12Z"}`
    )
  })

  it('writes a pin without expiry with the zero time, and one that is everywhere with no allocations', () => {
    const everywhere = {
      ...pin,
      expireAtMs: undefined,
      allocations: [],
      replicationFactorMin: -1,
      replicationFactorMax: -1
    }
    const json = JSON.parse(text(pinCodec, everywhere))
    assert.equal(json.expire_at, '0001-01-01T00:00:00Z')
    assert.deepEqual(json.allocations, [])
  })

  it('reads null, missing and empty lists and maps alike', () => {
    const small = { cid: cidV1, type: 'pin' }
    const withNulls = {
      ...small,
      metadata: null,
      origins: null,
      allocations: null,
      user_allocations: null,
      pin_update: null
    }
    const withEmpty = { ...small, metadata: {}, origins: [], allocations: [], user_allocations: [], pin_update: '' }
    assert.deepEqual(pinCodec.decode(withNulls), pinCodec.decode(small))
    assert.deepEqual(pinCodec.decode(withEmpty), pinCodec.decode(small))
  })

  it('reads the Unix epoch as no expiry, and a time with an offset as the instant it is', () => {
    const read = (expire_at: string): number | undefined =>
      pinCodec.decode({ cid: cidV1, type: 'pin', expire_at }).expireAtMs
    assert.equal(read('1970-01-01T00:00:00Z'), undefined)
    assert.equal(read('0001-01-01T00:00:00Z'), undefined)
    assert.equal(read('2030-01-02T05:04:05+02:00'), Date.UTC(2030, 0, 2, 3, 4, 5))
  })

  it('makes CIDs canonical', () => {
    const base16 = 'f01551220c3c4733ec8affd06cf9e9ff50ffc6bcd2ec85a6170004bb709669c31de94391a'
    assert.equal(
      pinCodec.decode({ cid: base16, type: 'pin' }).cid,
      'bafkreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
    )
  })

  it('keeps metadata named __proto__', () => {
    const decoded = pinCodec.decode(JSON.parse(`{"cid":"${cidV1}","type":"pin","metadata":{"__proto__":"x"}}`))
    assert.deepEqual(Object.entries(decoded.metadata), [['__proto__', 'x']])
    assert.match(text(pinCodec, decoded), /"metadata":\{"__proto__":"x"\}/)
  })

  for (const [name, broken, at] of [
    ['a CID that is none', { cid: 'x', type: 'pin' }, 'pin.cid'],
    ['a missing CID', { type: 'pin' }, 'pin.cid'],
    ['an unknown type', { cid: cidV1, type: 'bad-type' }, 'pin.type'],
    ['a number where text belongs', { cid: cidV1, type: 'pin', name: 5 }, 'pin.name'],
    ['a fraction where an integer belongs', { cid: cidV1, type: 'pin', max_depth: 1.5 }, 'pin.max_depth'],
    ['an invalid multiaddr', { cid: cidV1, type: 'pin', origins: [''] }, 'pin.origins'],
    ['null inside a list', { cid: cidV1, type: 'pin', allocations: [null] }, 'pin.allocations'],
    ['an array for an object', [], 'pin']
  ] as const) {
    it(`refuses ${name} and says where`, () => {
      assert.throws(
        () => pinCodec.decode(broken),
        (error) => error instanceof DecodeError && error.at === at
      )
    })
  }
})

describe('the JSON of a state', () => {
  it('sorts peers, leaves out what is not known of their IPFS nodes, and writes empty lists as []', () => {
    assertGolden(
      globalPinInfoCodec,
      status,
      `{"cid":"${cidV0}","name":"","allocations":[],"origins":[],"created":"2026-05-06T07:08:09Z","metadata":{},"peer_map":{` +
        `"${peerA}":{"peername":"alpha","ipfs_peer_id":"${ipfsPeer}","ipfs_peer_addresses":["/ip4/10.1.2.3/tcp/4001"],` +
        '"status":"pinned","timestamp":"2026-05-06T07:08:10Z","error":"","attempt_count":0,"priority_pin":true},' +
        `"${peerB}":{"peername":"beta","status":"pin_error","timestamp":"0001-01-01T00:00:00Z","error":"disk full",` +
        '"attempt_count":3,"priority_pin":false}}}'
    )
  })

  it('reads a status of a newer peer as undefined', () => {
    const decoded = globalPinInfoCodec.decode({ cid: cidV0, peer_map: { [peerA]: { status: 'levitating' } } })
    assert.equal(decoded.peerMap[peerA]?.status, 'undefined')
  })
})

describe('the JSON of a peer', () => {
  it('has all its members', () => {
    assertGolden(
      peerInfoCodec,
      peer,
      `{"id":"${peerA}","addresses":["/ip4/127.0.0.1/tcp/9096/p2p/${peerA}"],"cluster_peers":["${peerA}","${peerB}"],` +
        `"cluster_peers_addresses":["/ip4/127.0.0.1/tcp/9196/p2p/${peerB}"],"version":"0.1.0","commit":"",` +
        `"rpc_protocol_version":"/quorate/rpc/1","error":"","ipfs":{"id":"${ipfsPeer}",` +
        `"addresses":["/ip4/127.0.0.1/tcp/4001/p2p/${ipfsPeer}"],"error":""},"peername":"alpha"}`
    )
  })

  it('has nulls and zero values for a peer that could not be asked', () => {
    assertGolden(
      peerInfoCodec,
      {
        id: peerB,
        addresses: [],
        clusterPeers: [],
        clusterPeersAddresses: [],
        version: '',
        commit: '',
        rpcProtocolVersion: '',
        error: 'no answer',
        ipfs: { id: undefined, addresses: [], error: '' },
        peername: ''
      },
      `{"id":"${peerB}","addresses":null,"cluster_peers":null,"cluster_peers_addresses":null,"version":"","commit":"",` +
        '"rpc_protocol_version":"","error":"no answer","ipfs":{"addresses":null,"error":""},"peername":""}'
    )
  })

  it('is asked for and refused in the bodies of IPFS Cluster', () => {
    assertGolden(peerAddCodec, { peerId: peerA }, `{"peer_id":"${peerA}"}`)
    assertGolden(errorBodyCodec, { code: 404, message: 'x' }, '{"code":404,"message":"x"}')
    assertGolden(versionCodec, { version: '1.1.6' }, '{"version":"1.1.6"}')
  })
})

describe('the JSON of an upload and of a garbage collection', () => {
  it('leaves out what is zero, and has a null CID in a progress item', () => {
    const progress = { name: '', cid: undefined, bytes: 3000, size: 0, allocations: [] }
    assertGolden(addedOutputCodec, progress, '{"name":"","cid":null,"bytes":3000}')
    const made = { name: 'a/b', cid: cidV0, bytes: 0, size: 12, allocations: [peerA] }
    assertGolden(addedOutputCodec, made, `{"name":"a/b","cid":"${cidV0}","size":12,"allocations":["${peerA}"]}`)
    assertGolden(addedOutputsCodec, [progress], '[{"name":"","cid":null,"bytes":3000}]')
    assertGolden(addedOutputsCodec, [], 'null')
  })

  it('says what went, and what would not go', () => {
    assertGolden(
      globalRepoGcCodec,
      {
        peerMap: {
          [peerA]: {
            peer: peerA,
            peername: 'alpha',
            keys: [
              { key: cidV0, error: '' },
              { key: undefined, error: 'locked' }
            ],
            error: ''
          },
          [peerB]: { peer: peerB, peername: 'beta', keys: [], error: 'no answer' }
        }
      },
      `{"peer_map":{"${peerA}":{"peer":"${peerA}","peername":"alpha","keys":[{"key":"${cidV0}"},{"key":null,"error":"locked"}]},` +
        `"${peerB}":{"peer":"${peerB}","peername":"beta","keys":null,"error":"no answer"}}}`
    )
  })
})
