/** Who leads, as the daemons themselves say. */

import type { RaftPeer } from '@quorate/client'
import { type Daemon, until } from './daemon.ts'

/** How each member stands, by its own account; told by one of them. */
export async function statusOf(asked: Daemon): Promise<RaftPeer[]> {
  const peers: RaftPeer[] = []
  for await (const peer of asked.client.peersRaft()) peers.push(peer)
  return peers
}

/** The daemon that leads, once all members that run vote and agree on it. */
export async function leaderOf(running: readonly Daemon[]): Promise<Daemon> {
  return await until('all agree on who leads', async () => {
    const status = await statusOf(running[0]!)
    const known = status.filter(({ id }) => running.some((daemon) => daemon.id === id))
    const leaders = new Set(known.map(({ leader }) => leader))
    const [leader] = leaders
    if (known.some(({ voice }) => voice !== 'voter') || leaders.size !== 1) return undefined
    return running.find(({ id }) => id === leader)
  })
}
