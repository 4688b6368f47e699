/**
 * `quorate-service recover`: says what a recovery from this peer would keep and lose, asks, and does it (`recovery/recover.ts`). Called by
 * `main.ts`. With `--dry-run` it only says, so that the peer that holds the most can be chosen.
 */

import { peerIdFromString } from '@libp2p/peer-id'
import { StartError } from '../errors.ts'
import type { FolderPosition, RecoverFolder } from '../recovery/recover.ts'
import { type CommandIo, Questions } from './io.ts'

export interface RecoverArguments {
  readonly folder: string
  /** IDs of the peers that are to make up the cluster again, this one among them. */
  readonly peers: readonly string[]
  readonly dryRun: boolean
  /** Do not ask. */
  readonly yes: boolean
}

/** @returns the exit code: 0 when done, looked, or declined */
export async function runRecover(init: RecoverArguments, io: CommandIo): Promise<number> {
  const { lockFolder } = await import('../config/folder-lock.ts')
  const { loadConfig } = await import('../config/load.ts')
  const { loadIdentity } = await import('../config/identity.ts')
  const { examine, finish, isCutShort, recover } = await import('../recovery/recover.ts')
  const lock = lockFolder(init.folder)
  const questions = new Questions(io)
  try {
    const { consensus } = await loadConfig(init.folder, io.env)
    const id = (await loadIdentity(init.folder, io.env)).peerId.toString()
    const { dataFolder, backupsRotate } = consensus.raft
    const at: RecoverFolder = { folder: init.folder, dataFolder, backupsRotate, id }
    if (await isCutShort(init.folder)) {
      if (init.dryRun)
        throw new StartError('An earlier recovery was cut short: run recover without --dry-run to finish it')
      const { clusterId } = await finish(at)
      io.out(`An earlier recovery was cut short, and is finished now.\n${nextSteps(clusterId, id)}`)
      return 0
    }
    const position = await examine(at)
    io.out(describePosition(position, id))
    if (init.dryRun) return 0
    const awaited = awaitedOf(init.peers, id, position)
    io.out(describeLoss(position, [id, ...awaited]))
    if (!init.yes && !(await questions.confirm('The cluster will be made anew from this peer.'))) return 0
    const { clusterId } = await recover(at, awaited)
    io.out(`Done. What was here is in ${dataFolder}.old.0.\n${nextSteps(clusterId, id)}`)
    return 0
  } finally {
    questions.close()
    lock.release()
  }
}

/**
 * The others of those named.
 *
 * @throws {StartError} unless all are peer IDs of members of the old cluster, or of those awaited since a recovery before, and this peer is among them
 */
function awaitedOf(
  named: readonly string[],
  id: string,
  { members, group, damage }: FolderPosition
): readonly string[] {
  const peers = named.map(canonicalPeerId)
  if (!peers.includes(id)) {
    throw new StartError(
      `Cannot recover a cluster without this peer: name the peers that are left with --peers, this one among them, which is ${id}`
    )
  }
  const awaited = [...new Set(peers)].filter((peer) => peer !== id)
  const known = [...new Set([...members, ...(group.awaited ?? [])])]
  // Of a log that is damaged the last members may not be known.
  const strangers = damage === undefined ? awaited.filter((peer) => !known.includes(peer)) : []
  if (strangers.length > 0) {
    throw new StartError(
      `Cannot recover a cluster with ${strangers.join(', ')}: its members are ${known.join(', ')}. Name those that are left; any other peer joins afterwards`
    )
  }
  return awaited
}

function canonicalPeerId(text: string): string {
  try {
    return peerIdFromString(text).toString()
  } catch (error) {
    throw new StartError(`Cannot recover a cluster with ${JSON.stringify(text)}: it is no peer ID`, { cause: error })
  }
}

export function describePosition(position: FolderPosition, id: string): string {
  const { group, end, committedIndex, term, voters, pinCount, damage } = position
  const open = end.index - Math.min(committedIndex, end.index)
  const lines = [
    `Peer ${id} of cluster ${group.clusterId}`,
    `  Log ends at:     term ${end.term}, entry ${end.index}`,
    `  Known committed: up to entry ${committedIndex}; ${open} after it may have been committed or not`,
    `  Term:            ${term}`,
    `  Pins:            ${pinCount}, as of entry ${committedIndex}`,
    `  Voters:          ${voters.join(', ')}`
  ]
  if (damage !== undefined) lines.push(`  Damaged:         ${damage}`)
  if (group.quarantined !== undefined) {
    lines.push(
      `  Set aside:       the members found this data older than what the peer had promised (${group.quarantined})`
    )
  }
  return `${lines.join('\n')}\n`
}

function describeLoss({ end, committedIndex, voters }: FolderPosition, peers: readonly string[]): string {
  const gone = voters.filter((voter) => !peers.includes(voter))
  return [
    '',
    'A recovery makes a new cluster, with a new ID, from what this peer holds:',
    `  - All up to entry ${Math.max(end.index, committedIndex)} is kept, and counts as committed from now on.`,
    `  - What other peers hold beyond that is lost, acknowledged writes too. Run recover --dry-run on each peer that`,
    '    is left, and recover from the one whose log ends with the highest term, and among equals with the highest entry.',
    `  - Gone from the cluster: ${gone.length === 0 ? 'none' : gone.join(', ')}.`,
    '  - Peers of the old cluster that still run are not touched, and cannot get in by themselves. If a majority of them',
    '    still runs, do not recover: there would be two clusters.',
    ''
  ].join('\n')
}

const nextSteps = (clusterId: string, id: string): string =>
  [
    `The cluster is ${clusterId} now, and this peer is its only voter. Start it:`,
    '  quorate-service daemon',
    'then each of the others, which keeps its old data aside and learns the state anew:',
    `  quorate-service daemon --bootstrap <address of this peer>/p2p/${id}`,
    ''
  ].join('\n')
