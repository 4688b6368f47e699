/** The `consensus.raft` section of `service.json`. Read by `schema.ts`; the keys are IPFS Cluster's, and `read_timeout`, `priority` and `lease` are our own. */

import { CLOCK_DRIFT, MAX_LEASE_MS } from '@quorate/raft'
import type { Values } from '../field.ts'
import { duration, integer, peerIds, requiredPath, text } from '../field-types.ts'

/**
 * The defaults of `heartbeat_timeout` and `election_timeout` are those of our own core (a dead leader is replaced in under a second), where
 * IPFS Cluster has 1s for both. The words are those of hashicorp/raft: see {@link raftTiming} for what becomes of them.
 */
export const raftShape = {
  dataFolder: requiredPath('raft', 'Where the log and the snapshots are kept.', { omit: true }),
  initPeerset: peerIds(
    [],
    'Peer IDs of the first members, the same list on all of them; this peer is always among them. Read only while there is no consensus data.'
  ),
  waitForLeaderTimeoutMs: duration('15s', 'How long a start waits for a leader before it fails.'),
  networkTimeoutMs: duration('10s', 'Exchanges have time limits of their own.', { inert: true }),
  commitRetries: integer(1, 'A write is tried again until `wait_for_leader_timeout`.', { min: 0, inert: true }),
  commitRetryDelayMs: duration('200ms', 'The pauses between such tries grow by themselves.', { inert: true }),
  backupsRotate: integer(6, 'How many `raft.old.N` folders are kept; beyond that the oldest is removed.', {
    min: 1,
    zeroIsDefault: true
  }),
  datastoreNamespace: text('/r', 'The prefix of keys in the datastore.', { inert: true }),
  readTimeoutMs: duration(
    '2s',
    'How long the read of a pin waits for a quorum before it is answered from what this peer knows (header `X-Quorate-Stale`).'
  ),
  heartbeatTimeoutMs: duration(
    '450ms',
    'How long a peer is content without word of its leader; a leader sends six times as often.',
    {
      minMs: 5
    }
  ),
  electionTimeoutMs: duration(
    '450ms',
    'A peer that has no leader stands for election after this time, or up to twice as long. Not below `heartbeat_timeout`.',
    { minMs: 5 }
  ),
  priority: integer(
    0,
    'Who should rather lead: a peer of higher priority comes first in elections and is handed the lead, one of lower priority waits. A wish, that never holds up an election.',
    { min: -4, max: 4, omit: true }
  ),
  leaseMs: duration(
    '0s',
    'For how long a leader that a majority answered may serve reads without asking again; `0s`: it always asks. A new leader waits so long before it confirms anything. 1.11 times as much must be below `election_timeout`. Not for machines that are suspended.',
    { zero: true, omit: true }
  ),
  commitTimeoutMs: duration('50ms', 'The commit index is always sent at once.', { minMs: 1, inert: true }),
  maxAppendEntries: integer(64, 'Messages are bounded by bytes.', { min: 1, max: 1024, inert: true }),
  trailingLogs: integer(
    10240,
    'Entries that stay in the log after a snapshot, so that a peer that was away for a short time needs no snapshot.',
    { min: 0 }
  ),
  snapshotIntervalMs: duration('2m0s', 'The state on disk is the snapshot.', { minMs: 5, inert: true }),
  snapshotThreshold: integer(8192, 'The state on disk is the snapshot.', { min: 0, inert: true }),
  leaderLeaseTimeoutMs: duration('500ms', 'A leader that hears from no majority for `election_timeout` steps down.', {
    minMs: 5,
    inert: true
  })
} as const

/** The `consensus.raft` section, read. Times in milliseconds, the folder absolute. */
export type RaftSection = Values<typeof raftShape>

/** What must hold between keys. */
export function raftRules(raft: RaftSection): readonly { readonly key: string; readonly reason: string }[] {
  const broken: { key: string; reason: string }[] = []
  if (raft.electionTimeoutMs < raft.heartbeatTimeoutMs) {
    broken.push({
      key: 'election_timeout',
      reason: `it is ${raft.electionTimeoutMs}ms, and must not be below heartbeat_timeout, ${raft.heartbeatTimeoutMs}ms`
    })
  }
  if (raft.leaseMs > MAX_LEASE_MS) {
    broken.push({ key: 'lease', reason: `it is ${raft.leaseMs}ms, and must not be above ${MAX_LEASE_MS}ms` })
  }
  if (raft.leaseMs * (1 + CLOCK_DRIFT) >= raft.electionTimeoutMs) {
    broken.push({
      key: 'lease',
      reason: `it is ${raft.leaseMs}ms, and ${1 + CLOCK_DRIFT} times as much must be below election_timeout, ${raft.electionTimeoutMs}ms`
    })
  }
  return broken
}

/**
 * The options of the consensus core that follow from the section, under the names that it has for them.
 *
 * hashicorp/raft's leader sends ten times in a `heartbeat_timeout`; ours six times, which with the defaults is its own 75 ms. Since
 * `election_timeout` is never below `heartbeat_timeout`, the core's rule that a heartbeat be below a third of it always holds.
 */
export function raftTiming(raft: RaftSection): {
  readonly electionTimeoutMs: number
  readonly heartbeatMs: number
  readonly trailingEntries: number
  readonly priority: number
  readonly leaseMs: number
} {
  return {
    electionTimeoutMs: raft.electionTimeoutMs,
    heartbeatMs: Math.max(1, Math.floor(raft.heartbeatTimeoutMs / 6)),
    trailingEntries: raft.trailingLogs,
    priority: raft.priority,
    leaseMs: Math.floor(raft.leaseMs)
  }
}
