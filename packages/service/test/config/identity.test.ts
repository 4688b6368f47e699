import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { createIdentity, loadIdentity, saveIdentity } from '../../src/config/identity.ts'
import { temporaryFolder } from './temporary-folder.ts'

const base64 = (key: PrivateKey) => Buffer.from(privateKeyToProtobuf(key)).toString('base64')

describe('identity.json', () => {
  it('comes back as it was written, and only its owner can read it', async (context) => {
    const folder = await temporaryFolder(context)
    const identity = await createIdentity()
    await saveIdentity(folder, identity)
    const loaded = await loadIdentity(folder, {})
    assert.equal(loaded.peerId.toString(), identity.peerId.toString())
    assert.ok(loaded.privateKey.equals(identity.privateKey))
    assert.equal((await stat(join(folder, 'identity.json'))).mode & 0o777, 0o600)
    assert.match(await readFile(join(folder, 'identity.json'), 'utf8'), /^\{\n {4}"id": "12D3Koo/)
  })

  for (const type of ['RSA', 'secp256k1'] as const) {
    it(`may hold a key of type ${type}`, async (context) => {
      const folder = await temporaryFolder(context)
      const key = type === 'RSA' ? await generateKeyPair('RSA', 2048) : await generateKeyPair('secp256k1')
      const id = peerIdFromPrivateKey(key).toString()
      await writeFile(join(folder, 'identity.json'), JSON.stringify({ id, private_key: base64(key) }))
      assert.equal((await loadIdentity(folder, {})).peerId.toString(), id)
    })
  }

  it('is refused when the key is not that of the id, and the key is not shown', async (context) => {
    const folder = await temporaryFolder(context)
    const [one, other] = [await createIdentity(), await createIdentity()]
    const key = base64(other.privateKey)
    await writeFile(join(folder, 'identity.json'), JSON.stringify({ id: one.peerId.toString(), private_key: key }))
    await assert.rejects(loadIdentity(folder, {}), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'BAD_IDENTITY')
      assert.ok(error.message.includes(one.peerId.toString()) && error.message.includes(other.peerId.toString()))
      return !error.message.includes(key)
    })
    await writeFile(join(folder, 'identity.json'), JSON.stringify({ id: one.peerId.toString(), private_key: 'aGk=' }))
    await assert.rejects(loadIdentity(folder, {}), { code: 'BAD_IDENTITY' })
    await writeFile(join(folder, 'identity.json'), `{"id": "x", "private_key": "${key}`)
    await assert.rejects(loadIdentity(folder, {}), (error: Error) => !error.message.includes(key))
  })

  it('gives way to the environment', async (context) => {
    const folder = await temporaryFolder(context)
    await saveIdentity(folder, await createIdentity())
    const { peerId, privateKey } = await createIdentity()
    const env = { CLUSTER_ID: peerId.toString(), CLUSTER_PRIVATEKEY: base64(privateKey) }
    assert.equal((await loadIdentity(folder, env)).peerId.toString(), peerId.toString())
  })

  it('is taken over from an old cluster section', async (context) => {
    const folder = await temporaryFolder(context)
    const { peerId, privateKey } = await createIdentity()
    const cluster = { id: peerId.toString(), private_key: base64(privateKey) }
    await writeFile(join(folder, 'service.json'), JSON.stringify({ cluster }))
    assert.equal((await loadIdentity(folder, {})).peerId.toString(), peerId.toString())
    await writeFile(join(folder, 'service.json'), '{}')
    assert.equal((await loadIdentity(folder, {})).peerId.toString(), peerId.toString())
  })

  it('that is missing is told from one that is bad', async (context) => {
    await assert.rejects(loadIdentity(await temporaryFolder(context), {}), { code: 'NO_IDENTITY' })
  })
})
