/**
 * Moves a folder to a place that may lie on another disk: `raft.data_folder` need not be beside the rest. Called where data makes room
 * for other data (`daemon/set-aside.ts`, `recovery/recover.ts`).
 */

import { cp, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { syncFolder } from './atomic-file.ts'
import { exists } from './exists.ts'

/**
 * By rename where that is possible. Otherwise the copy is durable, and stands under its name as a whole, before the original goes: after a
 * crash there are one or both.
 *
 * @param to must not exist, but for what an earlier call left there; its parent must
 */
export async function moveFolder(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error
    // There, it is whole: an earlier move was cut short before the original went.
    if (!(await exists(to))) await copyFolder(from, to)
    await rm(from, { recursive: true })
  }
}

/** Durably, and all of it or nothing under this name. */
async function copyFolder(from: string, to: string): Promise<void> {
  const partial = `${to}.partial`
  await rm(partial, { recursive: true, force: true })
  await cp(from, partial, { recursive: true, preserveTimestamps: true })
  await syncAll(partial)
  await rename(partial, to)
  await syncFolder(dirname(to))
}

/** Makes a folder durable with all that is in it. */
export async function syncAll(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await syncAll(path)
    else if (entry.isFile()) {
      const file = await open(path, 'r')
      try {
        await file.sync()
      } finally {
        await file.close()
      }
    }
  }
  await syncFolder(folder)
}
