/**
 * Moves old data out of the way of new: consensus data, state and tracker, which are of one cluster and go together. Kept as `raft.old.N`
 * (`config/raft-folder.ts`); nothing is removed but the oldest of too many. Called by `starting.ts` and `run.ts`.
 */

import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../config/exists.ts'
import { moveFolder } from '../config/move-folder.ts'
import { folderLayout } from '../config/paths.ts'
import { moveAsideRaft } from '../config/raft-folder.ts'
import type { ServiceConfig } from '../config/schema.ts'
import type { Logger } from '../ports.ts'

/** Consensus data, state and tracker go together: they are of one cluster. */
export async function moveAside(config: ServiceConfig, log: Logger): Promise<void> {
  const raft = config.consensus.raft
  const backup = await moveAsideRaft(raft.dataFolder, raft.backupsRotate)
  if (backup !== undefined) {
    await moveInto(backup, config)
    log.info({ backup }, 'the data that was here is kept aside')
  } else await moveStrayData(config, log)
}

/**
 * State without consensus data belongs to nothing: a move aside was cut short, or somebody removed `raft/`. Nor does consensus data of which
 * nothing says whose it is. Both are kept as a backup.
 */
export async function moveStrayData(config: ServiceConfig, log: Logger): Promise<void> {
  const raft = config.consensus.raft
  const { state, tracker } = folderLayout(config.folder)
  if (!(await exists(state)) && !(await exists(tracker)) && (await isEmpty(raft.dataFolder))) return
  await mkdir(raft.dataFolder, { recursive: true, mode: 0o700 })
  await moveInto(raft.dataFolder, config)
  const backup = await moveAsideRaft(raft.dataFolder, raft.backupsRotate)
  log.warn({ backup }, 'data that belongs to no cluster was here: it is kept aside')
}

async function moveInto(backup: string, config: ServiceConfig): Promise<void> {
  const { state, tracker } = folderLayout(config.folder)
  if (await exists(state)) await moveFolder(state, join(backup, 'state'))
  if (await exists(tracker)) await moveFolder(tracker, join(backup, 'tracker'))
}

/** A disk of its own, mounted here, has a `lost+found` from the beginning, and cannot be moved. */
async function isEmpty(folder: string): Promise<boolean> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return entries.every((name) => name === 'lost+found')
}
