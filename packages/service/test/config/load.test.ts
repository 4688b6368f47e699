import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { defaultDocument } from '../../src/config/document.ts'
import { ConfigError } from '../../src/config/errors.ts'
import type { JsonObject } from '../../src/config/field.ts'
import { loadConfig, readDocument } from '../../src/config/load.ts'
import { objectAt, type ServiceConfig } from '../../src/config/schema.ts'
import { raftTiming } from '../../src/config/sections/consensus.ts'
import { ipfsClusterDocument, ipfsClusterSecret } from './ipfs-cluster-folder.ts'
import { temporaryFolder } from './temporary-folder.ts'

const peerId = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'

function read(document: JsonObject, env: Record<string, string> = {}): ServiceConfig {
  return readDocument(document, '/q', env, 'service.json')
}

/** The document of a new peer with one section changed. */
function changed(path: readonly string[], values: JsonObject): JsonObject {
  const document = defaultDocument({ kind: 'embedded' })
  Object.assign(objectAt(document, ['cluster'])!, { secret: ipfsClusterSecret })
  Object.assign(objectAt(document, path)!, values)
  return document
}

function problemsOf(document: JsonObject, env: Record<string, string> = {}): readonly string[] {
  try {
    read(document, env)
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.problems.map((problem) => problem.path)
  }
  return []
}

describe('a service.json of IPFS Cluster in raft mode', () => {
  it('is read as it is', () => {
    const config = read(ipfsClusterDocument())
    assert.equal(config.cluster.peername, 'old-peer')
    assert.deepEqual(config.cluster.secret, Uint8Array.from(Buffer.from(ipfsClusterSecret, 'hex')))
    assert.equal(config.cluster.replicationFactorMax, 3)
    assert.equal(config.cluster.mdnsIntervalMs, 0)
    assert.equal(config.cluster.peerstoreFile, '/q/peerstore')
    assert.equal(config.consensus.raft.dataFolder, '/var/lib/old/raft')
    assert.deepEqual(config.api.restapi?.httpListenMultiaddress, ['/ip4/127.0.0.1/tcp/9094'])
    assert.equal(config.ipfsConnector.kind, 'ipfshttp')
    assert.equal(config.ipfsConnector.unpinTimeoutMs, 3 * 3600_000)
    assert.deepEqual(config.informer.tags?.tags, { group: 'default' })
  })

  it('causes no warning about a key', () => {
    const warnings = read(ipfsClusterDocument()).warnings
    assert.deepEqual(
      warnings.filter((warning) => warning.includes('is not')),
      []
    )
    assert.ok(
      warnings.every((warning) => warning.includes('this version does not serve')),
      warnings.join('\n')
    )
  })

  it('loses its QUIC address, on which nothing would listen', () => {
    assert.deepEqual(read(ipfsClusterDocument()).cluster.listenMultiaddress, ['/ip4/0.0.0.0/tcp/9096'])
  })

  it('gives the core timing that it accepts', () => {
    const timing = raftTiming(read(ipfsClusterDocument()).consensus.raft)
    assert.deepEqual(timing, {
      electionTimeoutMs: 1000,
      heartbeatMs: 166,
      trailingEntries: 10240,
      priority: 0,
      leaseMs: 0
    })
    assert.ok(timing.heartbeatMs < timing.electionTimeoutMs / 3)
  })

  it('takes a priority and a lease', () => {
    const { priority, leaseMs } = raftTiming(
      read(changed(['consensus', 'raft'], { priority: -2, lease: '300ms' })).consensus.raft
    )
    assert.deepEqual({ priority, leaseMs }, { priority: -2, leaseMs: 300 })
  })
})

describe('defaults', () => {
  it('stand in for every key that is absent', () => {
    const full = read(changed([], {}))
    const sparse = read({
      cluster: { secret: ipfsClusterSecret },
      consensus: { raft: {} },
      api: { restapi: {} },
      ipfs_connector: { embedded: {} },
      allocator: { balanced: {} },
      informer: { disk: {}, tags: {}, pinqueue: {} }
    })
    assert.deepEqual(sparse, full)
  })

  it('are true where the documented default is true, unlike in IPFS Cluster', () => {
    const { cluster, consensus, api } = read({
      ...changed([], {}),
      cluster: {},
      consensus: { raft: {} },
      api: { restapi: {} }
    })
    assert.equal(cluster.disableRepinning, true)
    assert.equal(consensus.raft.commitRetries, 1)
    assert.equal(api.restapi?.corsAllowCredentials, true)
  })

  it('replace empty durations, and zeros that mean the default', () => {
    const { cluster } = read(changed(['cluster'], { dial_peer_timeout: '', replication_factor_min: 0 }))
    assert.equal(cluster.dialPeerTimeoutMs, 3000)
    assert.equal(cluster.replicationFactorMin, -1)
  })

  it('leave out sections that switch a component on', () => {
    const document = changed([], {})
    delete objectAt(document, ['api'])!.restapi
    delete objectAt(document, ['informer'])!.tags
    delete document.allocator
    const config = read(document)
    assert.equal(config.api.restapi, undefined)
    assert.equal(config.informer.tags, undefined)
    assert.deepEqual(config.allocator.balanced.allocateBy, ['freespace'])
  })
})

describe('a configuration that is not allowed', () => {
  it('is refused with the key, the value and what is allowed', () => {
    assert.throws(
      () => read(changed(['cluster'], { dial_peer_timeout: '3 apples' })),
      /service\.json:\n {2}cluster\.dial_peer_timeout: "3 apples" is not allowed; it must be a duration such as .*more than 0s/
    )
  })

  it('is refused for all its problems at once, with unknown keys beside them', () => {
    const document = changed(['cluster'], { dial_peer_timeout: 3, peernam: 'x', listen_multiaddress: [] })
    Object.assign(objectAt(document, ['consensus', 'raft'])!, { backups_rotate: -1 })
    assert.deepEqual(problemsOf(document), [
      'cluster.listen_multiaddress',
      'cluster.dial_peer_timeout',
      'consensus.raft.backups_rotate'
    ])
    assert.throws(() => read(document), /cluster\.peernam is not a key .* did you mean peername\?/)
  })

  it('never shows a secret', () => {
    for (const document of [
      changed(['cluster'], { secret: 'hunter2' }),
      changed(['api', 'restapi'], { basic_auth_credentials: { admin: ['hunter2'] } })
    ]) {
      assert.throws(
        () => read(document),
        (error: Error) => error.message.includes('not shown') && !error.message.includes('hunter2')
      )
    }
  })

  it('tells what to do with a crdt section', () => {
    const document = ipfsClusterDocument()
    document.consensus = { crdt: {} }
    assert.deepEqual(problemsOf(document), ['consensus.crdt'])
    assert.throws(() => read(document), /ipfs-cluster-service state export/)
  })

  it('has no consensus, no IPFS node or two of them, or no informer', () => {
    assert.deepEqual(problemsOf({ ...changed([], {}), consensus: {} }), ['consensus.raft'])
    assert.deepEqual(problemsOf({ ...changed([], {}), ipfs_connector: {} }), ['ipfs_connector'])
    assert.deepEqual(problemsOf(changed(['ipfs_connector'], { ipfshttp: {} })), ['ipfs_connector'])
    assert.deepEqual(problemsOf({ ...changed([], {}), informer: {} }), ['informer'])
    assert.deepEqual(problemsOf({ ...changed([], {}), cluster: [] }), ['cluster'])
  })

  it('names a first member that is none, which IPFS Cluster would drop in silence', () => {
    const document = changed(['consensus', 'raft'], { init_peerset: [peerId, '12D3KooWtypo'] })
    assert.throws(() => read(document), /consensus\.raft\.init_peerset: .*"12D3KooWtypo" is not one/)
  })

  it('contradicts itself between keys', () => {
    const cases: [readonly string[], JsonObject, string][] = [
      [['cluster'], { replication_factor_min: 3, replication_factor_max: 2 }, 'cluster.replication_factor_min'],
      [['cluster'], { replication_factor_min: 2 }, 'cluster.replication_factor_min'],
      [['cluster'], { peername: 'n'.repeat(257) }, 'cluster.peername'],
      [['consensus', 'raft'], { election_timeout: '100ms' }, 'consensus.raft.election_timeout'],
      [['consensus', 'raft'], { election_timeout: '5m', lease: '61s' }, 'consensus.raft.lease'],
      [['consensus', 'raft'], { lease: '910ms' }, 'consensus.raft.lease'],
      [['api', 'restapi'], { ssl_cert_file: 'cert.pem' }, 'api.restapi.ssl_key_file']
    ]
    for (const [path, values, problem] of cases) assert.deepEqual(problemsOf(changed(path, values)), [problem])
  })

  it('does not quote what stands around a fault of syntax', async (context) => {
    const folder = await temporaryFolder(context)
    await writeFile(join(folder, 'service.json'), '{"cluster": {"secret": "hunter2", }')
    await assert.rejects(
      loadConfig(folder, {}),
      (error: Error) => /it is not JSON/.test(error.message) && !error.message.includes('hunter2')
    )
  })
})

describe('warnings', () => {
  it('name unknown keys at every depth, and nothing else', () => {
    const document = changed(['cluster'], { connection_manager: { hi_water: 1 }, dial_peer_timeot: '1s' })
    Object.assign(document, { consensu: {}, datastore: { leveldb: {} }, state: { anything: 1 } })
    Object.assign(objectAt(document, ['api'])!, { resapi: {} })
    const named = read(document).warnings.map((warning) => warning.split(' ')[0])
    assert.deepEqual(named.sort(), [
      'api.resapi',
      'cluster.connection_manager.hi_water',
      'cluster.dial_peer_timeot',
      'consensu'
    ])
  })

  it('tell that a cluster without a secret is open', () => {
    assert.match(read(changed(['cluster'], { secret: '' })).warnings.join(), /cluster\.secret is empty/)
  })
})

describe('the environment', () => {
  it('overrides keys, nested ones too, by the names of IPFS Cluster', () => {
    const { cluster, ipfsConnector } = read(changed([], {}), {
      CLUSTER_PEERNAME: 'env-peer',
      CLUSTER_DIALPEERTIMEOUT: '9s',
      CLUSTER_CONNECTIONMANAGER_HIGHWATER: '0x10',
      CLUSTER_LEAVEONSHUTDOWN: 'T',
      CLUSTER_LISTENMULTIADDRESS: '/ip4/127.0.0.1/tcp/1,/ip4/127.0.0.1/tcp/2',
      CLUSTER_EMBEDDED_NETWORK: 'private',
      CLUSTER_EMBEDDED_LISTENMULTIADDRESS: '/ip4/127.0.0.1/tcp/0',
      CLUSTER_EMBEDDED_STORAGEMAX: '512MiB'
    })
    assert.equal(cluster.peername, 'env-peer')
    assert.equal(cluster.dialPeerTimeoutMs, 9000)
    assert.equal(cluster.connectionManager.highWater, 16)
    assert.equal(cluster.leaveOnShutdown, true)
    assert.deepEqual(cluster.listenMultiaddress, ['/ip4/127.0.0.1/tcp/1', '/ip4/127.0.0.1/tcp/2'])
    assert.ok(ipfsConnector.kind === 'embedded')
    assert.equal(ipfsConnector.network, 'private')
    assert.equal(ipfsConnector.storageMaxBytes, 512 * 1024 * 1024)
  })

  it('writes lists with commas and maps with colons; set and empty counts', () => {
    const { consensus, informer, api } = read(changed(['consensus', 'raft'], { init_peerset: [peerId] }), {
      CLUSTER_RAFT_INITPEERSET: '',
      CLUSTER_TAGS_TAGS: 'region:eu,rack:7',
      CLUSTER_RESTAPI_BASICAUTHCREDENTIALS: 'alice:a:b,bob:c'
    })
    assert.deepEqual(consensus.raft.initPeerset, [])
    assert.deepEqual(informer.tags?.tags, { region: 'eu', rack: '7' })
    assert.deepEqual(api.restapi?.basicAuthCredentials, { alice: 'a:b', bob: 'c' })
  })

  it('is named in problems', () => {
    assert.deepEqual(problemsOf(changed([], {}), { CLUSTER_LEAVEONSHUTDOWN: 'yes', CLUSTER_TAGS_TAGS: 'nocolon' }), [
      'cluster.leave_on_shutdown (from CLUSTER_LEAVEONSHUTDOWN)',
      'informer.tags.tags (from CLUSTER_TAGS_TAGS)'
    ])
  })

  it('does not switch on what the file has not, and its strangers are named', () => {
    const config = read(changed([], {}), {
      CLUSTER_PINSVCAPI_READTIMEOUT: '1s',
      CLUSTER_CRDT_CLUSTERNAME: 'x',
      CLUSTER_PEERNAM: 'x'
    })
    assert.equal(config.api.pinsvcapi, undefined)
    assert.deepEqual(config.warnings, [
      'the environment variable CLUSTER_PEERNAM is not one that Quorate knows, and is ignored'
    ])
  })
})

describe('a source', () => {
  /** Serves one answer on loopback for the length of the test. */
  async function serve(context: TestContext, body: string, status = 200): Promise<string> {
    const server = createServer((_, response) => response.writeHead(status).end(body))
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    context.after(() => new Promise((done) => server.close(done)))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/service.json`
  }

  async function folderWith(context: TestContext, document: JsonObject): Promise<string> {
    const folder = await temporaryFolder(context)
    await writeFile(join(folder, 'service.json'), JSON.stringify(document))
    return folder
  }

  it('is fetched, and the environment applies to what came', async (context) => {
    const source = await serve(context, JSON.stringify(ipfsClusterDocument()))
    const folder = await folderWith(context, { source })
    const config = await loadConfig(folder, { CLUSTER_PEERNAME: 'mine' })
    assert.equal(config.source, source)
    assert.equal(config.cluster.peername, 'mine')
    assert.equal(config.cluster.peerstoreFile, join(folder, 'peerstore'))
  })

  it('that names another source is refused', async (context) => {
    const source = await serve(context, JSON.stringify({ source: 'http://127.0.0.1:1/' }))
    await assert.rejects(loadConfig(await folderWith(context, { source }), {}), /must not name another/)
  })

  it('that does not answer well stops the start', async (context) => {
    const missing = await serve(context, 'gone', 404)
    await assert.rejects(loadConfig(await folderWith(context, { source: missing }), {}), /the answer was 404/)
    const endless = await serve(context, ' '.repeat(2 << 20))
    await assert.rejects(loadConfig(await folderWith(context, { source: endless }), {}), /longer than/)
    await assert.rejects(loadConfig(await folderWith(context, { source: 'file:///etc/passwd' }), {}), /http or https/)
  })
})

it('a folder without a configuration is told from one that cannot be read', async (context) => {
  const folder = await temporaryFolder(context)
  await assert.rejects(loadConfig(folder, {}), { name: 'ConfigFolderError', code: 'NO_CONFIG' })
  await writeFile(join(folder, 'service.json'), '[]')
  await assert.rejects(loadConfig(folder, {}), { name: 'ConfigFolderError', code: 'CONFIG_UNREADABLE' })
})
