/**
 * Makes the blocks of `ipfs-unixfs-importer` over with another hash function: the library knows SHA2-256 only. As blocks come children first, each is
 * taken, its links are replaced by what their targets have become, and it is hashed. Called by `unixfs.ts` when another hash is asked for.
 */

import { decode, encode } from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { DAG_PB, type HashFunction } from '../ipfs/cids.ts'

interface Remade {
  readonly cid: CID
  readonly dagBytes: number
}

export class Rehash {
  readonly #hash: HashFunction
  /** By the CID that the library knows. Each making of a block is linked to once, so that what has been linked to as often is forgotten. */
  readonly #remade = new Map<string, Remade & { links: number }>()

  constructor(hash: HashFunction) {
    this.#hash = hash
  }

  remake({ cid, bytes }: { cid: CID; bytes: Uint8Array }): { cid: CID; bytes: Uint8Array } {
    let remadeBytes = bytes
    let dagBytes = bytes.length
    if (cid.code === DAG_PB) {
      const { Data, Links } = decode(bytes)
      const links = Links.map((link) => {
        const target = this.take(link.Hash)
        return target === undefined ? link : { ...link, Hash: target.cid, Tsize: target.dagBytes }
      })
      remadeBytes = encode(Data === undefined ? { Links: links } : { Data, Links: links })
      dagBytes = links.reduce((sum, { Tsize = 0 }) => sum + Tsize, remadeBytes.length)
    }
    const { code, digest } = this.#hash
    const remade = CID.createV1(cid.code, Digest.create(code, digest(remadeBytes)))
    const known = this.#remade.get(cid.toString())
    if (known === undefined) this.#remade.set(cid.toString(), { cid: remade, dagBytes, links: 1 })
    else known.links++
    return { cid: remade, bytes: remadeBytes }
  }

  /** What a block has become, for the one link to it; undefined if it was not made here. */
  take(cid: CID): Remade | undefined {
    const key = cid.toString()
    const remade = this.#remade.get(key)
    if (remade === undefined) return undefined
    remade.links--
    if (remade.links === 0) this.#remade.delete(key)
    return remade
  }
}
