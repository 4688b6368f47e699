/** The key pair of the embedded node, made once and kept in its folder: other nodes know it by the peer ID that follows from it. */

import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'

/** Reads `identity.key` (libp2p's protobuf form of a private key), or makes an Ed25519 one. @throws when the file is damaged */
export async function loadOrCreateIdentity(folder: string): Promise<PrivateKey> {
  const path = join(folder, 'identity.key')
  let bytes: Uint8Array | undefined
  try {
    bytes = readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  if (bytes !== undefined) {
    try {
      return privateKeyFromProtobuf(bytes)
    } catch (cause) {
      throw new Error(`cannot read the IPFS node's key in ${path}: ${(cause as Error).message}`, { cause })
    }
  }
  const key = await generateKeyPair('Ed25519')
  const temporary = `${path}.new`
  const file = openSync(temporary, 'w', 0o600)
  try {
    writeSync(file, privateKeyToProtobuf(key))
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(temporary, path)
  return key
}
