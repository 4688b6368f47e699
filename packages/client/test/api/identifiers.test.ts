import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  formatContentPath,
  parseCid,
  parseContentPath,
  parseMultiaddr,
  parsePeerId,
  splitMultiaddr
} from '@quorate/client/api'
import { cidV0, cidV1, ipfsPeer, peerA } from './fixtures.ts'

describe('CIDs', () => {
  it('keeps version 0 in base58 and brings version 1 to base32, from any base', () => {
    assert.equal(parseCid(cidV0), cidV0)
    assert.equal(parseCid(cidV1), cidV1)
    for (const other of [
      'f01551220c3c4733ec8affd06cf9e9ff50ffc6bcd2ec85a6170004bb709669c31de94391a',
      'uAVUSIMPEcz7Ir_0Gz56f9Q_8a80uyFphcABLtwlmnDHelDka'
    ]) {
      assert.equal(parseCid(other), 'bafkreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi')
    }
  })

  for (const text of ['', 'Q', 'nope', 'zzzz', `${cidV0}x`, ` ${cidV0}`, 'Qm', 'b'.repeat(600), '../etc']) {
    it(`refuses ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.throws(() => parseCid(text), SyntaxError)
    })
  }
})

describe('peer IDs', () => {
  it('are base58, also when given as CID of a key', () => {
    assert.equal(parsePeerId(peerA), peerA)
    assert.equal(parsePeerId(ipfsPeer), ipfsPeer)
    assert.equal(parsePeerId('k51qzi5uqu5dhb6l8spkdx7yxafegfkee5by8h7lmjh2ehc2sgg34z7c15vzqs'), peerA)
  })

  for (const text of ['', '12D3KooWxxx', 'alpha', cidV1, '1'.repeat(200)]) {
    it(`refuses ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.throws(() => parsePeerId(text), SyntaxError)
    })
  }
})

describe('multiaddrs', () => {
  for (const text of [
    '/ip4/127.0.0.1/tcp/9094',
    '/ip6/::1/tcp/9094',
    '/ip6/fe80::1:2/udp/4001/quic-v1',
    '/ip6/::ffff:1.2.3.4/tcp/1',
    '/dns4/example.org/tcp/443/wss',
    `/dnsaddr/example.org/p2p/${peerA}`,
    `/ip4/1.2.3.4/udp/4001/quic-v1/webtransport/certhash/uEi/p2p/${ipfsPeer}/p2p-circuit`,
    '/unix/var/run/api.sock'
  ]) {
    it(`takes ${text}`, () => {
      assert.equal(parseMultiaddr(text), text)
    })
  }

  for (const text of [
    '',
    '/',
    'ip4/127.0.0.1',
    '/ip4/300.0.0.1/tcp/1',
    '/ip4/1.2.3/tcp/1',
    '/ip4/127.0.0.1/tcp',
    '/ip4/127.0.0.1/tcp/65536',
    '/ip6/1::2::3/tcp/1',
    '/ip6/1:2:3/tcp/1',
    '/what/ever',
    '/ip4/1.2.3.4/tcp/1/p2p/nobody',
    '/__proto__/x'
  ]) {
    it(`refuses ${JSON.stringify(text)} and names it`, () => {
      assert.throws(
        () => parseMultiaddr(text),
        (error) => error instanceof SyntaxError && error.message.includes('invalid multiaddr')
      )
    })
  }

  it('writes the old name of the p2p protocol as the new one', () => {
    assert.equal(parseMultiaddr(`/ip4/1.2.3.4/tcp/1/ipfs/${peerA}/`), `/ip4/1.2.3.4/tcp/1/p2p/${peerA}`)
    assert.deepEqual(splitMultiaddr('/dns/a/tcp/1').at(-1), { protocol: 'tcp', value: '1' })
  })
})

describe('content paths', () => {
  it('are cleaned, and their root is canonical', () => {
    assert.equal(formatContentPath(parseContentPath(`/ipfs/${cidV0}/a//b/../c/./d/`)), `/ipfs/${cidV0}/a/c/d`)
    assert.equal(formatContentPath(parseContentPath('/ipns/example.org/x')), '/ipns/example.org/x')
  })

  for (const text of ['', '/', '/ipfs', '/ipfs/', '/ipfs/nope', `/ipfs/${cidV0}/../x`, `ipfs/${cidV0}`, '/home/x']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseContentPath(text), SyntaxError)
    })
  }
})
