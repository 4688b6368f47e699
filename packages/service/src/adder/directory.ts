/**
 * The directories of an upload, kept as names and CIDs until all files are there. Called by `import-files.ts`.
 */

import { AddError } from './errors.ts'
import type { DagNode, NamedNode } from './unixfs.ts'

/** Makes the node of one directory, and yields on the way. */
type MakeDirectory<T> = (entries: readonly NamedNode[], path: string) => AsyncGenerator<T, DagNode>

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

  /** Makes this directory and those below it, children before parents and by name among each other. */
  async *make<T>(path: string, make: MakeDirectory<T>): AsyncGenerator<T, DagNode> {
    const entries: NamedNode[] = []
    for (const [name, entry] of [...this.#entries].sort(byName)) {
      const entryPath = path === '' ? name : `${path}/${name}`
      entries.push({ name, ...(entry instanceof Directory ? yield* entry.make(entryPath, make) : entry) })
    }
    return yield* make(entries, path)
  }
}

/** In the order of their UTF-8 bytes, as directories are stored. */
function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
