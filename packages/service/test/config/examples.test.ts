import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '../../src/config/load.ts'
import { parsePeerstore } from '../../src/config/peerstore-file.ts'

const root = fileURLToPath(new URL('../../../../config/', import.meta.url))
const env = { CLUSTER_SECRET: '0123456789abcdef'.repeat(4) }

describe('the examples in config/', () => {
  for (const [name, kind] of [
    ['single-peer', 'embedded'],
    ['three-peers', 'embedded'],
    ['kubo', 'ipfshttp']
  ] as const) {
    it(`${name} loads once it has a secret, without a warning`, async () => {
      const config = await loadConfig(join(root, name), env)
      assert.deepEqual(config.warnings, [])
      assert.equal(config.ipfsConnector.kind, kind)
      await assert.rejects(loadConfig(join(root, name), {}), /cluster\.secret: the value \(not shown\)/)
    })
  }

  it('three-peers has an address for each first member', async () => {
    const { consensus } = await loadConfig(join(root, 'three-peers'), env)
    const { addresses, problems } = parsePeerstore(await readFile(join(root, 'three-peers', 'peerstore'), 'utf8'))
    assert.deepEqual(problems, [])
    assert.deepEqual(
      addresses.map((address) => address.split('/').at(-1)),
      consensus.raft.initPeerset
    )
  })
})

it('the example in docs/peerstore.md is a good peerstore file', async () => {
  const page = await readFile(join(root, '..', 'docs', 'peerstore.md'), 'utf8')
  const blocks = [...page.matchAll(/```\n([\s\S]*?)```/g)].map((match) => parsePeerstore(match[1] ?? ''))
  assert.deepEqual(
    blocks.map(({ addresses, problems }) => [addresses.length, problems.length]),
    [
      [2, 0],
      [2, 0]
    ]
  )
})
