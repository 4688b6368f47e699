/**
 * What a simulated disk holds: for each file what a reader sees (the page cache), what would be there after a power cut (the platter), and the changes
 * in between; for each folder the same of its names. Promises what `storage/file-system.ts` says of an operating system, and no more: changes
 * that were not synced survive a power cut in any part, torn at sectors, and names only up to some point of what was done in their folder.
 *
 * Damage is laid over what is read, and never changes the platter itself: the judges read the platter, and so know what ought to be there.
 * Used by `simulated-file-system.ts`, which has the operations, by `disk-reader.ts` and by `disk-nemesis.ts`.
 */

import type { Prng } from '../prng.ts'

const SECTOR_BYTES = 512

/** Bytes that grow. */
export class Content {
  length = 0
  #bytes = new Uint8Array(256)

  static of(bytes: Uint8Array): Content {
    const content = new Content()
    content.write(0, bytes)
    return content
  }

  /** What is there now; valid until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.length)
  }

  write(at: number, bytes: Uint8Array): void {
    const end = at + bytes.length
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#bytes.length))
      larger.set(this.view())
      this.#bytes = larger
    }
    // What lay beyond an earlier end may not come back.
    if (at > this.length) this.#bytes.fill(0, this.length, at)
    this.#bytes.set(bytes, at)
    this.length = Math.max(this.length, end)
  }

  truncate(length: number): void {
    if (length > this.length) this.#bytes.fill(0, this.length, length)
    this.length = length
  }
}

export type FileChange =
  | { readonly type: 'write'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly type: 'truncate'; readonly length: number }

function apply(content: Content, change: FileChange): void {
  if (change.type === 'write') content.write(change.at, change.bytes)
  else content.truncate(change.length)
}

/** Damage: what is read in place of what was written. */
export type Damage =
  | { readonly type: 'bytes'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly type: 'cut'; readonly length: number }

export class FileNode {
  /** What a reader sees, damage aside. */
  cached = new Content()
  readonly platter = new Content()
  pending: FileChange[] = []
  damages: Damage[] = []
  /** Counts changes of the platter. */
  version = 0
  /** Counts those that were more than bytes added at its end. */
  rewrites = 0

  change(change: FileChange): void {
    apply(this.cached, change)
    this.pending.push(change)
    // New bytes in the place of damaged ones are sound.
    if (this.damages.length > 0) this.damages = this.damages.filter((damage) => !overwrites(change, damage))
  }

  /** All that was changed is durable. */
  sync(): void {
    for (const change of this.pending) this.#settle(change)
    this.pending = []
  }

  /** The power went: of each change that was not synced, nothing, all, a beginning, or any set of sectors is there. */
  lose(prng: Prng): void {
    for (const change of this.pending) {
      const fate = prng.below(4)
      if (fate === 1) this.#settle(change)
      else if (fate >= 2 && change.type === 'write') this.#tear(change.at, change.bytes, fate === 2, prng)
    }
    this.pending = []
    this.cached = Content.of(this.platter.view())
  }

  #tear(at: number, bytes: Uint8Array, fromBeginning: boolean, prng: Prng): void {
    if (fromBeginning) {
      this.#settle({ type: 'write', at, bytes: bytes.subarray(0, prng.below(bytes.length + 1)) })
      return
    }
    for (let from = 0; from < bytes.length; ) {
      const to = Math.min(bytes.length, from + SECTOR_BYTES - ((at + from) % SECTOR_BYTES))
      if (prng.below(2) === 0) this.#settle({ type: 'write', at: at + from, bytes: bytes.subarray(from, to) })
      from = to
    }
  }

  #settle(change: FileChange): void {
    this.version++
    if (change.type === 'truncate' || change.at < this.platter.length) this.rewrites++
    apply(this.platter, change)
  }

  read(): Uint8Array {
    const bytes = Uint8Array.from(this.cached.view())
    let length = bytes.length
    for (const damage of this.damages) {
      if (damage.type === 'cut') length = Math.min(length, damage.length)
      else if (damage.at < bytes.length) bytes.set(damage.bytes.subarray(0, bytes.length - damage.at), damage.at)
    }
    return bytes.subarray(0, length)
  }

  /** The file as it would be found after a power cut. */
  copy(): FileNode {
    const node = new FileNode()
    node.platter.write(0, this.platter.view())
    node.cached.write(0, this.platter.view())
    return node
  }
}

function overwrites(change: FileChange, damage: Damage): boolean {
  if (change.type === 'truncate') return damage.type === 'bytes' && damage.at >= change.length
  if (damage.type === 'cut') return change.at + change.bytes.length > damage.length
  return change.at < damage.at + damage.bytes.length && damage.at < change.at + change.bytes.length
}

export type NameChange =
  | { readonly type: 'add'; readonly name: string; readonly node: FileNode | FolderNode }
  | { readonly type: 'remove'; readonly name: string }
  | { readonly type: 'rename'; readonly name: string; readonly to: string }

export class FolderNode {
  readonly names = new Map<string, FileNode | FolderNode>()
  readonly durableNames = new Map<string, FileNode | FolderNode>()
  pending: NameChange[] = []
  /** Counts changes of the durable names. */
  version = 0

  change(change: NameChange): void {
    rename(this.names, change)
    this.pending.push(change)
  }

  sync(): void {
    this.#settle(this.pending.length)
  }

  #settle(count: number): void {
    for (const change of this.pending.slice(0, count)) rename(this.durableNames, change)
    if (count > 0) this.version++
    this.pending = []
  }

  /** The power went: the names are those of some moment since the last sync. */
  lose(prng: Prng): void {
    this.#settle(prng.below(this.pending.length + 1))
    this.names.clear()
    for (const [name, node] of this.durableNames) {
      node.lose(prng)
      this.names.set(name, node)
    }
  }

  copy(): FolderNode {
    const folder = new FolderNode()
    for (const [name, node] of this.durableNames) {
      const copy = node.copy()
      folder.names.set(name, copy)
      folder.durableNames.set(name, copy)
    }
    return folder
  }

  /** The operating system wrote back on its own what nobody synced, here and below. */
  writeBack(prng: Prng): void {
    if (prng.below(2) === 0) this.sync()
    for (const node of this.names.values()) {
      if (node instanceof FolderNode) node.writeBack(prng)
      else if (prng.below(2) === 0) node.sync()
    }
  }
}

function rename(names: Map<string, FileNode | FolderNode>, change: NameChange): void {
  if (change.type === 'add') {
    names.set(change.name, change.node)
    return
  }
  const node = names.get(change.name)
  names.delete(change.name)
  if (change.type === 'rename' && node !== undefined) names.set(change.to, node)
}

/** The parts of a path. */
export const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '')

/** What stands at `path` below `root`, in the names as a reader sees them. */
export function findNode(root: FolderNode, path: string): FileNode | FolderNode | undefined {
  let node: FileNode | FolderNode | undefined = root
  for (const name of partsOf(path)) node = node instanceof FolderNode ? node.names.get(name) : undefined
  return node
}
