import assert from 'node:assert/strict'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { ConfigError } from '../../src/config/errors.ts'
import { lockFolder } from '../../src/config/folder-lock.ts'
import { loadIdentity } from '../../src/config/identity.ts'
import { type InitOptions, initFolder } from '../../src/config/init.ts'
import { loadConfig } from '../../src/config/load.ts'
import { temporaryFolder } from './temporary-folder.ts'

const ids = ['12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust', 'QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC']
const peers = ids.map((id) => `/dns4/peer.example.org/tcp/9096/p2p/${id}`)

interface Run {
  readonly folder: string
  readonly said: string[]
  init(options?: Partial<InitOptions>): Promise<boolean>
}

async function newRun(context: TestContext): Promise<Run> {
  const folder = join(await temporaryFolder(context), 'new', 'folder')
  const said: string[] = []
  return {
    folder,
    said,
    init: (options) =>
      initFolder({
        folder,
        env: {},
        confirmOverwrite: () => assert.fail('there was nothing to ask'),
        say: (message) => said.push(message),
        ...options
      })
  }
}

describe('init', () => {
  it('makes a folder that the daemon can read, and that nobody else can', async (context) => {
    const { folder, said, init } = await newRun(context)
    assert.equal(await init(), true)
    const config = await loadConfig(folder, {})
    assert.deepEqual(config.warnings, [])
    assert.equal(config.cluster.secret?.length, 32)
    assert.ok(config.ipfsConnector.kind === 'embedded')
    assert.equal(config.ipfsConnector.network, 'public')
    assert.equal(config.cluster.mdnsIntervalMs, 10_000)
    await loadIdentity(folder, {})
    const modes = await Promise.all(
      ['', 'service.json', 'identity.json', 'peerstore'].map(
        async (name) => (await stat(join(folder, name))).mode & 0o777
      )
    )
    assert.deepEqual(modes.slice(0, 3), [0o700, 0o600, 0o600])
    assert.deepEqual(said, [
      `configuration written to ${folder}/service.json.`,
      `new identity written to ${folder}/identity.json`,
      `new empty peerstore written to ${folder}/peerstore.`
    ])
  })

  it('makes another secret and identity each time', async (context) => {
    const [one, other] = [await newRun(context), await newRun(context)]
    await Promise.all([one.init(), other.init()])
    const configs = await Promise.all([one, other].map(({ folder }) => loadConfig(folder, {})))
    assert.notDeepEqual(configs[0]?.cluster.secret, configs[1]?.cluster.secret)
    const [first, second] = await Promise.all([one, other].map(({ folder }) => loadIdentity(folder, {})))
    assert.notEqual(first?.peerId.toString(), second?.peerId.toString())
  })

  it('writes the peers into the peerset and the peerstore', async (context) => {
    const { folder, said, init } = await newRun(context)
    await init({ peers })
    assert.deepEqual((await loadConfig(folder, {})).consensus.raft.initPeerset, ids)
    assert.equal(await readFile(join(folder, 'peerstore'), 'utf8'), `${peers.join('\n')}\n`)
    assert.ok(said.includes(`peerstore written to ${folder}/peerstore with 2 entries.`))
  })

  it('freezes the environment of that moment', async (context) => {
    const { folder, init } = await newRun(context)
    const secret = 'ab'.repeat(32)
    await init({ env: { CLUSTER_SECRET: secret, CLUSTER_PEERNAME: 'one', CLUSTER_RAFT_INITPEERSET: ids.join(',') } })
    const { cluster, consensus } = await loadConfig(folder, {})
    assert.equal(Buffer.from(cluster.secret ?? []).toString('hex'), secret)
    assert.equal(cluster.peername, 'one')
    assert.deepEqual(consensus.raft.initPeerset, ids)
  })

  it('can use a Kubo daemon, free ports, or a source', async (context) => {
    const kubo = await newRun(context)
    await kubo.init({ ipfs: { kind: 'ipfshttp', nodeMultiaddress: '/dns4/kubo/tcp/5001' }, randomPorts: true })
    const { ipfsConnector, cluster, api } = await loadConfig(kubo.folder, {})
    assert.ok(ipfsConnector.kind === 'ipfshttp')
    assert.equal(ipfsConnector.nodeMultiaddress, '/dns4/kubo/tcp/5001')
    assert.doesNotMatch(cluster.listenMultiaddress.join(), /\/tcp\/9096$/)
    assert.doesNotMatch(api.restapi?.httpListenMultiaddress.join() ?? '', /\/tcp\/9094$/)

    const remote = await newRun(context)
    await remote.init({ source: 'http://127.0.0.1:1/service.json' })
    const text = await readFile(join(remote.folder, 'service.json'), 'utf8')
    assert.deepEqual(JSON.parse(text), { source: 'http://127.0.0.1:1/service.json' })
  })

  it('writes nothing when something is not allowed', async (context) => {
    const { folder, init } = await newRun(context)
    const refused: Partial<InitOptions>[] = [
      { env: { CLUSTER_DIALPEERTIMEOUT: 'soon' } },
      { peers: ['/ip4/1.2.3.4/tcp/9096', peers[0] ?? ''] },
      { secret: async () => 'too short' },
      { ipfs: { kind: 'ipfshttp', nodeMultiaddress: 'localhost:5001' } }
    ]
    for (const options of refused) await assert.rejects(init(options), ConfigError)
    assert.deepEqual(await readdir(folder).catch(() => []), [])
  })

  it('asks before it overwrites, and keeps the identity and the peerstore', async (context) => {
    const { folder, init } = await newRun(context)
    await init({ peers })
    const before = await loadIdentity(folder, {})
    const text = await readFile(join(folder, 'service.json'), 'utf8')
    await writeFile(join(folder, 'peerstore'), `# mine\n${peers[0]}\n`)

    assert.equal(await init({ confirmOverwrite: async () => false }), false)
    assert.equal(await readFile(join(folder, 'service.json'), 'utf8'), text)

    assert.equal(await init({ confirmOverwrite: async () => true }), true)
    assert.notEqual(await readFile(join(folder, 'service.json'), 'utf8'), text)
    assert.equal((await loadIdentity(folder, {})).peerId.toString(), before.peerId.toString())
    assert.equal(await readFile(join(folder, 'peerstore'), 'utf8'), `# mine\n${peers[0]}\n`)
  })

  it('stays out of a folder that a daemon works in', async (context) => {
    const { folder, init } = await newRun(context)
    await init()
    const lock = lockFolder(folder)
    context.after(() => lock.release())
    await assert.rejects(init({ confirmOverwrite: async () => true }), { code: 'LOCKED' })
  })
})
