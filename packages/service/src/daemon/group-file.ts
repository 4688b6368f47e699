/**
 * What this peer knows of the cluster it belongs to, outside of consensus. Two small files:
 *
 * - `raft/group.json` lies with the consensus data and says which cluster it is of, and under which name this peer wrote it.
 *   It moves aside together with the data.
 * - `membership.json` lies beside it and stays: a peer that was a member and finds its consensus data gone comes back as another life of
 *   itself, and one that was removed stays out; neither forms a cluster of its own (`plan.ts` decides).
 *
 * Both have a checksum, and are replaced atomically and synced. The first has a copy beside it, written after it, that counts where it is
 * damaged or gone, since nothing else says whose the data is. What the second says follows from the first while there is data; and who
 * removes it to start anew must not find it again.
 */

import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { decodeCheckedJson, encodeCheckedJson, type NodeId, nodeNameOf } from '@quorate/raft'
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
const GROUP_COPY_FILE = 'group-copy.json'
const MEMBERSHIP_FILE = 'membership.json'

/** There is a file, and it is not as it was written; nor is its copy, if it has one. */
export class DamagedFileError extends StartError {}

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

/**
 * @returns undefined if there is neither the file nor its copy
 * @throws {DamagedFileError} when what is there of the two is damaged
 * @throws {StartError} when it cannot be read
 */
export const readGroup = async (raftFolder: string): Promise<Group | undefined> => (await readBoth(raftFolder)).group

/** As `readGroup`, and writes the file and its copy anew unless both are sound and the same. */
export async function mendGroup(raftFolder: string): Promise<Group | undefined> {
  const { group, isWhole } = await readBoth(raftFolder)
  if (group !== undefined && !isWhole) await writeGroup(raftFolder, group)
  return group
}

export async function writeGroup(raftFolder: string, group: Group): Promise<void> {
  for (const name of [GROUP_FILE, GROUP_COPY_FILE]) await writeChecked(raftFolder, name, group)
}

/**
 * @returns undefined if there is no such file
 * @throws {DamagedFileError} when it is damaged
 * @throws {StartError} when it cannot be read
 */
export const readMembership = (folder: string): Promise<MembershipRecord | undefined> =>
  readChecked(join(folder, MEMBERSHIP_FILE), membershipSchema)

export const writeMembership = (folder: string, record: MembershipRecord): Promise<void> =>
  writeChecked(folder, MEMBERSHIP_FILE, record)

/** `isWhole`: both files hold it. */
async function readBoth(raftFolder: string): Promise<{ readonly group: Group | undefined; readonly isWhole: boolean }> {
  const [group, copy] = await Promise.all(
    [GROUP_FILE, GROUP_COPY_FILE].map((name) =>
      readChecked(join(raftFolder, name), groupSchema).catch((error: unknown) => {
        if (error instanceof DamagedFileError) return error
        throw error
      })
    )
  )
  const isSound = (read: Group | DamagedFileError | undefined): read is Group =>
    read !== undefined && !(read instanceof DamagedFileError)
  const sound = [group, copy].find(isSound)
  const damage = group ?? copy
  if (sound === undefined && damage instanceof DamagedFileError) throw damage
  return { group: sound, isWhole: isDeepStrictEqual(group, copy) }
}

async function readChecked<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new StartError(`Cannot read ${path}: ${String(error)}`, { cause: error })
  }
  const read = schema.safeParse(decodeCheckedJson(bytes) ?? parsePlain(bytes))
  if (!read.success) throw new DamagedFileError(`Cannot use ${path}: it is not what this program wrote there`)
  return read.data
}

/** As the first versions wrote these files, without a checksum. A checked file that is damaged has none of the fields at its top. */
function parsePlain(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
}

async function writeChecked(folder: string, name: string, value: object): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await replaceFile(join(folder, name), encodeCheckedJson(value), { mode: 0o600 })
}
