/** What a public and a private node would do on a network, without one. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Libp2p } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import { BOOTSTRAP_MULTIADDRS, hostOptions } from '../../../src/ipfs/embedded/network-config.ts'
import { Providers } from '../../../src/ipfs/embedded/providers.ts'
import { peerOf } from '../../../src/ipfs/embedded/swarm.ts'
import { randomBlock } from '../blocks.ts'
import { quiet } from '../embedded-node.ts'

const privateKey = await generateKeyPair('Ed25519')
const member = '/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWK7K1BWqLiHwZk68YFmY5iLTy6zB3xBTCmvgDzcxvZc61'
const stranger = '/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWFy2aGTktmLuZnvixXVkyctZTZq2c4otxLsNGTsDHdULd'
const init = {
  privateKey,
  listenMultiaddrs: ['/ip4/127.0.0.1/tcp/4001'],
  isClusterNode: (address: unknown) => String(address) === member
}

describe('hostOptions', () => {
  it('of a private node: no DHT, no discovery, and no dial but to the nodes of the cluster', async () => {
    const options = await hostOptions({ ...init, network: 'private' })
    assert.deepEqual(Object.keys(options.services ?? {}).sort(), ['identify', 'ping'])
    assert.equal(options.peerDiscovery, undefined)
    assert.equal(options.connectionGater?.denyDialMultiaddr?.(multiaddr(stranger)), true)
    assert.equal(options.connectionGater?.denyDialMultiaddr?.(multiaddr('/ip4/127.0.0.1/tcp/4001')), true)
    assert.equal(options.connectionGater?.denyDialMultiaddr?.(multiaddr(member)), false)
    assert.deepEqual(options.addresses?.listen, ['/ip4/127.0.0.1/tcp/4001'])
  })

  it('of a public node: a DHT, and no such limit', async () => {
    const options = await hostOptions({ ...init, network: 'public' })
    assert.ok('dht' in (options.services ?? {}))
    assert.equal(options.connectionGater?.denyDialMultiaddr, undefined)
  })

  it('has bootstrap addresses that name their peers', () => {
    for (const address of BOOTSTRAP_MULTIADDRS) assert.ok(peerOf(multiaddr(address)))
  })
})

describe('Providers', () => {
  const cid = CID.parse(randomBlock().cid)

  /** Seeks with a delegated router that answers this; resolves to the peers that are dialled. */
  async function seek(answer: () => Response | Promise<Response>): Promise<{ dialled: string[]; urls: string[] }> {
    const dialled: string[] = []
    const urls: string[] = []
    let finish = (): void => undefined
    const finished = new Promise<void>((resolve) => {
      finish = resolve
    })
    const libp2p = {
      peerId: peerIdFromPrivateKey(privateKey),
      getConnections: () => [],
      peerStore: { merge: async () => undefined },
      contentRouting: {
        async *findProviders() {
          yield {
            id: (await import('@libp2p/peer-id')).peerIdFromString(
              '12D3KooWAM5Sefih8wftUgWdFVuXgdqJEGna32tkHzwK3V5hetuE'
            ),
            multiaddrs: []
          }
        }
      },
      dial: async (peer: unknown) => {
        dialled.push(String(peer))
      }
    }
    const providers = new Providers({
      libp2p: libp2p as unknown as Libp2p,
      logger: quiet,
      delegatedRoutingUrl: 'http://router.invalid',
      fetch: async (url) => {
        urls.push(String(url))
        const response = await answer()
        setImmediate(() => setImmediate(finish))
        return response
      }
    })
    providers.seek(cid)
    providers.seek(cid)
    await finished
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
    providers.stop()
    return { dialled, urls }
  }

  it('dials who the DHT and the delegated router know, and asks once at a time for a block', async () => {
    const line = JSON.stringify({
      Schema: 'peer',
      ID: '12D3KooWFy2aGTktmLuZnvixXVkyctZTZq2c4otxLsNGTsDHdULd',
      Addrs: ['/ip4/127.0.0.1/tcp/1']
    })
    const { dialled, urls } = await seek(() => new Response(`${line}\nnot JSON\n{"Schema":"unknown"}\n`))
    assert.deepEqual(urls, [`http://router.invalid/routing/v1/providers/${cid}`])
    assert.deepEqual(dialled.toSorted(), [
      '12D3KooWAM5Sefih8wftUgWdFVuXgdqJEGna32tkHzwK3V5hetuE',
      '12D3KooWFy2aGTktmLuZnvixXVkyctZTZq2c4otxLsNGTsDHdULd'
    ])
  })

  it('goes on with the DHT when the router fails', async () => {
    const { dialled } = await seek(() => new Response('no', { status: 500 }))
    assert.deepEqual(dialled, ['12D3KooWAM5Sefih8wftUgWdFVuXgdqJEGna32tkHzwK3V5hetuE'])
  })
})
