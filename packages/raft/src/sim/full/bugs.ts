/**
 * Bugs put back on purpose outside the core: in how the driver waits for the disk, in the storage, in what a service does with a machine that lost its
 * data, in the application. Nearly all are said at the ports (`../../ports.ts`, `../../storage/file-system.ts`), by a wrapper around what is sound, so that
 * the code that ships knows nothing of them. The T numbers are those of the core's comments. The core's own are in `../../core/mutations.ts`.
 */

import type { Index } from '../../core/types.ts'
import type { LoadedLog, LogContent, LogStorage, PersistBatch, SnapshotStore } from '../../ports.ts'
import type { FileSystem, WritableFile } from '../../storage/file-system.ts'

export const DRIVER_BUGS = [
  // T3: what waits for a write leaves when the write begins.
  'release-before-durable',
  // T7: nothing is ever synced.
  'never-synced',
  // T17: entries that were cut off are back after the next start, beyond those that replaced them.
  'ghost-tail',
  // T19: nobody asks whether the largest message can be carried.
  'frame-limit-unchecked',
  // T34: a machine that lost its data goes on under its name.
  'wiped-under-old-name',
  // T35: so does one whose disk was put back to an earlier state.
  'rolled-back-under-old-name',
  // T40: tidying up leaves the oldest snapshot.
  'newest-snapshot-pruned',
  // T41: what a snapshot consists of is not synced before it is taken for one.
  'snapshot-not-synced',
  // T41: names of files are not synced.
  'names-not-synced',
  // T42: the log stays beside a snapshot that was installed.
  'log-kept-beside-snapshot',
  // T43: the state and the index at which it stands are written one after the other.
  'state-index-apart',
  // T50: an answer leaves before the state is there.
  'answers-before-applied',
  // T51: a sync that failed is tried again.
  'failed-sync-retried',
  // T51: what is read at the start is taken for durable, though it may be in the page cache only.
  'page-cache-trusted',
  // T52: where a part of the log is missing, it ends.
  'hole-read-as-end',
  // T53: the copy of term and vote is left to itself.
  'vote-in-one-slot',
  // T54: a part of the log that cannot be read was never durable.
  'rot-taken-for-torn-tail',
  // T56: a write for which there was no room counts as done.
  'full-disk-ignored',
  // T58: files of another node are as good as one's own.
  'foreign-files-accepted'
] as const
export type DriverBug = (typeof DRIVER_BUGS)[number]

type Bugs = ReadonlySet<DriverBug>

const isFull = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOSPC'
const isFailed = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'EIO'

/** A file system with the bugs that concern one. */
export function withFileBugs(files: FileSystem, bugs: Bugs): FileSystem {
  const skipsFolderSync = (path: string): boolean =>
    bugs.has('never-synced') ||
    bugs.has('names-not-synced') ||
    (bugs.has('snapshot-not-synced') && path.includes('/snapshots'))
  return {
    makeFolder: (path) => files.makeFolder(path),
    list: (path) => files.list(path),
    readFile: (path) => files.readFile(path),
    readAt: (path, position, bytes) => files.readAt(path, position, bytes),
    size: (path) => files.size(path),
    rename: (from, to) => files.rename(from, to),
    remove: (path) => files.remove(path),
    removeFolder: (path) => files.removeFolder(path),
    syncFolder: async (path) => {
      if (!skipsFolderSync(path)) await files.syncFolder(path)
    },
    async open(path, mode, durable) {
      const synced = !bugs.has('never-synced') && !(bugs.has('snapshot-not-synced') && path.includes('/snapshots/'))
      let file = await files.open(path, mode, durable && synced)
      if (!synced) file = { ...methodsOf(file), sync: async () => {} }
      if (bugs.has('page-cache-trusted') && mode === 'update' && !durable && path.endsWith('.seg')) {
        file = { ...methodsOf(file), write: async () => {}, sync: async () => {} }
      }
      if (bugs.has('vote-in-one-slot') && path.endsWith('/hard-state')) file = withoutCopy(file)
      if (bugs.has('failed-sync-retried')) file = retrying(file)
      if (bugs.has('full-disk-ignored')) file = ignoringFull(file)
      return file
    }
  }
}

const methodsOf = (file: WritableFile): WritableFile => ({
  write: (buffers, position) => file.write(buffers, position),
  truncate: (bytes) => file.truncate(bytes),
  sync: () => file.sync(),
  close: () => file.close()
})

/** The first slot alone is written. */
function withoutCopy(file: WritableFile): WritableFile {
  return {
    ...methodsOf(file),
    write: async (buffers, position) => {
      if (position === 0) await file.write(buffers, position)
    }
  }
}

function retrying(file: WritableFile): WritableFile {
  const again = async (error: unknown): Promise<void> => {
    if (!isFailed(error)) throw error
    await file.sync()
  }
  return {
    ...methodsOf(file),
    write: (buffers, position) => file.write(buffers, position).catch(again),
    sync: () => file.sync().catch(again)
  }
}

function ignoringFull(file: WritableFile): WritableFile {
  return {
    ...methodsOf(file),
    write: (buffers, position) =>
      file.write(buffers, position).catch((error: unknown) => {
        if (!isFull(error)) throw error
      })
  }
}

/** What the entries cut off were, for as long as the machine lives: stands for the disk on which they were left. */
export interface GhostTail {
  entries: PersistBatch['entries']
}

export interface LogBugsInit {
  readonly open: () => LogStorage
  readonly files: FileSystem
  readonly folder: string
  readonly bugs: Bugs
  readonly ghost: GhostTail
}

/** A log with the bugs that concern one. */
export function withLogBugs(init: LogBugsInit): LogStorage {
  const { bugs } = init
  const touched: readonly DriverBug[] = [
    'release-before-durable',
    'ghost-tail',
    'log-kept-beside-snapshot',
    'hole-read-as-end',
    'rot-taken-for-torn-tail'
  ]
  return touched.some((bug) => bugs.has(bug)) ? new BuggyLog(init) : init.open()
}

class BuggyLog implements LogStorage {
  readonly #init: LogBugsInit
  #log: LogStorage
  /** Writes that nobody waits for. */
  #behind: Promise<void> = Promise.resolve()
  #loaded = false
  #entries: PersistBatch['entries'][number][] = []
  #baseIndex: Index = 0

  constructor(init: LogBugsInit) {
    this.#init = init
    this.#log = init.open()
  }

  async load(): Promise<LoadedLog> {
    const loaded = await this.#log.load()
    const { bugs, ghost } = this.#init
    const [fault] = loaded.faults
    if (fault !== undefined) {
      const absent = /missing|vanished|ends with commit|sound bytes/.test(fault.detail)
      if (bugs.has(absent ? 'hole-read-as-end' : 'rot-taken-for-torn-tail')) return this.#takeForWhole(loaded)
    }
    this.#loaded = true
    this.#baseIndex = loaded.base.index
    this.#entries = [...loaded.entries]
    if (!bugs.has('ghost-tail')) return loaded
    const lastIndex = loaded.base.index + loaded.entries.length
    const back = ghost.entries.filter(({ index }) => index > lastIndex)
    return back[0]?.index === lastIndex + 1 ? { ...loaded, entries: [...loaded.entries, ...back] } : loaded
  }

  /** What could be read is all there is: written anew, so that nothing tells of the rest. */
  async #takeForWhole({ hardState, base, entries }: LoadedLog): Promise<LoadedLog> {
    const { files, folder, open } = this.#init
    await this.#log.close()
    for (const name of (await files.list(folder)) ?? []) {
      if (name !== 'snapshots') await files.remove(`${folder}/${name}`)
    }
    this.#log = open()
    await this.#log.load()
    await this.#log.persist({ hardState, truncateFrom: undefined, entries: [] })
    await this.#log.reset(base)
    if (entries.length > 0) await this.#log.persist({ hardState: undefined, truncateFrom: undefined, entries })
    this.#loaded = true
    return { hardState, base, entries, faults: [] }
  }

  persist(batch: PersistBatch): Promise<void> {
    if (this.#init.bugs.has('ghost-tail')) this.#remember(batch)
    if (!this.#init.bugs.has('release-before-durable')) return this.#log.persist(batch)
    return this.#unawaited(() => this.#log.persist(batch))
  }

  #remember({ truncateFrom, entries }: PersistBatch): void {
    const { ghost } = this.#init
    const from = truncateFrom ?? entries[0]?.index
    if (from !== undefined && from <= this.#baseIndex + this.#entries.length) {
      ghost.entries = this.#entries.slice(from - this.#baseIndex - 1)
      this.#entries.length = from - this.#baseIndex - 1
    }
    this.#entries.push(...entries)
  }

  /** Keeps the order, and lets nobody wait. */
  #unawaited(write: () => Promise<void>): Promise<void> {
    this.#behind = this.#behind.then(write)
    this.#behind.catch(() => {})
    return Promise.resolve()
  }

  async compact(...[base]: Parameters<LogStorage['compact']>): Promise<void> {
    await this.#behind
    await this.#log.compact(base)
    this.#entries = this.#entries.filter(({ index }) => index > base.index)
    this.#baseIndex = base.index
  }

  async reset(...[base]: Parameters<LogStorage['reset']>): Promise<void> {
    await this.#behind
    // A first configuration, or a start that finishes an installation, comes before anything else is asked of the log.
    if (this.#init.bugs.has('log-kept-beside-snapshot') && this.#loaded && base.index > 0) return
    await this.#log.reset(base)
    this.#entries = []
    this.#baseIndex = base.index
    this.#init.ghost.entries = []
  }

  async replace(content: LogContent): Promise<void> {
    await this.#log.replace?.(content)
  }

  async close(): Promise<void> {
    await this.#behind.catch(() => {})
    await this.#log.close()
  }
}

/** A store of snapshots with the bug that concerns one. */
export function withSnapshotBugs(
  store: SnapshotStore,
  remove: (id: string) => Promise<void>,
  bugs: Bugs
): SnapshotStore {
  if (!bugs.has('newest-snapshot-pruned')) return store
  return {
    latest: () => store.latest(),
    create: (base) => store.create(base),
    receive: (manifest) => store.receive(manifest),
    open: (id) => store.open(id),
    readChunk: (manifest, chunk) => store.readChunk(manifest, chunk),
    discard: async (manifest) => store.discard?.(manifest),
    prune: async () => {
      const newest = await store.latest()
      if (newest !== undefined) await remove(newest.id)
    }
  }
}
