/**
 * Raft consensus: a pure core, a driver that runs it, storage in segment files, and a transport over libp2p.
 *
 * @packageDocumentation
 */

export * from './api.ts'
export { CLOCK_DRIFT, defaultCoreOptions, MAX_LEASE_MS } from './core/options.ts'
export * from './core/types.ts'
export { openRaft } from './driver/driver.ts'
export type { SpaceLeft } from './driver/health.ts'
export type { HistogramSnapshot } from './driver/histogram.ts'
export type { FollowerMetrics, MessageCount, MessageKind, RaftMetrics } from './driver/metrics.ts'
export { foundFromLog, type LogEnd, logEnd, type RecoveryComponents } from './driver/recovery.ts'
export { describeStoredGroup } from './driver/startup.ts'
export * from './errors.ts'
export * from './ports.ts'
export { SessionClient, type SessionCommand } from './sessions/session-client.ts'
export {
  type Admission,
  defaultSessionLimits,
  type SessionLimits,
  type SessionRefusal,
  type SessionRow,
  type SessionStamp,
  SessionTable,
  type StoredSessionRow
} from './sessions/session-table.ts'
export { countBoot, type DiskPosition } from './storage/boot-counter.ts'
export { decodeCheckedJson, encodeCheckedJson } from './storage/checked-json.ts'
export { type DiskReserve, type DiskReserveInit, openDiskReserve } from './storage/disk-reserve.ts'
export * from './storage/errors.ts'
export { type FlightRecordFilesInit, openFlightRecordFiles } from './storage/flight-record-files.ts'
export { inspectGroup } from './storage/log-reader.ts'
export { openSegmentLog, type SegmentLogInit } from './storage/segment-log.ts'
export { openSnapshotStore, type SnapshotStoreInit } from './storage/snapshot-files.ts'
export type { Life } from './transport/hello.ts'
export {
  BULK_PROTOCOL,
  createLibp2pTransport,
  type Libp2pTransport,
  type Libp2pTransportInit,
  RAFT_PROTOCOL
} from './transport/libp2p-transport.ts'
export { nodeNameOf, peerOf } from './transport/node-name.ts'
export { PeersSeen } from './transport/peers-seen.ts'
export { openSeenFile, type SeenFile } from './transport/seen-file.ts'
