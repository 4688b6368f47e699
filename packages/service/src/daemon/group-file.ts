/**
 * What this peer knows of the cluster it belongs to, outside of consensus. Two small files:
 *
 * - `raft/group.json` lies with the consensus data and says which cluster it is of, and under which name this peer wrote it.
 *   It moves aside together with the data.
 * - `membership.json` lies beside it and stays: a peer that was a member and finds its consensus data gone comes back as another life of
 *   itself, and one that was removed stays out; neither forms a cluster of its own (`plan.ts` decides).
 *
 * Both are replaced atomically and synced.
 */

import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type NodeId, nodeNameOf } from '@quorate/raft'
import { z } from 'zod'
import { replaceFile } from '../config/atomic-file.ts'
import { StartError } from '../errors.ts'

const groupSchema = z.object({
  clusterId: z.string().min(1).max(128),
  incarnation: z.string().regex(/^[0-9a-f]{32}$/),
  /** This peer's name in the configuration. Absent: its peer ID alone, as of the first members by `init_peerset`. */
  name: z.string().min(1).max(256).optional(),
  /** Why the data may not be used under this name any more, as the members said. */
  quarantined: z.string().max(1024).optional(),
  /** Of a cluster that was recovered from this peer alone: who is to come back. */
  awaited: z.array(z.string().max(128)).max(1024).optional()
})
const membershipSchema = z.object({ clusterId: z.string().min(1).max(128), state: z.enum(['member', 'removed']) })

/** Which cluster the consensus data is of, and a random name for this life of the data folder. */
export type Group = z.infer<typeof groupSchema>
/** What this peer was when it last knew. */
export type MembershipRecord = z.infer<typeof membershipSchema>

const GROUP_FILE = 'group.json'
const MEMBERSHIP_FILE = 'membership.json'

/** A new cluster of one peer that grows by joins. */
export const randomClusterId = (): string => randomBytes(16).toString('hex')

/** The cluster that a fixed peerset makes: all its peers come to the same name by themselves. */
export function clusterIdOfPeerset(peers: readonly string[]): string {
  return createHash('sha256')
    .update('quorate peerset\n')
    .update([...peers].sort().join('\n'))
    .digest('hex')
    .slice(0, 32)
}

export const newIncarnation = (): string => randomBytes(16).toString('hex')

/** Of a first member by `init_peerset`: the others know no more of it than its peer ID. */
export const foundingGroup = (clusterId: string): Group => ({ clusterId, incarnation: newIncarnation() })

/** Of any other life of a data folder: a name that nobody had before. */
export const newGroup = (clusterId: string, peer: string, incarnation = newIncarnation()): Group => ({
  clusterId,
  incarnation,
  name: nodeNameOf(peer, incarnation)
})

/** This peer's name in the configuration, as the data has it. */
export const nameIn = (group: Group, peer: string): NodeId => group.name ?? peer

/** Goes into the checksums of the log, so that one of another cluster, or of an earlier life of this folder, does not pass for this one. */
export const seedOf = (group: Group): Uint8Array => Buffer.from(`${group.clusterId}/${group.incarnation}`)

export const readGroup = (raftFolder: string): Promise<Group | undefined> =>
  readChecked(join(raftFolder, GROUP_FILE), groupSchema)

export const writeGroup = (raftFolder: string, group: Group): Promise<void> =>
  writeDurably(join(raftFolder, GROUP_FILE), group)

export const readMembership = (folder: string): Promise<MembershipRecord | undefined> =>
  readChecked(join(folder, MEMBERSHIP_FILE), membershipSchema)

export const writeMembership = (folder: string, record: MembershipRecord): Promise<void> =>
  writeDurably(join(folder, MEMBERSHIP_FILE), record)

async function readChecked<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new StartError(`Cannot read ${path}: ${String(error)}`, { cause: error })
  }
  try {
    return schema.parse(JSON.parse(text))
  } catch (error) {
    throw new StartError(`Cannot use ${path}: it is not what this program wrote there (${String(error)})`, {
      cause: error
    })
  }
}

async function writeDurably(path: string, value: object): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await replaceFile(path, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 })
}
