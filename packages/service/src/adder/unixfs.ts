/**
 * Files, symbolic links and directories as UnixFS (https://specs.ipfs.tech/unixfs/), by `ipfs-unixfs-importer` with the options by which it makes
 * the CIDs that Kubo makes. Called by `import-files.ts`, one file or one directory at a time. Three things are ours:
 *
 * - Memory. The library keeps the content of every leaf and the block of every node until their parent is made; `lean` drops both.
 * - Directories are given to the library one by one, from the bottom up. Given a tree, it does not count subdirectories when it decides whether to
 *   shard a directory (one of 8,000 subdirectories stays one block, where Kubo's is sharded), and a directory that is named
 *   after its files replaces them by nothing.
 * - Hash functions: the library has SHA2-256 alone. For others `rehash.ts` makes its blocks over.
 */

import { type ImporterOptions, type ImportResult, importer, type WritableStorage } from 'ipfs-unixfs-importer'
import { balanced, type FileLayout, trickle } from 'ipfs-unixfs-importer/layout'
import type { CID } from 'multiformats/cid'
import { hashFunctionNamed, SHA2_256 } from '../ipfs/cids.ts'
import type { IpfsBlock } from '../ports.ts'
import { parseChunker } from './chunker.ts'
import { AddError } from './errors.ts'
import { Rehash } from './rehash.ts'

/** Kubo's: so many links of a CIDv0 fit into 8 KiB. */
const MAX_CHILDREN = 174
/** Kubo shards from the threshold on, the library above it: compared with the sum of the lengths of all names and CIDs. */
const SHARDING_THRESHOLD_BYTES = 256 * 1024 - 1

export interface UnixfsOptions {
  readonly layout: 'balanced' | 'trickle'
  readonly chunker: string
  readonly hash: string
  readonly cidVersion: 0 | 1
  readonly rawLeaves: boolean
}

export interface DagNode {
  readonly cid: CID
  /** Bytes of this block and of all below it, each counted as often as it is linked. */
  readonly dagBytes: number
}

export interface NamedNode extends DagNode {
  readonly name: string
}

/** Takes the blocks, children before parents; the next is made when it resolves. */
export type PutBlock = (block: IpfsBlock) => Promise<void>

export class UnixfsWriter {
  readonly #options: ImporterOptions
  readonly #rehash: Rehash | undefined

  /** @throws {AddError} `invalid-parameter` for a chunker or hash that is not known */
  constructor(options: UnixfsOptions) {
    const hashName = options.hash === '' ? 'sha2-256' : options.hash.toLowerCase()
    const hash = hashFunctionNamed(hashName)
    if (hash === undefined) throw new AddError('invalid-parameter', `hash function name not known: "${options.hash}"`)
    const isDefaultHash = hash.code === SHA2_256
    this.#rehash = isDefaultHash ? undefined : new Rehash(hash)
    const isBalanced = options.layout === 'balanced'
    const layout = isBalanced ? balanced : trickle
    this.#options = {
      // A version 0 CID cannot say which hash it holds; like Kubo, another hash makes it version 1.
      cidVersion: isDefaultHash ? options.cidVersion : 1,
      rawLeaves: options.rawLeaves,
      chunker: parseChunker(options.chunker),
      layout: lean(layout({ maxChildrenPerNode: MAX_CHILDREN })),
      leafType: isBalanced ? 'file' : 'raw',
      reduceSingleLeafToSelf: isBalanced,
      shardSplitStrategy: 'links-bytes',
      shardSplitThresholdBytes: SHARDING_THRESHOLD_BYTES,
      // Hashing is synchronous anyway, and so is only one block in memory that has not been taken.
      blockWriteConcurrency: 1,
      fileImportConcurrency: 1
    }
  }

  /** `onRead` is told of each piece how many bytes of the file there are up to it. */
  async file(content: AsyncIterable<Uint8Array>, put: PutBlock, onRead: (bytes: number) => void): Promise<DagNode> {
    return this.#last(
      importer([{ content }], this.#store(put), {
        ...this.#options,
        onProgress(event) {
          if (event.type === 'unixfs:importer:progress:file:read') onRead(Number(event.detail.bytesRead))
        }
      })
    )
  }

  async symlink(target: string, put: PutBlock): Promise<DagNode> {
    return this.#last(importer([{ path: 'link', link: target }], this.#store(put), this.#options))
  }

  /** The entries in any order; names are unique. */
  async directory(entries: readonly NamedNode[], put: PutBlock): Promise<DagNode> {
    async function* made() {
      for (const { name, cid, dagBytes } of entries) yield async () => ({ path: name, cid, size: BigInt(dagBytes) })
    }
    const options = { ...this.#options, wrapWithDirectory: true, dagBuilder: made }
    return this.#last(importer([], this.#store(put), options))
  }

  #store(put: PutBlock): WritableStorage {
    return {
      put: async (cid, bytes) => {
        const made = { cid, bytes: bytes as Uint8Array }
        const block = this.#rehash?.remake(made) ?? made
        await put({ cid: block.cid.toString(), bytes: block.bytes })
        return cid
      }
    }
  }

  /** The root comes last. */
  async #last(results: AsyncIterable<ImportResult>): Promise<DagNode> {
    let root: ImportResult | undefined
    for await (const result of results) root = result
    if (root === undefined) throw new Error('the importer made nothing')
    return this.#rehash?.take(root.cid) ?? { cid: root.cid, dagBytes: Number(root.size) }
  }
}

type MadeNode = Awaited<ReturnType<FileLayout>>

function lean(layout: FileLayout): FileLayout {
  async function* leanLeaves(leaves: AsyncIterable<MadeNode> | Iterable<MadeNode>) {
    for await (const leaf of leaves) yield leanNode(leaf)
  }
  return (leaves, reduce) => layout(leanLeaves(leaves), async (children) => leanNode(await reduce(children)))
}

/** As far as its parent needs it: CID, size, and how much of the file it is. The only leaf of a file is its root, and stays as it is. */
function leanNode(node: MadeNode): MadeNode {
  if ('single' in node && node.single === true) return node
  const { cid, size, unixfs } = node
  if (unixfs === undefined) return { cid, size }
  const fileBytes = unixfs.fileSize()
  delete unixfs.data
  unixfs.blockSizes = [fileBytes]
  return { cid, size, unixfs }
}
