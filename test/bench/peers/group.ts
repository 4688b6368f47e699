/** Whole peers, as their users start them, and who of them leads. Used by the benchmarks of this folder. */

import type { RaftPeer } from '@quorate/client'
import { type Daemon, until } from '../../e2e/support/daemon.ts'

/** How each peer stands by its own account; asked of all at once. Peers that cannot be asked have `error` set. */
export async function statusOf(daemons: readonly Daemon[]): Promise<readonly RaftPeer[]> {
  const found: RaftPeer[] = []
  for await (const peer of daemons[0]!.client.peersRaft()) {
    if (daemons.some(({ id }) => id === peer.id)) found.push(peer)
  }
  return found
}

/** Entries by which a peer may be behind, with writers at work, and count as level with the others. */
const LEVEL_ENTRIES = 500

/** The daemon that leads, once all of them vote, agree on it, and are level with it. */
export function settledLeader(daemons: readonly Daemon[], timeoutMs = 120_000): Promise<Daemon> {
  return until(
    'all peers vote and follow one leader closely',
    async () => {
      const peers = await statusOf(daemons)
      const leader = peers[0]?.leader
      if (leader === undefined || peers.length < daemons.length) return undefined
      if (peers.some((peer) => peer.error !== '' || peer.voice !== 'voter' || peer.leader !== leader)) return undefined
      const applied = peers.map(({ appliedIndex }) => appliedIndex)
      if (Math.max(...applied) - Math.min(...applied) > LEVEL_ENTRIES) return undefined
      return daemons.find(({ id }) => id === leader)
    },
    timeoutMs
  )
}
