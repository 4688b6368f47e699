/**
 * A file system in memory that can stop at any operation and lose what was not synced, for the tests of the storage.
 *
 * It promises no more than `file-system.ts` says: unsynced writes survive a power cut in any part (none, all, a prefix, or any
 * set of 512-byte sectors), names survive only up to some point of what was done in their folder since its last sync, and a
 * file's sync does not save its name. `image` draws one of the possible outcomes from a seed.
 */

import type { FileSystem, OpenMode, WritableFile } from '../../src/storage/file-system.ts'
import { type Random, randomFrom } from './random.ts'

/** Thrown by the operation at which the machine stopped, and by every one after it. */
export class PowerCut extends Error {
  override readonly name = 'PowerCut'
}

type FileChange = { at: number; bytes: Uint8Array } | { truncate: number }

class FileNode {
  /** What a reader sees. */
  content: Uint8Array
  /** What is on disk for sure; `pending` came after it. */
  disk: Uint8Array
  pending: FileChange[] = []

  constructor(disk: Uint8Array) {
    this.content = disk
    this.disk = disk
  }
}

type NameChange = { add: string; node: Node } | { remove: string } | { rename: string; to: string }

class FolderNode {
  readonly names: Map<string, Node>
  /** The names that are on disk for sure; `pending` came after it. */
  disk: Map<string, Node>
  pending: NameChange[] = []

  constructor(disk: Map<string, Node>) {
    this.names = new Map(disk)
    this.disk = disk
  }

  change(change: NameChange): void {
    applyName(this.names, change)
    this.pending.push(change)
  }
}

type Node = FileNode | FolderNode

function applyName(names: Map<string, Node>, change: NameChange): void {
  if ('add' in change) {
    names.set(change.add, change.node)
  } else if ('remove' in change) {
    names.delete(change.remove)
  } else {
    const node = names.get(change.rename)
    names.delete(change.rename)
    if (node !== undefined) names.set(change.to, node)
  }
}

function applyChange(content: Uint8Array, change: FileChange): Uint8Array {
  const size = 'truncate' in change ? change.truncate : Math.max(content.length, change.at + change.bytes.length)
  const next = new Uint8Array(size)
  next.set(content.subarray(0, size))
  if ('bytes' in change) next.set(change.bytes, change.at)
  return next
}

const errorWith = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code })

const SECTOR = 512

/** One of the ways in which an unsynced change may end up on disk. */
function survivor(content: Uint8Array, change: FileChange, random: Random): Uint8Array {
  const fate = random.below(4)
  if (fate === 0) return content
  if (fate === 1) return applyChange(content, change)
  if ('truncate' in change) return content
  if (fate === 2)
    return applyChange(content, {
      at: change.at,
      bytes: change.bytes.subarray(0, random.below(change.bytes.length + 1))
    })
  let result = content
  for (let from = 0; from < change.bytes.length; ) {
    const to = Math.min(change.bytes.length, from + SECTOR - ((change.at + from) % SECTOR))
    if (random.below(2) === 0)
      result = applyChange(result, { at: change.at + from, bytes: change.bytes.subarray(from, to) })
    from = to
  }
  return result
}

function surviving(node: Node, random: Random): Node {
  if (node instanceof FileNode)
    return new FileNode(node.pending.reduce((content, change) => survivor(content, change, random), node.disk))
  const names = new Map(node.disk)
  for (const change of node.pending.slice(0, random.below(node.pending.length + 1))) applyName(names, change)
  return new FolderNode(new Map([...names].map(([name, child]) => [name, surviving(child, random)])))
}

function copyOf(node: Node): Node {
  if (node instanceof FileNode) return new FileNode(node.content)
  return new FolderNode(new Map([...node.names].map(([name, child]) => [name, copyOf(child)])))
}

export class CrashFileSystem implements FileSystem {
  /** How many operations that change something were begun. */
  operations = 0
  /** The number of the operation at which the power goes; it may or may not still have an effect. */
  cutAt = Number.POSITIVE_INFINITY
  /** The number of the operation that fails with EIO; if it is a sync or a durable write of a file, the data are dropped, as Linux does (T51). */
  failAt = Number.POSITIVE_INFINITY
  readonly #root: FolderNode

  constructor(root: FolderNode = new FolderNode(new Map())) {
    this.#root = root
  }

  /** What the disk holds after a power cut now. */
  image(seed: number): CrashFileSystem {
    return new CrashFileSystem(surviving(this.#root, randomFrom(seed)) as FolderNode)
  }

  /** What the files hold, as if the process alone had died: nothing is lost, and all is durable. */
  copy(): CrashFileSystem {
    return new CrashFileSystem(copyOf(this.#root) as FolderNode)
  }

  /** Paths of all files. */
  files(): string[] {
    const walk = (node: FolderNode, path: string): string[] =>
      [...node.names].flatMap(([name, child]) =>
        child instanceof FolderNode ? walk(child, `${path}/${name}`) : [`${path}/${name}`]
      )
    return walk(this.#root, '').sort()
  }

  /** Changes a file behind the back of the code under test. */
  damage(path: string, change: (content: Uint8Array) => Uint8Array | undefined): void {
    const { folder, name } = this.#parent(path)
    const node = folder.names.get(name) as FileNode
    const content = change(Uint8Array.from(node.content))
    if (content === undefined) folder.names.delete(name)
    else folder.names.set(name, new FileNode(content))
    folder.disk = new Map(folder.names)
  }

  async makeFolder(path: string): Promise<void> {
    this.#begin()
    let folder = this.#root
    const made: FolderNode[] = []
    for (const name of path.split('/').filter((part) => part !== '')) {
      const child = folder.names.get(name) ?? new FolderNode(new Map())
      if (!(child instanceof FolderNode)) throw errorWith('ENOTDIR', path)
      if (!folder.names.has(name)) folder.change({ add: name, node: child })
      made.push(folder)
      folder = child
    }
    await this.#end()
    for (const parent of made) syncNames(parent)
  }

  async list(path: string): Promise<string[] | undefined> {
    await this.#read()
    const node = this.#find(path)
    return node instanceof FolderNode ? [...node.names.keys()].sort() : undefined
  }

  async readFile(path: string): Promise<Uint8Array | undefined> {
    await this.#read()
    const node = this.#find(path)
    return node instanceof FileNode ? Uint8Array.from(node.content) : undefined
  }

  async readAt(path: string, position: number, bytes: number): Promise<Uint8Array | undefined> {
    return (await this.readFile(path))?.subarray(position, position + bytes)
  }

  async size(path: string): Promise<number | undefined> {
    return (await this.readFile(path))?.length
  }

  async open(path: string, mode: OpenMode, durable: boolean): Promise<WritableFile> {
    const { folder, name } = this.#parent(path)
    const found = folder.names.get(name)
    if (mode === 'update') {
      await this.#read()
      if (!(found instanceof FileNode)) throw errorWith('ENOENT', path)
      return this.#file(found, durable)
    }
    this.#begin()
    if (found !== undefined) throw errorWith('EEXIST', path)
    const node = new FileNode(new Uint8Array(0))
    folder.change({ add: name, node })
    await this.#end()
    return this.#file(node, durable)
  }

  async rename(from: string, to: string): Promise<void> {
    this.#begin()
    const source = this.#parent(from)
    const target = this.#parent(to)
    if (source.folder !== target.folder) throw errorWith('EXDEV', from)
    if (!source.folder.names.has(source.name)) throw errorWith('ENOENT', from)
    const replaced = target.folder.names.get(target.name)
    if (replaced instanceof FolderNode && replaced.names.size > 0) throw errorWith('ENOTEMPTY', to)
    source.folder.change({ rename: source.name, to: target.name })
    await this.#end()
  }

  async remove(path: string): Promise<void> {
    this.#begin()
    const { folder, name } = this.#parent(path)
    if (folder.names.get(name) instanceof FolderNode) throw errorWith('EISDIR', path)
    if (folder.names.has(name)) folder.change({ remove: name })
    await this.#end()
  }

  async removeFolder(path: string): Promise<void> {
    this.#begin()
    const { folder, name } = this.#parent(path)
    const node = folder.names.get(name)
    if (node instanceof FolderNode && node.names.size > 0) throw errorWith('ENOTEMPTY', path)
    if (node !== undefined) folder.change({ remove: name })
    await this.#end()
  }

  async syncFolder(path: string): Promise<void> {
    this.#begin()
    const node = this.#find(path)
    if (!(node instanceof FolderNode)) throw errorWith('ENOENT', path)
    await this.#end()
    syncNames(node)
  }

  #file(node: FileNode, durable: boolean): WritableFile {
    let open = true
    const requireOpen = (): void => {
      if (!open) throw errorWith('EBADF', 'a closed file')
    }
    const change = async (next: FileChange): Promise<void> => {
      requireOpen()
      this.#begin()
      node.content = applyChange(node.content, next)
      node.pending.push(next)
      await this.#end(() => node.pending.pop())
      if (durable) syncContent(node)
    }
    return {
      write: (buffers, position) => change({ at: position, bytes: Uint8Array.from(Buffer.concat(buffers)) }),
      truncate: (bytes) => change({ truncate: bytes }),
      sync: async () => {
        requireOpen()
        this.#begin()
        await this.#end(() => {
          node.pending = []
        })
        syncContent(node)
      },
      close: async () => {
        open = false
      }
    }
  }

  #begin(): void {
    if (this.operations >= this.cutAt) throw new PowerCut('The power is off')
    this.operations += 1
  }

  /** Lets others run, as a real operation would, and then stops or fails if it is time to. */
  async #end(drop?: () => void): Promise<void> {
    const number = this.operations
    await Promise.resolve()
    if (number === this.failAt) {
      drop?.()
      throw errorWith('EIO', 'the disk')
    }
    if (this.operations >= this.cutAt) throw new PowerCut('The power went off')
  }

  async #read(): Promise<void> {
    await Promise.resolve()
    if (this.operations >= this.cutAt) throw new PowerCut('The power is off')
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root
    for (const name of path.split('/').filter((part) => part !== '')) {
      node = node instanceof FolderNode ? node.names.get(name) : undefined
    }
    return node
  }

  #parent(path: string): { folder: FolderNode; name: string } {
    const at = path.lastIndexOf('/')
    const folder = this.#find(path.slice(0, at))
    if (!(folder instanceof FolderNode)) throw errorWith('ENOENT', path)
    return { folder, name: path.slice(at + 1) }
  }
}

function syncContent(node: FileNode): void {
  node.disk = node.pending.reduce(applyChange, node.disk)
  node.pending = []
}

function syncNames(node: FolderNode): void {
  for (const change of node.pending) applyName(node.disk, change)
  node.pending = []
}
