/**
 * The blocks of UnixFS (https://specs.ipfs.tech/unixfs/), byte for byte as Kubo writes them. A node is known to its parent by
 * three numbers: its CID, the bytes of the file that it stands for, and the size of its whole DAG.
 */

import { encode } from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { DAG_PB, type HashFunction, hashFunctionNamed, RAW, SHA2_256 } from '../ipfs/cids.ts'
import type { IpfsBlock } from '../ports.ts'
import { AddError } from './errors.ts'

const TYPE_RAW = 0
const TYPE_DIRECTORY = 1
const TYPE_FILE = 2
const TYPE_SYMLINK = 4
const TYPE_HAMT_SHARD = 5
/** Multihash code of the hash by which names are spread over shards. */
const MURMUR3_X64_64 = 0x22

export interface DagNode {
  readonly cid: CID
  /** Bytes of the file's content below this node; 0 for directories. */
  readonly fileBytes: number
  /** Bytes of this block and of all below it, each counted as often as it is linked. */
  readonly dagBytes: number
}

export interface NamedNode extends DagNode {
  readonly name: string
}

export interface NodeFormat {
  readonly cidVersion: 0 | 1
  readonly rawLeaves: boolean
  readonly hash: HashFunction
}

/** @throws {AddError} `invalid-parameter` for a hash that is not known, or a version that cannot express it */
export function nodeFormat(options: { cidVersion: 0 | 1; rawLeaves: boolean; hash: string }): NodeFormat {
  const name = options.hash === '' ? 'sha2-256' : options.hash.toLowerCase()
  const hash = hashFunctionNamed(name)
  if (hash === undefined) throw new AddError('invalid-parameter', `hash function name not known: "${options.hash}"`)
  // A version 0 CID cannot say which hash it holds; like Kubo, another hash makes it version 1.
  const cidVersion = hash.code === SHA2_256 ? options.cidVersion : 1
  return { cidVersion, rawLeaves: options.rawLeaves, hash }
}

/** Makes nodes, and hands each block to `emit` in the order of making: children before parents. */
export class NodeWriter {
  readonly #format: NodeFormat
  readonly #emit: (block: IpfsBlock) => void

  constructor(format: NodeFormat, emit: (block: IpfsBlock) => void) {
    this.#format = format
    this.#emit = emit
  }

  /** A piece of a file. `type` is what a leaf that is not raw calls itself: the trickle layout differs there. */
  leaf(data: Uint8Array, type: 'file' | 'raw'): DagNode {
    if (this.#format.rawLeaves) {
      const cid = this.#write(data, RAW, 1)
      return { cid, fileBytes: data.length, dagBytes: data.length }
    }
    const header = new ProtobufWriter()
    header.number(1, type === 'file' ? TYPE_FILE : TYPE_RAW)
    if (data.length > 0) header.bytes(2, data)
    header.number(3, data.length)
    return this.#node(header.take(), [], data.length)
  }

  /** A file, or a part of one, made of others. */
  file(children: readonly DagNode[]): DagNode {
    const fileBytes = children.reduce((sum, child) => sum + child.fileBytes, 0)
    const header = new ProtobufWriter()
    header.number(1, TYPE_FILE)
    header.number(3, fileBytes)
    for (const child of children) header.number(4, child.fileBytes)
    return this.#node(
      header.take(),
      children.map((child) => ({ ...child, name: '' })),
      fileBytes
    )
  }

  symlink(target: Uint8Array): DagNode {
    const header = new ProtobufWriter()
    header.number(1, TYPE_SYMLINK)
    header.bytes(2, target)
    return this.#node(header.take(), [], 0)
  }

  /** The entries in any order; names are unique. */
  directory(entries: readonly NamedNode[]): DagNode {
    const header = new ProtobufWriter()
    header.number(1, TYPE_DIRECTORY)
    return this.#node(header.take(), entries.toSorted(byName), 0)
  }

  /** One node of a sharded directory: `links` in the order of their slots, `occupied` a bit for each slot, the first slot lowest. */
  shard(links: readonly NamedNode[], occupied: bigint, fanout: number): DagNode {
    const bits = occupied.toString(16)
    const header = new ProtobufWriter()
    header.number(1, TYPE_HAMT_SHARD)
    header.bytes(2, Buffer.from(bits.length % 2 === 0 ? bits : `0${bits}`, 'hex'))
    header.number(5, MURMUR3_X64_64)
    header.number(6, fanout)
    return this.#node(header.take(), links, 0)
  }

  #node(data: Uint8Array, links: readonly NamedNode[], fileBytes: number): DagNode {
    const bytes = encode({
      Data: data,
      Links: links.map(({ name, cid, dagBytes }) => ({ Name: name, Hash: cid, Tsize: dagBytes }))
    })
    const cid = this.#write(bytes, DAG_PB, this.#format.cidVersion)
    return { cid, fileBytes, dagBytes: links.reduce((sum, link) => sum + link.dagBytes, bytes.length) }
  }

  #write(bytes: Uint8Array, codec: number, version: 0 | 1): CID {
    const { hash } = this.#format
    const cid = CID.create(version, codec, Digest.create(hash.code, hash.digest(bytes)))
    this.#emit({ cid: cid.toString(), bytes })
    return cid
  }
}

/** In the order of the names' UTF-8 bytes, as directories are stored. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return Buffer.compare(Buffer.from(a.name), Buffer.from(b.name))
}

/** Fields of the UnixFS header: numbers and bytes. */
class ProtobufWriter {
  readonly #parts: Uint8Array[] = []

  number(field: number, value: number): void {
    this.#varint(field << 3)
    this.#varint(value)
  }

  bytes(field: number, bytes: Uint8Array): void {
    this.#varint((field << 3) | 2)
    this.#varint(bytes.length)
    this.#parts.push(bytes)
  }

  take(): Uint8Array {
    return Buffer.concat(this.#parts)
  }

  #varint(value: number): void {
    const bytes: number[] = []
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
    bytes.push(rest)
    this.#parts.push(Uint8Array.from(bytes))
  }
}
