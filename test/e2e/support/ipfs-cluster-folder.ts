/**
 * A configuration folder as `ipfs-cluster-service init --consensus raft` of IPFS Cluster 1.1.6 leaves it, made without any code of
 * ours that could share a mistake with what reads it. Ports and addresses are those of the test.
 */

import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ipfsClusterDocument } from '../../../packages/service/test/config/ipfs-cluster-folder.ts'
import { Daemon, freePort, secret } from './daemon.ts'

/** A JSON object whose sections a test changes. */
export type Sections = Record<string, Record<string, Record<string, unknown>>>

/** Keys that `init` does not write, or not in raft mode. */
const UNWRITTEN: readonly (readonly [section: string, component: string, key: string])[] = [
  ['consensus', 'raft', 'data_folder'],
  ['consensus', 'raft', 'datastore_namespace'],
  ['api', 'ipfsproxy', 'node_https'],
  ['api', 'ipfsproxy', 'extract_headers_extra'],
  ['api', 'ipfsproxy', 'extract_headers_path'],
  ['api', 'ipfsproxy', 'extract_headers_ttl'],
  ['ipfs_connector', 'ipfshttp', 'unpin_disable'],
  ['pin_tracker', 'stateless', 'max_pin_queue_size']
]

export interface IpfsClusterFolder {
  readonly daemon: Daemon
  /** Where its Kubo daemon would be; nothing listens there. */
  readonly kuboAddress: string
}

export async function ipfsClusterFolder(
  change: (document: Sections) => void = () => undefined
): Promise<IpfsClusterFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-e2e-compat-'))
  const [swarmPort, apiPort, kuboPort] = [await freePort(), await freePort(), await freePort()]
  const kuboAddress = `/ip4/127.0.0.1/tcp/${kuboPort}`
  // The fixture knows every key; its types say only that it is JSON.
  const document = ipfsClusterDocument() as unknown as Sections
  delete document.datastore
  for (const [section, component, key] of UNWRITTEN) delete document[section]?.[component]?.[key]
  const cluster = document.cluster as Record<string, unknown>
  delete cluster.follower_mode
  delete cluster.peerstore_file
  Object.assign(cluster, {
    peername: 'old-peer',
    secret: secret(),
    listen_multiaddress: [`/ip4/127.0.0.1/tcp/${swarmPort}`, `/ip4/127.0.0.1/udp/${swarmPort}/quic`],
    replication_factor_min: -1,
    replication_factor_max: -1
  })
  document.consensus!.raft!.init_peerset = []
  document.api!.restapi!.http_listen_multiaddress = `/ip4/127.0.0.1/tcp/${apiPort}`
  document.ipfs_connector!.ipfshttp!.node_multiaddress = kuboAddress
  change(document)
  await writeFile(join(folder, 'service.json'), JSON.stringify(document, null, 2), { mode: 0o600 })
  const { id, privateKey } = ed25519Identity()
  const identity = { id, private_key: privateKey }
  await writeFile(join(folder, 'identity.json'), JSON.stringify(identity, null, 4), { mode: 0o600 })
  await writeFile(join(folder, 'peerstore'), '')
  return { daemon: Daemon.ofFolder('old-peer', folder, { id, swarmPort, apiPort }), kuboAddress }
}

/**
 * A peer ID and its private key, by the specification: protobuf `{1: key type, 2: key}` around seed and public key; the ID is the
 * identity multihash of the wrapped public key, in base58btc.
 *
 * @see https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md
 */
function ed25519Identity(): { id: string; privateKey: string } {
  const { d, x } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  const publicKey = Buffer.from(x!, 'base64url')
  const ED25519 = [0x08, 0x01]
  const wrappedPublic = Buffer.from([...ED25519, 0x12, 32, ...publicKey])
  const wrappedPrivate = Buffer.from([...ED25519, 0x12, 64, ...Buffer.from(d!, 'base64url'), ...publicKey])
  const multihash = Buffer.from([0x00, wrappedPublic.byteLength, ...wrappedPublic])
  return { id: base58(multihash), privateKey: wrappedPrivate.toString('base64') }
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

function base58(bytes: Buffer): string {
  let text = ''
  for (let value = BigInt(`0x${bytes.toString('hex')}`); value > 0n; value /= 58n)
    text = BASE58[Number(value % 58n)] + text
  const zeros = bytes.findIndex((byte) => byte !== 0)
  return '1'.repeat(zeros) + text
}
