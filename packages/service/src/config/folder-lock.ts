/**
 * `cluster.lock`: one process at a time works in a configuration folder. Taken by the daemon for as long as it runs, and by `init` over a
 * folder that has a configuration.
 *
 * The lock must vanish with its process, however that ends: a pid in a file does not (pids are used again, and mean something else in each
 * container), and Node has no call for the locks of the operating system. SQLite, which is built into Node, takes exactly such a lock
 * on its file: an exclusive transaction holds an `fcntl` write lock until the process ends. Nothing is ever written, so the
 * file stays empty. IPFS Cluster locks the same file by `fcntl` too, all of it, so the two daemons keep each other out.
 *
 * The file stays when the lock is given back. To remove it would let two processes hold locks on two files of the same name.
 */

import { readFileSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { ConfigFolderError } from './errors.ts'
import { folderLayout } from './paths.ts'

export interface FolderLock {
  /** Gives the lock back; again is no error. */
  release(): void
}

/** Locks that are held. A database that nobody refers to would be collected as garbage, and its lock with it. */
const held = new Set<DatabaseSync>()

const busy = 5
const notADatabase = 26

/**
 * @param folder must exist
 * @throws {ConfigFolderError} `LOCKED` when another process, or another part of this one, has it; `LOCK_FAILED` when it cannot be asked for
 */
export function lockFolder(folder: string): FolderLock {
  const file = folderLayout(folder).lock
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(file, { timeout: 0 })
    // Without the journal in memory, an empty journal file would lie beside the lock.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (error) {
    database?.close()
    throw lockError(file, error)
  }
  const lock = database
  held.add(lock)
  return {
    release() {
      if (held.delete(lock)) lock.close()
    }
  }
}

function lockError(file: string, error: unknown): ConfigFolderError {
  const code: unknown = error instanceof Error && 'errcode' in error ? error.errcode : undefined
  if (code === busy) {
    const pid = holderOf(file)
    const who = pid === undefined ? 'another process' : pid === process.pid ? 'this process' : `process ${pid}`
    return new ConfigFolderError(
      'LOCKED',
      `cannot lock ${file}: ${who} has the lock. Only one quorate-service can work in a folder; stop the other one, or use another folder with --config`,
      { cause: error }
    )
  }
  const why =
    code === notADatabase
      ? 'it holds something that is not ours; move it away'
      : error instanceof Error
        ? error.message
        : String(error)
  return new ConfigFolderError('LOCK_FAILED', `cannot lock ${file}: ${why}`, { cause: error })
}

/** Who holds the lock, where the system tells (Linux, same container); for the message only. */
function holderOf(file: string): number | undefined {
  try {
    const inode = statSync(file).ino
    const line = readFileSync('/proc/locks', 'utf8')
      .split('\n')
      .find((entry) => entry.includes(`:${inode} `) && entry.includes('WRITE'))
    const pid = Number(/WRITE\s+(\d+)/.exec(line ?? '')?.[1])
    return pid > 0 ? pid : undefined
  } catch {
    return undefined
  }
}
