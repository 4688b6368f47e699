/**
 * Where a peer keeps its files. Called by the command line to find the folder, and by the composition root for what lies in it.
 */

import { mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Environment } from './environment.ts'

/**
 * The configuration folder, absolute: `--config`, else `$QUORATE_PATH`, else `$IPFS_CLUSTER_PATH`, else `~/.quorate`.
 *
 * @param option what `--config` said
 */
export function configFolder(option: string | undefined, env: Environment): string {
  // A variable that is set and empty is what `VAR= command` leaves behind, and not the current folder.
  const chosen = [option, env.QUORATE_PATH, env.IPFS_CLUSTER_PATH].find((path) => path !== undefined && path !== '')
  return resolve(chosen ?? join(env.HOME === undefined || env.HOME === '' ? homedir() : env.HOME, '.quorate'))
}

/** What lies in the configuration folder, beside what the configuration itself places (`raft/`, `peerstore`). All absolute. */
export interface FolderLayout {
  readonly config: string
  readonly identity: string
  readonly lock: string
  /** Pinset, indexes, sessions, applied index: one LevelDB. */
  readonly state: string
  /** Operations that are not finished yet: one LevelDB. */
  readonly tracker: string
  /** Address book and DHT records of the cluster network: one LevelDB. */
  readonly libp2p: string
  /** Blocks and pins of the embedded IPFS node. */
  readonly ipfs: string
}

export function folderLayout(folder: string): FolderLayout {
  return {
    config: join(folder, 'service.json'),
    identity: join(folder, 'identity.json'),
    lock: join(folder, 'cluster.lock'),
    state: join(folder, 'state'),
    tracker: join(folder, 'tracker'),
    libp2p: join(folder, 'libp2p'),
    ipfs: join(folder, 'ipfs')
  }
}

/** Makes a folder that only its owner can enter, and those above it. One that is there is left as it is. */
export async function makePrivateFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
}
