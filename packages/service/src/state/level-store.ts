/**
 * Opens the LevelDB databases of a peer, through `datastore-level`, with the settings that were measured best, and adds the two
 * things that its interface has no word for: reading a key range page by page, and making all that was written durable.
 * Used by `state/` and `tracker/`.
 */

import { LevelDatastore } from 'datastore-level'
import { Key } from 'interface-datastore'

type LevelDatabase = LevelDatastore['db']
/** A consistent view of a database. */
export type LevelSnapshot = ReturnType<LevelDatabase['snapshot']>

/** Entries fetched from LevelDB's thread at a time: enough to hide the hop, few enough to bound memory. */
const PAGE_ENTRIES = 512

interface Compactable {
  compactRange(start: string, end: string): Promise<void>
}

/** `key` is not cleaned: it must begin with `/` and hold no `//`. */
export function levelKey(key: string): Key {
  return new Key(key, false)
}

/** @throws {Error} when the folder is in use by another process, or the database damaged; its causes carry the codes of LevelDB */
export async function openLevelStore(folder: string): Promise<LevelDatastore> {
  // The pinset's values are short and CIDs do not compress. 16 MB of write buffer halves the number of files at level 0 at full
  // speed; two may be held. Files of 4 MB and 200 of them keep mapped memory within bounds at ten million pins.
  const store = new LevelDatastore(folder, {
    compression: false,
    cacheSize: 32 * 1024 * 1024,
    writeBufferSize: 16 * 1024 * 1024,
    maxFileSize: 4 * 1024 * 1024,
    maxOpenFiles: 200
  })
  try {
    await store.open()
  } catch (error) {
    // The datastore keeps the reason to itself; the database tells it to who opens it directly.
    const reason = await store.db.open().then(
      () => error,
      (cause: unknown) => cause
    )
    throw new Error(`Cannot open the database in ${folder}: ${reasonsOf(reason)}`, { cause: reason })
  }
  return store
}

function reasonsOf(error: unknown): string {
  const reasons: string[] = []
  for (let at = error; at instanceof Error; at = at.cause) reasons.push(at.message)
  return reasons.join(': ')
}

/** The value, or undefined. */
export async function readKey(
  store: LevelDatastore,
  key: string,
  snapshot?: LevelSnapshot
): Promise<Uint8Array | undefined> {
  return await store.db.get<string, Uint8Array>(key, snapshot === undefined ? {} : { snapshot })
}

/** Entries whose keys begin with `prefix` (which ends with `/`), in byte order, from one consistent view. */
export async function* scan(
  store: LevelDatastore,
  prefix: string,
  options: { after?: string; snapshot?: LevelSnapshot; signal?: AbortSignal } = {}
): AsyncGenerator<[key: string, value: Uint8Array]> {
  const { after, snapshot, signal } = options
  const iterator = store.db.iterator<string, Uint8Array>({
    // `0` is the character that follows `/`.
    ...(after === undefined ? { gte: prefix } : { gt: after }),
    lt: `${prefix.slice(0, -1)}0`,
    ...(snapshot === undefined ? {} : { snapshot })
  })
  try {
    for (;;) {
      signal?.throwIfAborted()
      const page = await iterator.nextv(PAGE_ENTRIES)
      if (page.length === 0) return
      yield* page
    }
  } finally {
    await iterator.close()
  }
}

/**
 * Resolves once every write that resolved before is on the disk.
 *
 * A write with `sync` is not enough for that: it syncs the log file in use, and LevelDB changes to a new log file whenever its
 * write buffer is full, without a sync of the old one. A compaction, even of a range without a key, first writes out the buffer
 * into a table, which LevelDB does sync, and waits for an older one that is being written. It reports no error of its own; the
 * write after it does, since LevelDB refuses writes after a failed compaction.
 */
export async function makeDurable(store: LevelDatastore): Promise<void> {
  // `Level` is typed for browsers too, which cannot compact.
  await (store.db as unknown as Compactable).compactRange('/~', '/~~')
  await store.db.batch<string, Uint8Array>([{ type: 'del', key: '/~' }], { sync: true })
}
