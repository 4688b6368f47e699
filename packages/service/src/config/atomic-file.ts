/**
 * Replaces a file in one step: written under another name, flushed, renamed, and the folder flushed. After a crash there is either the old
 * file or the new one. Called by everything in `config/` that writes, and for the small files of `daemon/`.
 */

import { randomBytes } from 'node:crypto'
import { open, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * @param path a symbolic link is followed: the file that it leads to is replaced, and the link stays
 * @param options.mode permissions of the file; secrets have 0600
 * @param options.keepMode leave the permissions of a file that is there as they are
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  options: { readonly mode: number; readonly keepMode?: boolean }
): Promise<void> {
  const present = await stat(path).catch(missingIsUndefined)
  const file = present === undefined ? path : await realpath(path)
  const mode = present !== undefined && options.keepMode === true ? present.mode & 0o777 : options.mode
  // In the same folder, since a rename does not cross file systems; a name of its own, so that two writers do not share it.
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const handle = await open(temporary, 'wx', mode)
    try {
      // What `open` was given is cut down by the umask, and a mode that is kept must not be.
      if (present !== undefined) await handle.chmod(mode)
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(dirname(file))
}

function missingIsUndefined(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}

/** Makes renames in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } catch (error) {
    // Some file systems refuse to flush a folder; there a rename is as durable as it gets.
    if (!(error instanceof Error && 'code' in error && (error.code === 'EINVAL' || error.code === 'ENOTSUP')))
      throw error
  } finally {
    await handle.close()
  }
}
