/** A peer that has much to tell, for tests of what is told of it. */

import type { HistogramSnapshot, MessageKind, RaftMetrics } from '@quorate/raft'
import type { Observed } from '../../src/metrics/table.ts'

const histogram: HistogramSnapshot = { bounds: [0.064, 0.128, 0.256], counts: [1, 2, 0, 3], sum: 5000, count: 6 }

const kinds: readonly MessageKind[] = ['append-entries-request', 'append-entries-response', 'vote-request']
const messages = Object.fromEntries(kinds.map((kind, at) => [kind, { count: at + 1, bytes: at * 100 }]))

export const raftMetrics: RaftMetrics = {
  role: 'leader',
  term: 7,
  commitIndex: 120,
  appliedIndex: 118,
  health: 'degraded',
  level: 2,
  leaseRemainingMs: 1250,
  elections: { started: 3, won: 2 },
  roleChanges: 5,
  sent: messages as RaftMetrics['sent'],
  received: messages as RaftMetrics['received'],
  proposals: { accepted: 100, refused: { busy: 4 } },
  commitLatency: histogram,
  persistLatency: histogram,
  persistEntries: { bounds: [1, 2, 4], counts: [1, 2, 0, 3], sum: 60, count: 6 },
  persistBytes: 1000,
  persistAgeMs: 1500,
  applyLatency: histogram,
  applyBacklog: 2,
  snapshots: { offered: 1, installed: 2, failed: 3, sentBytes: 4, receivedBytes: 5 },
  compactions: 6,
  logEntries: 70,
  logBytes: 8000,
  oldestEntryAgeMs: 9000,
  reads: 11,
  readLatency: histogram,
  followers: [
    { id: 'b', lagEntries: 1, inflightMessages: 2, inflightBytes: 3 },
    { id: 'c', lagEntries: 0, inflightMessages: 0, inflightBytes: 0 }
  ],
  alarms: { 'peer-lost-log': 2 },
  inboxDepth: histogram,
  inboxDropped: 12,
  tickDelay: histogram
}

export const observed: Observed = {
  raft: raftMetrics,
  ipfs: { pins: 21, pinErrors: 22, puts: 23, putErrors: 24, blocks: 25, blockBytes: 26 },
  pins: 31,
  pinStates: { queued: 32, pinning: 33, error: 34 },
  peers: 3,
  connectedPeers: 2,
  diskWeight: 41
}
