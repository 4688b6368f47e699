/** What becomes of addresses: in libp2p's peer store, in the peerstore file, and in the dials that keep the operator's peers connected. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { AddressBook, preferNames, reasonOf, withPeerId } from '../../src/cluster-host/address-book.ts'
import type { Logger } from '../../src/ports.ts'
import { silent, until } from '../consensus/fakes.ts'
import { openHost, type TestHost } from '../rpc/hosts.ts'

const newId = async (): Promise<string> => peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString()

function openBook(host: TestHost, logger: Logger = silent) {
  const saves: (readonly string[])[] = []
  let failing = false
  const book = new AddressBook({
    libp2p: host.libp2p,
    logger,
    save: async (lines) => {
      if (failing) throw new Error('the disk is full')
      saves.push(lines)
    }
  })
  return { book, saves, fail: (how: boolean) => (failing = how) }
}

describe('addresses', () => {
  it('are names alone where there are any, in one order', () => {
    const names = ['/dns4/b/tcp/1', '/dns6/a/tcp/1', '/dnsaddr/c', '/dns/d/tcp/1']
    assert.deepEqual(preferNames(['/ip4/1.2.3.4/tcp/1', ...names]), [...names].sort())
    assert.deepEqual(preferNames(['/ip6/::1/tcp/1', '/ip4/1.2.3.4/tcp/1']), ['/ip4/1.2.3.4/tcp/1', '/ip6/::1/tcp/1'])
    assert.deepEqual(preferNames(['/ip4/1.2.3.4/tcp/1/dnsfoo']), ['/ip4/1.2.3.4/tcp/1/dnsfoo'])
    assert.deepEqual(preferNames([]), [])
  })

  it('end with the peer, once', async () => {
    const id = await newId()
    assert.equal(withPeerId('/ip4/1.2.3.4/tcp/1', id), `/ip4/1.2.3.4/tcp/1/p2p/${id}`)
    assert.equal(withPeerId(`/ip4/1.2.3.4/tcp/1/p2p/${id}`, id), `/ip4/1.2.3.4/tcp/1/p2p/${id}`)
  })
})

describe('an address', () => {
  for (const hours of [2, 24 * 60]) {
    it(`that was heard of ${hours} hours ago is still dialled, also when it is heard of again`, async (context) => {
      const id = await newId()
      const address = withPeerId('/ip4/127.0.0.1/tcp/7', id)
      await using host = await openHost()
      const { book } = openBook(host)
      await book.learn({ id, addresses: [address] })
      context.mock.timers.enable({ apis: ['Date'], now: Date.now() + hours * 3_600_000 })
      assert.deepEqual(await book.addressesOf(id), [address])
      await book.learn({ id, addresses: [address] })
      assert.deepEqual(await book.addressesOf(id), [address])
    })
  }
})

describe('a reason', () => {
  it('is that of every address that was dialled, each once', () => {
    const error = new AggregateError([
      new Error('refused'),
      new AggregateError([new Error('refused'), new Error('no route')])
    ])
    assert.equal(reasonOf(error), 'refused; no route')
    assert.equal(reasonOf(new AggregateError([], 'nothing to dial')), 'nothing to dial')
    assert.equal(reasonOf('text'), 'text')
  })
})

describe('the addresses of members', () => {
  it('are written once a change, those of others only, and names before numbers', async () => {
    await using host = await openHost()
    const { book, saves } = openBook(host)
    const [b, c, silentPeer] = [await newId(), await newId(), await newId()]
    const members = [
      { id: host.id, addresses: [host.address] },
      { id: b, addresses: ['/ip4/127.0.0.1/tcp/9', '/dns4/localhost/tcp/9'] },
      { id: c, addresses: [`/ip4/127.0.0.1/tcp/8/p2p/${c}`] },
      { id: silentPeer, addresses: [] }
    ]
    await book.setMembers(members)
    await book.setMembers(members)
    assert.deepEqual(saves, [[`/dns4/localhost/tcp/9/p2p/${b}`, `/ip4/127.0.0.1/tcp/8/p2p/${c}`]])
    assert.deepEqual(await book.addressesOf(b), [`/dns4/localhost/tcp/9/p2p/${b}`])
    await book.setMembers(members.slice(0, 2))
    assert.equal(saves.length, 2)
    assert.deepEqual(await book.addressesOf(await newId()), [])
    await book.stop()
  })

  it('are written again when that failed', async () => {
    await using host = await openHost()
    const errors: string[] = []
    const { book, saves, fail } = openBook(host, {
      ...silent,
      error: (_fields: unknown, text?: string) => void errors.push(text ?? '')
    })
    const members = [{ id: await newId(), addresses: ['/ip4/127.0.0.1/tcp/9'] }]
    fail(true)
    await book.setMembers(members)
    await book.setMembers(members)
    assert.deepEqual([saves.length, errors], [0, ['cannot write the peerstore file']])
    fail(false)
    await book.setMembers(members)
    assert.equal(saves.length, 1)
    await book.stop()
  })

  it('that make no sense are passed over', async () => {
    await using host = await openHost()
    const { book, saves } = openBook(host)
    const [b, other] = [await newId(), await newId()]
    await book.setMembers([
      { id: b, addresses: ['nonsense', '/ip4/127.0.0.1/tcp/9', `/ip4/127.0.0.1/tcp/9/p2p/${other}`] }
    ])
    await book.learn({ id: 'nonsense', addresses: ['/ip4/127.0.0.1/tcp/9'] })
    assert.equal(saves.length, 1)
    await book.stop()
  })
})

describe('the peers that the operator wrote', () => {
  it('are dialled until they are connected, and again when the connection is lost', async () => {
    await using a = await openHost()
    await using b = await openHost()
    const { book } = openBook(a)
    await book.addOperatorAddresses([b.address, a.address])
    await until(() => a.libp2p.getConnections().length > 0)
    let opened = 0
    a.libp2p.addEventListener('connection:open', () => opened++)
    await Promise.all(a.libp2p.getConnections().map((connection) => connection.close()))
    await until(() => opened > 0 && a.libp2p.getConnections().length > 0)
    await book.stop()
  })

  it('are dialled by an address that names no peer, too', async () => {
    await using a = await openHost()
    await using b = await openHost()
    const { book } = openBook(a)
    await book.addOperatorAddresses([b.address.replace(/\/p2p\/.*/, '')])
    await until(() => a.libp2p.getConnections().length > 0)
    await book.stop()
  })

  it('that cannot be reached are reported once, and given up when the book is closed', async () => {
    await using host = await openHost()
    const warnings: string[] = []
    const { book } = openBook(host, {
      ...silent,
      warn: (_fields: unknown, text?: string) => void warnings.push(text ?? '')
    })
    await book.addOperatorAddresses([`/ip4/127.0.0.1/tcp/1/p2p/${await newId()}`])
    await until(() => warnings.length > 0)
    await book.stop()
    assert.deepEqual(warnings, ['cannot reach a peer of the peerstore, will keep trying'])
    await host.libp2p.stop()
  })
})
