/**
 * Quorum arithmetic in plain words, for errors and the log: who is missing, and how many it takes. Pure.
 */

import type { ClusterConfig } from '@quorate/raft'
import { peersOf } from './member-names.ts'

const majorityOf = (count: number): number => Math.floor(count / 2) + 1

function describeSet(names: readonly string[], connected: ReadonlySet<string>, name: string): string {
  const voters = peersOf(names)
  const missing = voters.filter((voter) => !connected.has(voter))
  const here = voters.length - missing.length
  const needed = majorityOf(voters.length)
  return (
    `${here} of ${voters.length} ${name} reachable, ${needed} needed.` +
    (missing.length > 0 ? ` Missing: ${missing.join(', ')}.` : '')
  )
}

/** @param connected - peers this one has a connection to, itself included */
export function describeQuorum(config: ClusterConfig, connected: ReadonlySet<string>): string {
  if (config.voters.length === 0) return 'This peer is not a member of a cluster yet.'
  const now = describeSet(config.voters, connected, 'voters')
  return config.outgoing.length === 0
    ? now
    : `${now} While the membership changes, also of the old one: ${describeSet(config.outgoing, connected, 'voters')}`
}

/** Whether enough voters are there for a leader. */
export function hasQuorum(config: ClusterConfig, connected: ReadonlySet<string>): boolean {
  const enough = (names: readonly string[]): boolean => {
    const voters = peersOf(names)
    return voters.filter((voter) => connected.has(voter)).length >= majorityOf(voters.length)
  }
  return config.voters.length > 0 && enough(config.voters) && (config.outgoing.length === 0 || enough(config.outgoing))
}
