/**
 * Forced recovery of a cluster whose majority is lost for good (T37): makes this peer's folder the beginning of a new cluster, of which
 * it is the only voter and to which the others come by joining. `cli/recover-command.ts` calls it, with the folder locked.
 *
 * All is prepared beside the data, in `recovery.tmp`, on copies; then that is renamed to `recovery`, and from there on the work can only
 * be finished: old data goes to `raft.old.0`, the new takes its place. A crash before leaves the old cluster's data as it was, a crash
 * after a folder that the daemon refuses until `recover` was run again.
 */

import { constants, cp, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  describeStoredGroup,
  foundFromLog,
  type LoadedLog,
  type LogEnd,
  logEnd,
  openSegmentLog,
  openSnapshotStore
} from '@quorate/raft'
import { syncFolder } from '../config/atomic-file.ts'
import { exists } from '../config/exists.ts'
import { moveFolder, syncAll } from '../config/move-folder.ts'
import { folderLayout } from '../config/paths.ts'
import { moveAsideRaft } from '../config/raft-folder.ts'
import { namesIn, peersOf } from '../consensus/member-names.ts'
import {
  type Group,
  nameIn,
  newGroup,
  randomClusterId,
  readGroup,
  seedOf,
  writeGroup,
  writeMembership
} from '../daemon/group-file.ts'
import { StartError } from '../errors.ts'
import { openPinsetState } from '../state/pinset-state.ts'

const PREPARING = 'recovery.tmp'
const PREPARED = 'recovery'

export interface RecoverFolder {
  /** The configuration folder, locked by the caller. */
  readonly folder: string
  /** `raft.data_folder`. */
  readonly dataFolder: string
  readonly backupsRotate: number
  /** This peer. */
  readonly id: string
}

/** What a folder holds of its cluster: by this an operator chooses the peer to recover from. */
export interface FolderPosition {
  readonly group: Group
  /** The peers of the last configuration in the log. */
  readonly members: readonly string[]
  readonly voters: readonly string[]
  /** This peer's term, which says how recently it took part. */
  readonly term: number
  readonly end: LogEnd
  /** Everything up to here was known on this peer as committed; what follows may have been. */
  readonly committedIndex: number
  readonly pinCount: number
  /** What is wrong with the log, if something is: `end` is as far as it can be read. */
  readonly damage: string | undefined
}

/** Everything of a folder, opened on copies; nothing in the folder itself is changed. */
interface Opened {
  readonly position: FolderPosition
  readonly log: LoadedLog
  readonly state: Awaited<ReturnType<typeof openPinsetState>>
}

/** Whether an earlier recovery was cut short behind the point from which it can only be finished. */
export const isCutShort = (folder: string): Promise<boolean> => exists(join(folder, PREPARED))

/**
 * Looks, and changes nothing.
 *
 * @throws {StartError} when the folder has no consensus data
 */
export async function examine(at: RecoverFolder): Promise<FolderPosition> {
  try {
    const { position, state } = await open(at)
    await state.close()
    return position
  } finally {
    await rm(join(at.folder, PREPARING), { recursive: true, force: true })
  }
}

/**
 * Makes a new cluster of this peer.
 *
 * @param awaited - the other peers that are to come back
 * @returns the new cluster
 * @throws {StartError} when the folder has no consensus data
 * @throws {RaftStartError} when log and state do not fit together. Nothing was changed in either case
 */
export async function recover(at: RecoverFolder, awaited: readonly string[]): Promise<Group> {
  const work = join(at.folder, PREPARING)
  try {
    await prepare(at, awaited, work)
  } catch (error) {
    await rm(work, { recursive: true, force: true })
    throw error
  }
  await rename(work, join(at.folder, PREPARED))
  await syncFolder(at.folder)
  return await finish(at)
}

/** Makes the new log and state in `work`. */
async function prepare(at: RecoverFolder, awaited: readonly string[], work: string): Promise<void> {
  const raft = join(work, 'raft')
  const { log, state } = await open(at)
  try {
    const fresh = newGroup(randomClusterId(), at.id)
    const group: Group = awaited.length === 0 ? fresh : { ...fresh, awaited: [...awaited].sort() }
    await writeGroup(raft, group)
    const into = openSegmentLog({ folder: raft, seedContext: seedOf(group) })
    try {
      await into.load()
      const snapshots = openSnapshotStore({ folder: at.dataFolder })
      await foundFromLog({ log, snapshots, stateMachine: state, into }, nameIn(group, at.id))
    } finally {
      await into.close()
    }
  } finally {
    await state.close()
  }
  await rm(join(work, 'old'), { recursive: true })
  // Of the state most files are copies that nobody has synced.
  await syncAll(work)
}

/** Puts what was prepared in its place; each step finds out whether it was done before. @returns the new cluster */
export async function finish({ folder, dataFolder, backupsRotate }: RecoverFolder): Promise<Group> {
  const prepared = join(folder, PREPARED)
  const { state } = folderLayout(folder)
  const [newRaft, newState] = [join(prepared, 'raft'), join(prepared, 'state')]
  const backup = `${dataFolder}.old.0`
  const group = (await readGroup(newRaft)) ?? (await readGroup(dataFolder))
  if (group === undefined) throw new StartError(`Cannot finish the recovery in ${prepared}: it is not complete`)
  await writeMembership(folder, { clusterId: group.clusterId, state: 'member' })
  if (await exists(newRaft)) {
    if ((await exists(newState)) && (await exists(dataFolder))) await moveAsideRaft(dataFolder, backupsRotate)
    if ((await exists(newState)) && (await exists(state))) await moveFolder(state, join(backup, 'state'))
    if (await exists(newState)) await rename(newState, state)
    await moveFolder(newRaft, dataFolder)
    await syncFolder(folder)
  }
  await rm(prepared, { recursive: true, force: true })
  return group
}

async function open({ folder, dataFolder, id }: RecoverFolder): Promise<Opened> {
  const group = await readGroup(dataFolder)
  if (group === undefined) {
    throw new StartError(`Cannot recover a cluster from ${dataFolder}: there is no consensus data of a cluster in it`)
  }
  const work = join(folder, PREPARING)
  await rm(work, { recursive: true, force: true })
  await mkdir(work, { mode: 0o700 })
  const layout = folderLayout(folder)
  const [oldLog, copiedState] = [join(work, 'old'), join(work, 'state')]
  await copyFiles(dataFolder, oldLog)
  if (await exists(layout.state)) {
    await cp(layout.state, copiedState, { recursive: true, mode: constants.COPYFILE_FICLONE })
  }
  const storage = openSegmentLog({ folder: oldLog, seedContext: seedOf(group) })
  let log: LoadedLog
  try {
    log = await storage.load()
  } finally {
    await storage.close()
  }
  const state = await openPinsetState({ folder: copiedState })
  const { config, hardState } = describeStoredGroup(log)
  const [fault] = log.faults
  return {
    log,
    state,
    position: {
      group,
      members: peersOf(namesIn(config)),
      voters: peersOf(config.voters.length > 0 ? config.voters : [nameIn(group, id)]),
      term: hardState.term,
      end: logEnd(log),
      committedIndex: Math.max(log.base.index, state.appliedIndex()),
      pinCount: state.count(),
      damage:
        fault === undefined ? undefined : `entry ${fault.fromIndex} and those after it cannot be read (${fault.detail})`
    }
  }
}

/** The files of the log, without the snapshots, which are only read. */
async function copyFiles(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 })
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (entry.isFile()) await cp(join(from, entry.name), join(to, entry.name), { mode: constants.COPYFILE_FICLONE })
  }
}
