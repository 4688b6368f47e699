/**
 * Turns an upload into blocks: files, directories and symbolic links into UnixFS, with the CIDs that Kubo makes of the same options.
 * Yields the blocks as they are made, children before parents, and what a client is told of its upload, in IPFS Cluster's order: files as they
 * come (with progress, if asked), then directories from the bottom up, the root last. Memory does not grow with the size of a file.
 * Called by `add-files.ts`.
 */

import type { AddedOutput, AddOptions, CidString } from '@quorate/client/api'
import type { AbortOptions, AddEntry, IpfsBlock } from '../ports.ts'
import { importCar } from './car.ts'
import { Directory } from './directory.ts'
import { AddError } from './errors.ts'
import { handOff } from './hand-off.ts'
import { type DagNode, UnixfsWriter } from './unixfs.ts'

/** A client sees progress at least this often. */
const PROGRESS_BYTES = 256 * 1024
const MAX_SYMLINK_BYTES = 64 * 1024

export type ImportOptions = Pick<
  AddOptions,
  'layout' | 'chunker' | 'hash' | 'format' | 'wrapWithDirectory' | 'progress' | 'cidVersion' | 'rawLeaves'
>

export type ImportEvent = { readonly block: IpfsBlock } | { readonly output: AddedOutput }

/**
 * Returns the root. Without wrapping and with several entries at the top that is the last one's.
 * @throws {AddError} `invalid-parameter` before anything is read, `invalid-content` when the upload cannot be expressed
 */
export async function* importFiles(
  entries: AsyncIterable<AddEntry>,
  options: ImportOptions,
  call: AbortOptions = {}
): AsyncGenerator<ImportEvent, CidString> {
  if (options.format === 'car') return yield* importCar(entries, options, call)
  return yield* new Importer(options, call.signal).run(entries)
}

class Importer {
  readonly #options: ImportOptions
  readonly #signal: AbortSignal | undefined
  readonly #writer: UnixfsWriter

  constructor(options: ImportOptions, signal: AbortSignal | undefined) {
    this.#options = options
    this.#signal = signal
    this.#writer = new UnixfsWriter(options)
  }

  async *run(entries: AsyncIterable<AddEntry>): AsyncGenerator<ImportEvent, CidString> {
    let tree: { readonly name: string; readonly directory: Directory } | undefined
    let root: DagNode | undefined
    for await (const entry of entries) {
      this.#signal?.throwIfAborted()
      const path = splitPath(entry.path)
      const top = this.#options.wrapWithDirectory ? '' : (path.shift() ?? '')
      // Without wrapping each entry at the top is an upload of its own, finished before the next one starts.
      if (tree !== undefined && tree.name !== top) {
        root = yield* this.#finish(tree.name, tree.directory)
        tree = undefined
      }
      if (entry.type === 'directory') {
        tree ??= { name: top, directory: new Directory() }
        tree.directory.directoryAt(path)
        for await (const _piece of entry.content) this.#signal?.throwIfAborted()
        continue
      }
      const node = entry.type === 'file' ? yield* this.#file(entry) : yield* this.#symlink(entry)
      yield { output: outputOf(entry.path, node) }
      if (path.length > 0) {
        tree ??= { name: top, directory: new Directory() }
        tree.directory.addFile(path, node)
      } else if (this.#options.wrapWithDirectory) {
        // Nothing to be known by in the wrapper but its own CID, as in Kubo.
        tree ??= { name: '', directory: new Directory() }
        tree.directory.addFile([node.cid.toString()], node)
      } else if (tree !== undefined)
        throw new AddError('invalid-content', `the upload has "${entry.path}" as a file and as a directory`)
      else root = node
    }
    if (tree !== undefined) root = yield* this.#finish(tree.name, tree.directory)
    if (root === undefined) {
      if (!this.#options.wrapWithDirectory) throw new AddError('invalid-content', 'the upload has no files')
      root = yield* this.#finish('', new Directory())
    }
    return root.cid.toString()
  }

  async *#file(entry: AddEntry): AsyncGenerator<ImportEvent, DagNode> {
    return yield* handOff<ImportEvent, DagNode>(async (emit) => {
      let bytes = 0
      let reportedBytes = 0
      const report = async () => {
        reportedBytes = bytes
        await emit({ output: { name: entry.path, cid: undefined, bytes, size: 0, allocations: [] } })
      }
      const onRead = (readBytes: number) => {
        bytes = readBytes
        // Not waited for: the block of what was read comes next, and that is.
        if (this.#options.progress && bytes - reportedBytes >= PROGRESS_BYTES) report().catch(() => undefined)
      }
      const node = await this.#writer.file(this.#abortable(entry.content), (block) => emit({ block }), onRead)
      if (this.#options.progress && bytes !== reportedBytes) await report()
      return node
    })
  }

  async *#symlink(entry: AddEntry): AsyncGenerator<ImportEvent, DagNode> {
    const parts: Uint8Array[] = []
    let bytes = 0
    for await (const part of this.#abortable(entry.content)) {
      bytes += part.length
      if (bytes > MAX_SYMLINK_BYTES)
        throw new AddError('invalid-content', `the target of symbolic link "${entry.path}" is too long`)
      parts.push(part)
    }
    let target: string
    try {
      target = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(parts))
    } catch (cause) {
      throw new AddError('invalid-content', `the target of symbolic link "${entry.path}" is not UTF-8`, { cause })
    }
    return yield* handOff<ImportEvent, DagNode>((emit) => this.#writer.symlink(target, (block) => emit({ block })))
  }

  async *#finish(name: string, directory: Directory): AsyncGenerator<ImportEvent, DagNode> {
    const writer = this.#writer
    return yield* directory.make<ImportEvent>(name, async function* make(entries, path) {
      const node = yield* handOff<ImportEvent, DagNode>((emit) => writer.directory(entries, (block) => emit({ block })))
      yield { output: outputOf(path, node) }
      return node
    })
  }

  async *#abortable(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of content) {
      this.#signal?.throwIfAborted()
      yield piece
    }
  }
}

function outputOf(name: string, node: DagNode): AddedOutput {
  return { name, cid: node.cid.toString(), bytes: 0, size: node.dagBytes, allocations: [] }
}

/** @throws {AddError} for a path that leads out of the upload */
function splitPath(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..')) throw new AddError('invalid-content', `"${path}" leads out of the upload`)
  return parts
}
