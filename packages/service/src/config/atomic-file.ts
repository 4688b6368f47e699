/**
 * Replaces a file in one step: written under another name, flushed, renamed, and the folder flushed. After a crash there is either the old
 * file or the new one. For the files that people edit; called by everything in `config/` that writes.
 */

import { randomBytes } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * @param options.mode permissions of the new file, whatever those of the old one were; secrets have 0600
 */
export async function replaceFile(file: string, text: string, options: { readonly mode: number }): Promise<void> {
  // In the same folder, since a rename does not cross file systems; a name of its own, so that two writers do not share it.
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const handle = await open(temporary, 'wx', options.mode)
    try {
      await handle.writeFile(text)
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
