/**
 * The folder of consensus data as a whole: whose it is, and moving it aside. Called by the daemon before it opens the log, after a confirmed
 * join, and when this peer was removed; the contents are the business of `@quorate/raft`.
 *
 * IPFS Cluster deletes the folder when it has no snapshot yet, which loses a log that was never backed up. Here it is always renamed.
 */

import { readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { syncFolder } from './atomic-file.ts'
import { ConfigFolderError } from './errors.ts'

/**
 * Refuses a folder with the log of IPFS Cluster (`raft.db`, of hashicorp/raft), which means nothing to our consensus and must not be
 * taken for an empty one.
 *
 * @throws {ConfigFolderError} `FOREIGN_RAFT_DATA`, with the way to take the pins over
 */
export async function refuseForeignRaft(dataFolder: string): Promise<void> {
  if (!(await namesIn(dataFolder)).includes('raft.db')) return
  throw new ConfigFolderError(
    'FOREIGN_RAFT_DATA',
    `cannot use the consensus data in ${dataFolder}: it is that of ipfs-cluster-service (raft.db), whose log Quorate does not read. ` +
      `To take the pins over, stop ipfs-cluster-service on all peers, write them out on one with \`ipfs-cluster-service state export -f pins.json\`, ` +
      `move the folder away on each (\`mv ${dataFolder} ${dataFolder}.ipfs-cluster\`), start Quorate there, and pin what is in pins.json. ` +
      'Configuration, identity and peerstore can stay as they are'
  )
}

/**
 * Renames the folder to `<folder>.old.0`; older backups move up by one, `.old.0` to `.old.1` and so on. When all `backupsRotate` places are
 * taken, the oldest backup makes room and is removed: the only data that is ever deleted here.
 *
 * A crash half-way leaves a gap in the numbers and loses nothing: the next call closes the gap.
 *
 * @param backupsRotate how many backups to keep, at least 1
 * @returns where it went; undefined if there was nothing to move
 */
export async function moveAsideRaft(dataFolder: string, backupsRotate: number): Promise<string | undefined> {
  const names = await namesIn(dataFolder)
  if (names.length === 0) return undefined
  // Room that the log kept for itself (`openDiskReserve`); a backup needs none.
  await rm(join(dataFolder, 'ballast'), { force: true })
  const backup = (number: number) => `${dataFolder}.old.${number}`
  const taken = new Set((await namesIn(dirname(dataFolder))).map((name) => join(dirname(dataFolder), name)))
  let free = 0
  while (free < backupsRotate && taken.has(backup(free))) free++
  if (free === backupsRotate) {
    free = backupsRotate - 1
    await rm(backup(free), { recursive: true, force: true })
  }
  for (let number = free; number > 0; number--) await rename(backup(number - 1), backup(number))
  await rename(dataFolder, backup(0))
  await syncFolder(dirname(dataFolder))
  return backup(0)
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
