/**
 * CIDs and the hashes and codecs that the IPFS connectors and the adder understand. Blocks are stored and compared by multihash, as
 * every IPFS node does, so that the same bytes under a version 0 and a version 1 CID are one block. Hashing is done by Node's crypto:
 * synchronous, and faster than a round trip through the thread pool for blocks of up to 2 MiB.
 */

import { createHash } from 'node:crypto'
import type { CidString } from '@quorate/client/api'
import { base32 } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { IpfsRequestError } from './errors.ts'

export const RAW = 0x55
export const DAG_PB = 0x70
export const DAG_CBOR = 0x71
export const DAG_JSON = 0x0129
export const IDENTITY = 0x00
export const SHA2_256 = 0x12

/** The largest block that IPFS nodes exchange: Kubo refuses to make larger ones, and a bitswap message holds no more than twice this. */
export const MAX_BLOCK_BYTES = 2 * 1024 * 1024

export interface HashFunction {
  readonly name: string
  readonly code: number
  readonly digest: (bytes: Uint8Array) => Uint8Array
}

function byNode(name: string, code: number, algorithm: string, outputLength?: number): HashFunction {
  return {
    name,
    code,
    digest: (bytes) =>
      createHash(algorithm, outputLength === undefined ? undefined : { outputLength })
        .update(bytes)
        .digest()
  }
}

/** By the names of the multihash table; those that Node's crypto can compute. */
const hashFunctions: readonly HashFunction[] = [
  byNode('sha1', 0x11, 'sha1'),
  byNode('sha2-256', SHA2_256, 'sha256'),
  byNode('sha2-512', 0x13, 'sha512'),
  byNode('sha2-384', 0x20, 'sha384'),
  byNode('sha2-512-256', 0x1015, 'sha512-256'),
  byNode('sha3-224', 0x17, 'sha3-224'),
  byNode('sha3-256', 0x16, 'sha3-256'),
  byNode('sha3-384', 0x15, 'sha3-384'),
  byNode('sha3-512', 0x14, 'sha3-512'),
  byNode('shake-128', 0x18, 'shake128', 32),
  byNode('shake-256', 0x19, 'shake256', 64),
  byNode('blake2b-512', 0xb240, 'blake2b512'),
  byNode('blake2s-256', 0xb260, 'blake2s256'),
  {
    name: 'dbl-sha2-256',
    code: 0x56,
    digest: (bytes) => createHash('sha256').update(createHash('sha256').update(bytes).digest()).digest()
  }
]

const byCode = new Map(hashFunctions.map((hash) => [hash.code, hash]))
const byName = new Map(hashFunctions.map((hash) => [hash.name, hash]))

/** The hash function of this multihash name, e.g. `sha2-256`; undefined if it cannot be computed here. */
export function hashFunctionNamed(name: string): HashFunction | undefined {
  return byName.get(name)
}

/** The hash function of this multihash code; undefined if it cannot be computed here. */
export function hashFunctionOf(code: number): HashFunction | undefined {
  return byCode.get(code)
}

/** @throws {IpfsRequestError} `bad-request` if it is no CID */
export function parseCid(cid: CidString): CID {
  try {
    return CID.parse(cid)
  } catch (cause) {
    throw new IpfsRequestError(`"${cid}" is not a CID: ${(cause as Error).message}`, 'bad-request', { cause })
  }
}

/** True if these bytes hash to this CID. @throws {IpfsRequestError} `unsupported` if the hash function is not known here */
export function matchesCid(cid: CID, bytes: Uint8Array): boolean {
  const { code, digest } = cid.multihash
  let actual: Uint8Array
  if (code === IDENTITY) actual = bytes
  else {
    const hash = byCode.get(code)
    if (hash === undefined) throw unsupportedHash(cid)
    actual = hash.digest(bytes)
  }
  // A digest may be shortened in its multihash, but not to a length that could be found by trial.
  if (digest.length !== actual.length && (digest.length < 20 || digest.length > actual.length)) return false
  return Buffer.compare(actual.subarray(0, digest.length), digest) === 0
}

/** Fails before anything is fetched that could not be verified. @throws {IpfsRequestError} `unsupported` */
export function assertHashKnown(cid: CID): void {
  if (cid.multihash.code !== IDENTITY && !byCode.has(cid.multihash.code)) throw unsupportedHash(cid)
}

function unsupportedHash(cid: CID): IpfsRequestError {
  return new IpfsRequestError(
    `cannot verify ${cid}: hash function 0x${cid.multihash.code.toString(16)} is not supported`,
    'unsupported'
  )
}

/** The key of a block: its multihash in lower-case base32 without the multibase letter. */
export function blockKey(cid: CID): string {
  return base32.encode(cid.multihash.bytes).slice(1)
}

/** The CID of a key: version 1, codec raw, because a block store does not know what its blocks are. */
export function cidOfKey(key: string): CID {
  return CID.createV1(RAW, Digest.decode(base32.decode(`b${key}`)))
}

/** The bytes of an identity CID are in the CID; undefined for all others. */
export function inlineBytes(cid: CID): Uint8Array | undefined {
  return cid.multihash.code === IDENTITY ? cid.multihash.digest : undefined
}
