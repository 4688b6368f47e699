/**
 * `identity.json`: the private key of a peer and the peer ID that follows from it, in IPFS Cluster's format. Ed25519 for new peers; RSA and
 * secp256k1 keys of existing folders are read as well. Called by `init` and by the daemon.
 *
 * `CLUSTER_ID` and `CLUSTER_PRIVATEKEY` override the file. Before IPFS Cluster 0.11 both stood in the `cluster` section of `service.json`;
 * from there they are taken over into a file of their own.
 */

import { readFile } from 'node:fs/promises'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PeerId, PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { replaceFile } from './atomic-file.ts'
import type { Environment } from './environment.ts'
import { ConfigFolderError } from './errors.ts'
import { folderLayout } from './paths.ts'
import { isObject } from './schema.ts'

export interface Identity {
  readonly peerId: PeerId
  /** Must not be logged. */
  readonly privateKey: PrivateKey
}

/** Makes a new identity, with an Ed25519 key. */
export async function createIdentity(): Promise<Identity> {
  const privateKey = await generateKeyPair('Ed25519')
  return { peerId: peerIdFromPrivateKey(privateKey), privateKey }
}

/** Writes `identity.json`, readable by its owner alone. */
export async function saveIdentity(folder: string, { peerId, privateKey }: Identity): Promise<void> {
  const json = {
    id: peerId.toString(),
    private_key: Buffer.from(privateKeyToProtobuf(privateKey)).toString('base64')
  }
  // IPFS Cluster indents this file by four, unlike service.json.
  await replaceFile(folderLayout(folder).identity, `${JSON.stringify(json, null, 4)}\n`, { mode: 0o600 })
}

/**
 * @throws {ConfigFolderError} `NO_IDENTITY` when there is none; `BAD_IDENTITY` when the key cannot be read or does not belong to the ID
 */
export async function loadIdentity(folder: string, env: Environment): Promise<Identity> {
  const { identity: file, config } = folderLayout(folder)
  const stored = await readKeys(file)
  const legacy = stored === undefined ? await readKeys(config, 'cluster') : undefined
  const found = stored ?? legacy
  const id = env.CLUSTER_ID ?? found?.id
  const key = env.CLUSTER_PRIVATEKEY ?? found?.private_key
  if (id === undefined || key === undefined) {
    const missing =
      found === undefined ? 'there is no such file' : `it has no ${id === undefined ? 'id' : 'private_key'}`
    throw new ConfigFolderError(
      'NO_IDENTITY',
      `cannot read the identity in ${file}: ${missing}; \`quorate-service init\` makes one, or set CLUSTER_ID and CLUSTER_PRIVATEKEY`
    )
  }
  const identity = decode(id, key, env.CLUSTER_PRIVATEKEY === undefined ? file : 'CLUSTER_PRIVATEKEY')
  if (legacy !== undefined) await saveIdentity(folder, identity)
  return identity
}

/** `id` and `private_key` of a file, or of an object in it; undefined if there is no such file, or neither of them in it. */
async function readKeys(file: string, section?: string): Promise<{ id?: string; private_key?: string } | undefined> {
  let json: unknown
  try {
    json = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    // The parser quotes what it read, and that is the key.
    const why = error instanceof SyntaxError ? 'it is not JSON' : String(error)
    throw new ConfigFolderError('BAD_IDENTITY', `cannot read the identity in ${file}: ${why}`)
  }
  const found = section !== undefined && isObject(json) ? json[section] : json
  if (!isObject(found)) return undefined
  const keys: { id?: string; private_key?: string } = {}
  if (typeof found.id === 'string') keys.id = found.id
  if (typeof found.private_key === 'string') keys.private_key = found.private_key
  return Object.keys(keys).length === 0 ? undefined : keys
}

function decode(id: string, key: string, where: string): Identity {
  const refuse = (why: string) => new ConfigFolderError('BAD_IDENTITY', `cannot use the identity in ${where}: ${why}`)
  let privateKey: PrivateKey
  try {
    privateKey = privateKeyFromProtobuf(Uint8Array.from(Buffer.from(key, 'base64')))
  } catch {
    throw refuse('the private key is not a libp2p key in base64 (the value is not shown)')
  }
  const peerId = peerIdFromPrivateKey(privateKey)
  let stated: PeerId
  try {
    stated = peerIdFromString(id)
  } catch {
    throw refuse(`its id, ${JSON.stringify(id)}, is not a peer ID`)
  }
  if (!stated.equals(peerId)) throw refuse(`its id is ${id}, but its private key is that of ${peerId.toString()}`)
  return { peerId, privateKey }
}
