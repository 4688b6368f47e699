/**
 * The directories of an upload, kept as names and CIDs until all files are there. A directory whose links take 256 KiB or more
 * is written as a tree of shards (HAMT), by Kubo's rule and in its form.
 * @see https://specs.ipfs.tech/unixfs/#hamt-sharded-directory
 */

import { AddError } from './errors.ts'
import { murmur3x64 } from './murmur3.ts'
import { byName, type DagNode, type NamedNode, type NodeWriter } from './unixfs-node.ts'

const FANOUT = 256
/** Compared with the sum over all entries of the lengths of name and CID. */
const SHARDING_THRESHOLD_BYTES = 256 * 1024

export class Directory {
  readonly #entries = new Map<string, DagNode | Directory>()

  /** Adds a file below this directory; makes the directories on the way. @throws {AddError} when the path is taken */
  addFile(path: readonly string[], node: DagNode): void {
    const parent = this.directoryAt(path.slice(0, -1))
    const name = path.at(-1) as string
    if (parent.#entries.has(name))
      throw new AddError('invalid-content', `the upload has more than one entry "${path.join('/')}"`)
    parent.#entries.set(name, node)
  }

  /** Makes it if need be. @throws {AddError} when a file is in the way */
  directoryAt(path: readonly string[]): Directory {
    let directory: Directory = this
    for (const name of path) {
      let next = directory.#entries.get(name)
      if (next === undefined) {
        next = new Directory()
        directory.#entries.set(name, next)
      }
      if (!(next instanceof Directory))
        throw new AddError('invalid-content', `the upload has "${path.join('/')}" below a file`)
      directory = next
    }
    return directory
  }

  /** Makes the nodes of this directory and of those below it; yields each, children before parents, this one last with its own name. */
  *write(writer: NodeWriter, name: string): Generator<NamedNode, DagNode> {
    const entries: NamedNode[] = []
    const sorted = [...this.#entries].map(([entryName, entry]) => ({ name: entryName, entry })).sort(byName)
    for (const { name: entryName, entry } of sorted) {
      const path = name === '' ? entryName : `${name}/${entryName}`
      const node = entry instanceof Directory ? yield* entry.write(writer, path) : entry
      entries.push({ ...node, name: entryName })
    }
    const node = writeDirectory(entries, writer)
    yield { ...node, name }
    return node
  }
}

function writeDirectory(entries: readonly NamedNode[], writer: NodeWriter): DagNode {
  const estimatedBytes = entries.reduce((sum, entry) => sum + Buffer.byteLength(entry.name) + entry.cid.bytes.length, 0)
  if (estimatedBytes < SHARDING_THRESHOLD_BYTES) return writer.directory(entries)
  const hashed = entries.map((entry) => ({ entry, hash: murmur3x64(Buffer.from(entry.name)) }))
  return writeShard(hashed, 0, writer)
}

interface HashedEntry {
  readonly entry: NamedNode
  readonly hash: Uint8Array
}

/** Level by level one byte of the hash picks the slot. A slot with one entry links to it, one with more to a shard of the next level. */
function writeShard(entries: readonly HashedEntry[], level: number, writer: NodeWriter): DagNode {
  const slots: HashedEntry[][] = Array.from({ length: FANOUT }, () => [])
  for (const hashed of entries) {
    const slot = hashed.hash[level]
    if (slot === undefined)
      throw new AddError('invalid-content', `cannot shard a directory: too many names hash like "${hashed.entry.name}"`)
    slots[slot]?.push(hashed)
  }
  const links: NamedNode[] = []
  let occupied = 0n
  for (const [index, slot] of slots.entries()) {
    const first = slot[0]
    if (first === undefined) continue
    occupied |= 1n << BigInt(index)
    const prefix = index.toString(16).toUpperCase().padStart(2, '0')
    if (slot.length === 1) links.push({ ...first.entry, name: prefix + first.entry.name })
    else links.push({ ...writeShard(slot, level + 1, writer), name: prefix })
  }
  return writer.shard(links, occupied, FANOUT)
}
