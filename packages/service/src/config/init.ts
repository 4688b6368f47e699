/**
 * `quorate-service init`: makes a configuration folder, in the order of IPFS Cluster: lock, question, defaults, ports, environment, secret,
 * peers, then `service.json`, `identity.json` if there is none, `peerstore`. Called by the command line, by the demo and by tests.
 *
 * Where it differs from IPFS Cluster: what is written is checked first by reading it as the daemon would; and a peerstore file that is there
 * keeps its lines, where `init --force` there empties it.
 */

import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { resolve } from 'node:path'
import { defaultDocument, type IpfsChoice, saveConfig } from './document.ts'
import { applyEnvironment, type Environment } from './environment.ts'
import { ConfigError, ConfigFolderError } from './errors.ts'
import { exists } from './exists.ts'
import type { JsonObject, JsonValue } from './field.ts'
import { multiaddrFault } from './field-types.ts'
import { lockFolder } from './folder-lock.ts'
import { createIdentity, loadIdentity, saveIdentity } from './identity.ts'
import { readDocument } from './load.ts'
import { folderLayout, makePrivateFolder } from './paths.ts'
import { peerAddressFault, peerIdOf } from './peer-address.ts'
import { PeerstoreFile } from './peerstore-file.ts'
import { objectAt } from './schema.ts'

export interface InitOptions {
  /** Made if it is not there. */
  readonly folder: string
  /** `CLUSTER_*` of this moment is written into the file. */
  readonly env: Environment
  /** The IPFS node. @default the embedded one */
  readonly ipfs?: IpfsChoice
  /** Addresses of the other first members, each ending in `/p2p/<peer ID>`. @default none */
  readonly peers?: readonly string[]
  /** The secret of the cluster, in hexadecimal; asked for when it is needed. @default a random one */
  readonly secret?: () => Promise<string>
  /** Take ports that are free now in place of the usual ones. @default false */
  readonly randomPorts?: boolean
  /** Write a file that names only this address, from which the configuration is fetched at each start. */
  readonly source?: string | undefined
  /** Asked before a configuration is overwritten; false leaves everything as it is. */
  readonly confirmOverwrite: (file: string) => Promise<boolean>
  /** Told what was done, a sentence at a time. */
  readonly say: (message: string) => void
}

/**
 * @returns whether it was done; false when the question was declined
 * @throws {ConfigError} when what the options and the environment say is not allowed; nothing is written then
 * @throws {ConfigFolderError} when the folder is in use, or an identity that is there cannot be used
 */
export async function initFolder(options: InitOptions): Promise<boolean> {
  const folder = resolve(options.folder)
  const layout = folderLayout(folder)
  const peers = options.peers ?? []
  checkPeers(peers)
  await makePrivateFolder(folder)
  const present = await exists(layout.config)
  // A new folder is nobody's yet, and needs no lock.
  const lock = present || (await exists(layout.identity)) ? lockFolder(folder) : undefined
  try {
    if (present && !(await options.confirmOverwrite(layout.config))) return false
    const document = options.source === undefined ? await makeDocument(options, peers) : { source: options.source }
    const config = options.source === undefined ? readDocument(document, folder, options.env, layout.config) : undefined
    const identity = (await existingIdentity(folder, options.env)) ?? (await createIdentity())

    await saveConfig(folder, document)
    options.say(`configuration written to ${layout.config}.`)
    if (!(await exists(layout.identity))) {
      await saveIdentity(folder, identity)
      options.say(`new identity written to ${layout.identity}`)
    }
    const peerstore = new PeerstoreFile(config?.cluster.peerstoreFile ?? resolve(folder, 'peerstore'))
    const count = await peerstore.add(peers)
    options.say(
      count === 0
        ? `new empty peerstore written to ${peerstore.path}.`
        : `peerstore written to ${peerstore.path} with ${count} entries.`
    )
    for (const warning of config?.warnings ?? []) options.say(`warning: ${warning}`)
    return true
  } finally {
    lock?.release()
  }
}

function checkPeers(peers: readonly string[]): void {
  const problems = peers.flatMap((address) => {
    const reason = peerAddressFault(address) ?? (peerIdOf(address) === undefined ? 'it has no peer ID' : undefined)
    return reason === undefined ? [] : [{ path: '--peers', value: JSON.stringify(address), reason }]
  })
  if (problems.length > 0) throw new ConfigError('the command line', problems)
}

async function makeDocument(options: InitOptions, peers: readonly string[]): Promise<JsonObject> {
  const ipfs = options.ipfs ?? { kind: 'embedded' }
  if (ipfs.kind === 'ipfshttp') {
    const fault = multiaddrFault(ipfs.nodeMultiaddress)
    if (fault !== undefined) {
      const reason = `it must be embedded, or the multiaddress of the RPC API of a Kubo daemon, such as /ip4/127.0.0.1/tcp/5001 (${fault})`
      throw new ConfigError('the command line', [
        { path: '--ipfs', value: JSON.stringify(ipfs.nodeMultiaddress), reason }
      ])
    }
  }
  const document = defaultDocument(ipfs)
  if (options.randomPorts === true) await replacePorts(document)
  const cluster = objectAt(document, ['cluster'])!
  cluster.secret = randomBytes(32).toString('hex')
  // Before the environment and the question are looked at, so that either may override them.
  const raft = objectAt(document, ['consensus', 'raft'])!
  const ids = new Set(peers.flatMap((address) => peerIdOf(address) ?? []))
  if (ids.size > 0) raft.init_peerset = [...ids]
  applyEnvironment(document, options.env)
  // The variable is asked first: whoever sets it for a whole fleet is not to be asked on each machine.
  if (options.secret !== undefined && options.env.CLUSTER_SECRET === undefined) {
    const secret = (await options.secret()).trim()
    if (!/^[\da-fA-F]{64}$/.test(secret)) {
      const reason = 'it must be 32 bytes in hexadecimal (64 digits)'
      throw new ConfigError('the answer', [{ path: 'cluster.secret', value: 'the value (not shown)', reason }])
    }
    cluster.secret = secret.toLowerCase()
  }
  return document
}

async function existingIdentity(folder: string, env: Environment) {
  try {
    return await loadIdentity(folder, env)
  } catch (error) {
    if (error instanceof ConfigFolderError && error.code === 'NO_IDENTITY') return undefined
    throw error
  }
}

/** The listeners of a new peer, which `--randomports` moves out of the way of other peers on the machine. */
const listeners: readonly (readonly [path: readonly string[], key: string])[] = [
  [['cluster'], 'listen_multiaddress'],
  [['api', 'restapi'], 'http_listen_multiaddress'],
  [['ipfs_connector', 'embedded'], 'listen_multiaddress']
]

async function replacePorts(document: JsonObject): Promise<void> {
  const ports = await freePorts(listeners.length)
  for (const [at, [path, key]] of listeners.entries()) {
    const section = objectAt(document, path)
    const value: JsonValue = section?.[key] ?? null
    if (section === undefined || typeof value !== 'string') continue
    section[key] = value.replace(/\/tcp\/\d+/, `/tcp/${ports[at]}`)
  }
}

/** Ports that nothing listens on, all different: held together until the last is known. Something else may take one afterwards. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((done, fail) => {
        server.once('error', fail)
        server.listen(0, '0.0.0.0', done)
      })
      return server
    })
  )
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
  return ports
}
