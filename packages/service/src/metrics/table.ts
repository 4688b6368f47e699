/**
 * Every metric of a peer, once: its name, what it means, and where its value comes from. `registry.ts` serves them, and `docs/metrics.md` is
 * printed from this table. Names that begin with `ipfscluster_` are IPFS Cluster's, for the dashboards that know them; the others follow
 * Prometheus: a unit at the end, `_total` for what only grows.
 */

import { type HistogramSnapshot, peerOf, type RaftMetrics } from '@quorate/raft'
import type { IpfsCounts } from './metered-connector.ts'

/** What the values are taken from, at one moment. */
export interface Observed {
  readonly raft: RaftMetrics
  readonly ipfs: IpfsCounts
  /** Pins of the pinset. */
  readonly pins: number
  /** Of this peer, as of the last count. */
  readonly pinStates: PinStates
  readonly peers: number
  /** This peer among them. */
  readonly connectedPeers: number
  /** Undefined before the first measure, or without a disk informer. */
  readonly diskWeight: number | undefined
}

/** How many pins of this peer are in these states. */
export interface PinStates {
  readonly queued: number
  readonly pinning: number
  readonly error: number
}

/** One value of a metric with labels. */
export interface Labelled {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

interface Described {
  readonly name: string
  readonly help: string
}

export type MetricSpec = Described &
  (
    | { readonly type: 'counter' | 'gauge'; readonly read: (observed: Observed) => number | undefined }
    | {
        readonly type: 'counter' | 'gauge'
        readonly labels: readonly string[]
        readonly readAll: (observed: Observed) => readonly Labelled[]
      }
    | {
        readonly type: 'histogram'
        /** By which the values of the snapshot are multiplied. */
        readonly scale: number
        readonly snapshot: (observed: Observed) => HistogramSnapshot
      }
  )

const gauge = (name: string, help: string, read: (observed: Observed) => number | undefined): MetricSpec => ({
  type: 'gauge',
  name,
  help,
  read
})

const counter = (name: string, help: string, read: (observed: Observed) => number): MetricSpec => ({
  type: 'counter',
  name,
  help,
  read
})

const labelled = (
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  label: string,
  readAll: (observed: Observed) => Iterable<readonly [string, number]>
): MetricSpec => ({
  type,
  name,
  help,
  labels: [label],
  readAll: (observed) => [...readAll(observed)].map(([word, value]) => ({ labels: { [label]: word }, value }))
})

/** From milliseconds. */
const seconds = (name: string, help: string, snapshot: (raft: RaftMetrics) => HistogramSnapshot): MetricSpec => ({
  type: 'histogram',
  name,
  help,
  scale: 0.001,
  snapshot: ({ raft }) => snapshot(raft)
})

const sizes = (name: string, help: string, snapshot: (raft: RaftMetrics) => HistogramSnapshot): MetricSpec => ({
  type: 'histogram',
  name,
  help,
  scale: 1,
  snapshot: ({ raft }) => snapshot(raft)
})

const healths = ['good', 'degraded', 'unfit'] as const
const roles = ['follower', 'pre-candidate', 'candidate', 'leader'] as const

const messages = (
  direction: 'sent' | 'received',
  what: 'count' | 'bytes'
): ((observed: Observed) => [string, number][]) => {
  return ({ raft }) => Object.entries(raft[direction]).map(([kind, counted]) => [kind, counted[what]])
}

const followers =
  (value: (follower: RaftMetrics['followers'][number]) => number) =>
  ({ raft }: Observed): [string, number][] =>
    raft.followers.map((follower) => [peerOf(follower.id), value(follower)])

export const metricTable: readonly MetricSpec[] = [
  gauge('ipfscluster_pins', 'Pins of the pinset, of all peers.', ({ pins }) => pins),
  gauge(
    'ipfscluster_pins_pin_queued',
    'Pins that wait on this peer for their turn.',
    ({ pinStates }) => pinStates.queued
  ),
  gauge('ipfscluster_pins_pinning', 'Pins whose content this peer fetches.', ({ pinStates }) => pinStates.pinning),
  gauge('ipfscluster_pins_pin_error', 'Pins that failed on this peer.', ({ pinStates }) => pinStates.error),
  counter('ipfscluster_pins_pin_add', 'Pins asked of the IPFS node.', ({ ipfs }) => ipfs.pins),
  counter('ipfscluster_pins_pin_add_errors', 'Pins that the IPFS node failed.', ({ ipfs }) => ipfs.pinErrors),
  counter('ipfscluster_blocks_put', 'Transfers of blocks to the IPFS node.', ({ ipfs }) => ipfs.puts),
  counter('ipfscluster_blocks_added', 'Blocks in those transfers.', ({ ipfs }) => ipfs.blocks),
  counter('ipfscluster_blocks_added_size', 'Bytes of these blocks.', ({ ipfs }) => ipfs.blockBytes),
  counter('ipfscluster_blocks_put_errors', 'Transfers that failed.', ({ ipfs }) => ipfs.putErrors),
  gauge(
    'ipfscluster_informer_disk',
    'Weight of the last measure of the disk: free bytes, or bytes in use below zero.',
    ({ diskWeight }) => diskWeight
  ),

  gauge('quorate_peers', 'Members of the cluster.', ({ peers }) => peers),
  gauge(
    'quorate_peers_connected',
    'Members that this peer has a connection to, itself included.',
    ({ connectedPeers }) => connectedPeers
  ),

  labelled('gauge', 'quorate_raft_role', '1 for the role of this peer, 0 for the others.', 'role', ({ raft }) =>
    roles.map((role) => [role, role === raft.role ? 1 : 0])
  ),
  labelled(
    'gauge',
    'quorate_raft_health',
    '1 for how fit this peer is to lead by its own judgement, 0 for the others.',
    'health',
    ({ raft }) => healths.map((health) => [health, health === raft.health ? 1 : 0])
  ),
  gauge('quorate_raft_feature_level', 'The feature level of the group.', ({ raft }) => raft.level),
  gauge(
    'quorate_raft_lease_remaining_seconds',
    'For how long the leader may still serve reads without asking anybody.',
    ({ raft }) => raft.leaseRemainingMs / 1000
  ),
  gauge('quorate_raft_term', 'The term that this peer is in.', ({ raft }) => raft.term),
  gauge('quorate_raft_commit_index', 'Entries up to here are committed.', ({ raft }) => raft.commitIndex),
  gauge('quorate_raft_applied_index', 'Entries up to here are in the pinset.', ({ raft }) => raft.appliedIndex),
  gauge(
    'quorate_raft_apply_backlog_entries',
    'Entries that are committed and not in the pinset yet.',
    ({ raft }) => raft.applyBacklog
  ),
  counter(
    'quorate_raft_elections_started_total',
    'Times this peer asked for votes.',
    ({ raft }) => raft.elections.started
  ),
  counter('quorate_raft_elections_won_total', 'Times this peer became leader.', ({ raft }) => raft.elections.won),
  counter('quorate_raft_role_changes_total', 'Changes of the role of this peer.', ({ raft }) => raft.roleChanges),
  labelled(
    'counter',
    'quorate_raft_messages_sent_total',
    'Messages to other members.',
    'kind',
    messages('sent', 'count')
  ),
  labelled(
    'counter',
    'quorate_raft_messages_received_total',
    'Messages of other members.',
    'kind',
    messages('received', 'count')
  ),
  labelled(
    'counter',
    'quorate_raft_messages_sent_bytes_total',
    'Bytes of the entries in messages sent.',
    'kind',
    messages('sent', 'bytes')
  ),
  labelled(
    'counter',
    'quorate_raft_messages_received_bytes_total',
    'Bytes of the entries in messages received.',
    'kind',
    messages('received', 'bytes')
  ),
  counter(
    'quorate_raft_proposals_accepted_total',
    'Commands that this peer appended as leader.',
    ({ raft }) => raft.proposals.accepted
  ),
  labelled(
    'counter',
    'quorate_raft_proposals_refused_total',
    'Calls that this peer refused, by reason.',
    'reason',
    ({ raft }) => Object.entries(raft.proposals.refused)
  ),
  seconds(
    'quorate_raft_commit_latency_seconds',
    'From proposing a command at the leader to its being in the pinset there.',
    (raft) => raft.commitLatency
  ),
  seconds('quorate_raft_persist_latency_seconds', 'Writes to the log, with their sync.', (raft) => raft.persistLatency),
  sizes('quorate_raft_persist_entries', 'Entries of one write to the log.', (raft) => raft.persistEntries),
  counter('quorate_raft_persisted_bytes_total', 'Bytes of entries written.', ({ raft }) => raft.persistBytes),
  gauge(
    'quorate_raft_persist_age_seconds',
    'How long the write under way has taken so far; 0 without one.',
    ({ raft }) => raft.persistAgeMs / 1000
  ),
  seconds('quorate_raft_apply_latency_seconds', 'Batches applied to the pinset.', (raft) => raft.applyLatency),
  counter(
    'quorate_raft_snapshots_offered_total',
    'Times this peer had a snapshot ready for another.',
    ({ raft }) => raft.snapshots.offered
  ),
  counter(
    'quorate_raft_snapshots_installed_total',
    'Snapshots of other peers that this peer took over.',
    ({ raft }) => raft.snapshots.installed
  ),
  counter(
    'quorate_raft_snapshots_failed_total',
    'Snapshots of other peers that could not be had.',
    ({ raft }) => raft.snapshots.failed
  ),
  counter('quorate_raft_snapshot_sent_bytes_total', 'Bytes of snapshots sent.', ({ raft }) => raft.snapshots.sentBytes),
  counter(
    'quorate_raft_snapshot_received_bytes_total',
    'Bytes of the snapshots that were taken over.',
    ({ raft }) => raft.snapshots.receivedBytes
  ),
  counter('quorate_raft_compactions_total', 'Times the log was shortened.', ({ raft }) => raft.compactions),
  gauge('quorate_raft_log_entries', 'Entries of the log.', ({ raft }) => raft.logEntries),
  gauge('quorate_raft_log_bytes', 'Their bytes.', ({ raft }) => raft.logBytes),
  gauge(
    'quorate_raft_oldest_entry_age_seconds',
    'How long the oldest entry has been in the log, or this peer has been up.',
    ({ raft }) => raft.oldestEntryAgeMs / 1000
  ),
  counter('quorate_raft_reads_total', 'Linearizable reads asked for.', ({ raft }) => raft.reads),
  seconds(
    'quorate_raft_read_latency_seconds',
    'From asking for a read index to its confirmation.',
    (raft) => raft.readLatency
  ),
  labelled(
    'gauge',
    'quorate_raft_follower_lag_entries',
    'On the leader: entries that a member is behind.',
    'peer',
    followers(({ lagEntries }) => lagEntries)
  ),
  labelled(
    'gauge',
    'quorate_raft_follower_inflight_messages',
    'On the leader: messages that a member has not answered.',
    'peer',
    followers(({ inflightMessages }) => inflightMessages)
  ),
  labelled(
    'gauge',
    'quorate_raft_follower_inflight_bytes',
    'On the leader: bytes in these messages.',
    'peer',
    followers(({ inflightBytes }) => inflightBytes)
  ),
  labelled('counter', 'quorate_raft_alarms_total', 'Alarms, by code.', 'code', ({ raft }) =>
    Object.entries(raft.alarms)
  ),
  sizes('quorate_raft_inbox_depth', 'Inputs that a turn of the node found waiting.', (raft) => raft.inboxDepth),
  counter(
    'quorate_raft_inbox_dropped_total',
    'Messages that came while too much was waiting.',
    ({ raft }) => raft.inboxDropped
  ),
  seconds(
    'quorate_raft_tick_delay_seconds',
    'How late the clock of the node rang: the lag of the event loop.',
    (raft) => raft.tickDelay
  )
]
