/**
 * The file system of one process, over the disk of its machine (`platter.ts`): every operation takes time, and may fail. An operation has its effect on
 * what readers see when it begins, and on the platter when it ends, if it is one that makes durable; a crash in between leaves it undecided.
 *
 * Faults: slow and stalled operations, writes and syncs that fail (their data are gone from the platter, and the next sync succeeds, as on
 * Linux: T51), and a disk that is full for a while (a write then leaves a beginning behind: T56). Made by `full-node.ts` for each life.
 */

import type { FileSystem, OpenMode, WritableFile } from '../../storage/file-system.ts'
import type { Prng } from '../prng.ts'
import type { DiskProfile } from '../swarm.ts'
import { type FileChange, FileNode, FolderNode, findNode, partsOf } from './platter.ts'
import type { SimulatedProcess } from './process.ts'

/** The disk of a machine; outlives its processes. */
export interface MachineDisk {
  root: FolderNode
  /** No file can grow. */
  full: boolean
}

export interface FileSystemInit {
  readonly disk: MachineDisk
  readonly process: SimulatedProcess
  readonly prng: Prng
  readonly profile: () => DiskProfile
  /** This machine's disk is the slowest. */
  readonly slowest: boolean
  /** The platter has changed. */
  readonly onDurable: () => void
  /** An operation failed, by the will of the simulator. */
  readonly onFault: (code: string) => void
}

/** No operation takes longer for the slowness of the disk alone. */
const SLOWEST_US = 300_000
/** A read, or a change that waits for no platter. */
const QUICK_US = 5

const errorOf = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code })

export class SimulatedFileSystem implements FileSystem {
  readonly #init: FileSystemInit

  constructor(init: FileSystemInit) {
    this.#init = init
  }

  get #root(): FolderNode {
    return this.#init.disk.root
  }

  async makeFolder(path: string): Promise<void> {
    let folder = this.#root
    const parents: FolderNode[] = []
    for (const name of partsOf(path)) {
      const found = folder.names.get(name)
      if (found instanceof FileNode) throw errorOf('ENOTDIR', path)
      const child = found ?? new FolderNode()
      if (found === undefined) folder.change({ type: 'add', name, node: child })
      parents.push(folder)
      folder = child
    }
    await this.#durably()
    for (const parent of parents) parent.sync()
    this.#init.onDurable()
  }

  async list(path: string): Promise<string[] | undefined> {
    await this.#quickly()
    const node = findNode(this.#root, path)
    return node instanceof FolderNode ? [...node.names.keys()].sort() : undefined
  }

  async readFile(path: string): Promise<Uint8Array | undefined> {
    await this.#quickly()
    const node = findNode(this.#root, path)
    return node instanceof FileNode ? node.read() : undefined
  }

  async readAt(path: string, position: number, bytes: number): Promise<Uint8Array | undefined> {
    return (await this.readFile(path))?.subarray(position, position + bytes)
  }

  async size(path: string): Promise<number | undefined> {
    return (await this.readFile(path))?.length
  }

  async open(path: string, mode: OpenMode, durable: boolean): Promise<WritableFile> {
    const { folder, name } = this.#place(path)
    const found = folder.names.get(name)
    if (mode === 'update') {
      await this.#quickly()
      if (!(found instanceof FileNode)) throw errorOf('ENOENT', path)
      return this.#file(found, path, durable)
    }
    if (found !== undefined) throw errorOf('EEXIST', path)
    this.#requireRoom(path)
    const node = new FileNode()
    folder.change({ type: 'add', name, node })
    await this.#quickly()
    return this.#file(node, path, durable)
  }

  async rename(from: string, to: string): Promise<void> {
    const source = this.#place(from)
    const target = this.#place(to)
    if (source.folder !== target.folder) throw errorOf('EXDEV', from)
    if (!source.folder.names.has(source.name)) throw errorOf('ENOENT', from)
    const replaced = target.folder.names.get(target.name)
    if (replaced instanceof FolderNode && replaced.names.size > 0) throw errorOf('ENOTEMPTY', to)
    source.folder.change({ type: 'rename', name: source.name, to: target.name })
    await this.#quickly()
  }

  async remove(path: string): Promise<void> {
    const { folder, name } = this.#place(path)
    if (folder.names.has(name)) folder.change({ type: 'remove', name })
    await this.#quickly()
  }

  async removeFolder(path: string): Promise<void> {
    const { folder, name } = this.#place(path)
    const node = folder.names.get(name)
    if (node instanceof FolderNode && node.names.size > 0) throw errorOf('ENOTEMPTY', path)
    if (node !== undefined) folder.change({ type: 'remove', name })
    await this.#quickly()
  }

  async syncFolder(path: string): Promise<void> {
    const node = findNode(this.#root, path)
    if (!(node instanceof FolderNode)) throw errorOf('ENOENT', path)
    await this.#durably()
    node.sync()
    this.#init.onDurable()
  }

  #file(node: FileNode, path: string, durable: boolean): WritableFile {
    let open = true
    const requireOpen = (): void => {
      if (!open) throw errorOf('EBADF', path)
    }
    const sync = async (): Promise<void> => {
      await this.#durably()
      if (this.#init.prng.chance(this.#init.profile().failure)) {
        // The pages are marked clean, and are not on the platter.
        node.pending = []
        throw this.#fault('EIO', path)
      }
      node.sync()
      this.#init.onDurable()
    }
    const change = async (next: FileChange): Promise<void> => {
      requireOpen()
      node.change(next)
      if (durable) await sync()
      else await this.#quickly()
    }
    return {
      write: async (buffers, position) => {
        const bytes = Uint8Array.from(Buffer.concat(buffers))
        if (this.#init.disk.full && position + bytes.length > node.cached.length) {
          requireOpen()
          const room = bytes.subarray(0, this.#init.prng.below(bytes.length))
          node.change({ type: 'write', at: position, bytes: room })
          await this.#quickly()
          throw this.#fault('ENOSPC', path)
        }
        await change({ type: 'write', at: position, bytes })
      },
      truncate: (length) => change({ type: 'truncate', length }),
      sync: async () => {
        requireOpen()
        await sync()
      },
      close: async () => {
        open = false
      }
    }
  }

  #requireRoom(path: string): void {
    if (this.#init.disk.full) throw this.#fault('ENOSPC', path)
  }

  #fault(code: string, path: string): Error {
    this.#init.onFault(code)
    return errorOf(code, path)
  }

  #quickly(): Promise<void> {
    return this.#init.process.delay(QUICK_US)
  }

  #durably(): Promise<void> {
    const { prng, process, slowest } = this.#init
    const { minWriteUs, meanWriteUs, stall, stallUs, slowestFactor } = this.#init.profile()
    let delayUs = minWriteUs + prng.exponential(meanWriteUs)
    if (slowest) delayUs = Math.max(delayUs, Math.min(delayUs * slowestFactor, SLOWEST_US))
    if (prng.chance(stall)) delayUs += prng.below(stallUs)
    return process.delay(delayUs)
  }

  #place(path: string): { folder: FolderNode; name: string } {
    const at = path.lastIndexOf('/')
    const folder = findNode(this.#root, path.slice(0, at))
    if (!(folder instanceof FolderNode)) throw errorOf('ENOENT', path)
    return { folder, name: path.slice(at + 1) }
  }
}
