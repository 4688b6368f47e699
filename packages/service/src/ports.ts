/**
 * The whole system on one page: the interfaces by which the parts of a peer meet. Only the composition root (`daemon/compose.ts`)
 * knows the classes behind them. The words are IPFS Cluster's.
 */

import type {
  CidString,
  GlobalPinInfo,
  IpfsId,
  MultiaddrString,
  PeerIdString,
  PeerInfo,
  Pin,
  PinInfo,
  PinMode,
  RaftPeer,
  TrackerStatus
} from '@quorate/client/api'

export interface AbortOptions {
  readonly signal?: AbortSignal
}

/** The part of a log that the parts of a peer write to. Each part gets a child of its own name. */
export interface Logger {
  debug(fields: object, message: string): void
  debug(message: string): void
  info(fields: object, message: string): void
  info(message: string): void
  warn(fields: object, message: string): void
  warn(message: string): void
  error(fields: object, message: string): void
  error(message: string): void
}

/** Started and stopped once, by the composition root, in a stated order. */
export interface Startable {
  start(options?: AbortOptions): Promise<void>
  stop(): Promise<void>
}

// --- state ------------------------------------------------------------------------------------------------------------------

/** The replicated pinset as this peer knows it (`state/`). Reads are local. */
export interface PinsetReader {
  get(cid: CidString): Promise<Pin | undefined>
  /** In the order of the CIDs' bytes, from a consistent view. */
  list(options?: AbortOptions): AsyncIterable<Pin>
  count(): number
}

/** What applying the log changed, in order; the only output of the state (`tracker/` listens). */
export type PinsetChange =
  | { readonly type: 'pin'; readonly pin: Pin }
  | { readonly type: 'unpin'; readonly cid: CidString; readonly pin: Pin }
  /** The state was replaced: compare everything. */
  | { readonly type: 'restored' }

// --- consensus --------------------------------------------------------------------------------------------------------------

export type ReadConsistency = 'default' | 'linearizable' | 'local'

/** Agreement on the pinset and on who is a member (`consensus/`). Writes may be made at any peer; they find the leader. */
export interface Consensus {
  /** Resolves once the pin is committed and applied on this peer. @throws {ConsensusUnavailableError} when there is no quorum in time */
  logPin(pin: Pin, options?: AbortOptions): Promise<void>
  /** Resolves likewise; answers the pin as it was. @throws {PinNotFoundError} */
  logUnpin(cid: CidString, options?: AbortOptions): Promise<Pin>
  /** Adds as a learner, waits until it has caught up, makes it a voter. No-op for a voter. */
  addPeer(peer: PeerIdString, options?: AbortOptions): Promise<void>
  /** No-op for a stranger. @throws {LastPeerError} */
  removePeer(peer: PeerIdString, options?: AbortOptions): Promise<void>
  /** All members, sorted; learners too. */
  peers(): readonly PeerIdString[]
  leader(): PeerIdString | undefined
  /** Makes reads that follow linearizable, or says why not. @throws {ConsensusUnavailableError} */
  readBarrier(options?: AbortOptions): Promise<void>
}

// --- IPFS -------------------------------------------------------------------------------------------------------------------

export interface PinProgress {
  /** Blocks, or bytes, fetched so far; grows while the pin makes headway. */
  readonly blocks: number
  readonly bytes: number
}

export interface IpfsPinOptions extends AbortOptions {
  readonly mode: PinMode
  /** Peers that are said to have the content: connected to first, at most 10, errors ignored. */
  readonly origins?: readonly MultiaddrString[]
  /** A pin that the new one shares most blocks with. */
  readonly updateFrom?: CidString | undefined
  /** Called as it makes headway; the tracker ends a pin that makes none for `pin_timeout`. */
  readonly onProgress?: (progress: PinProgress) => void
}

export interface IpfsBlock {
  readonly cid: CidString
  readonly bytes: Uint8Array
}

export interface RepoStat {
  readonly repoSizeBytes: number
  readonly storageMaxBytes: number
}

/**
 * An IPFS node (`ipfs/embedded`, `ipfs/kubo`); both pass the conformance suite in `test/ipfs/connector-suite.ts`. A pin is durable
 * when `pin` resolves. Every call rejects with `IpfsRequestError` when the node says no, and with `IpfsUnavailableError` when it cannot be asked.
 */
export interface IpfsConnector extends Startable {
  id(options?: AbortOptions): Promise<IpfsId>
  /** Fetches what is missing, for as long as the signal allows. Resolves at once if it is pinned already in this mode. */
  pin(cid: CidString, options: IpfsPinOptions): Promise<void>
  /** Resolves also if it was not pinned. Blocks stay until `repoGc`. */
  unpin(cid: CidString, options?: AbortOptions): Promise<void>
  /** Every root that is pinned, recursive and direct. */
  pinLs(options?: AbortOptions): AsyncIterable<{ cid: CidString; mode: PinMode }>
  /** How this root is pinned; undefined if it is not, or only as a part of another. */
  pinLsCid(cid: CidString, options?: AbortOptions): Promise<PinMode | undefined>
  /** `/ipfs/<cid>/a/b` or `/ipns/…` to the CID at its end. */
  resolve(path: string, options?: AbortOptions): Promise<CidString>
  /** Stores blocks, unpinned but safe from `repoGc` until the returned `release` is called. */
  putBlocks(blocks: AsyncIterable<IpfsBlock>, options?: AbortOptions): Promise<{ release(): void }>
  /** A block, from the network if it is not here. */
  getBlock(cid: CidString, options?: AbortOptions): Promise<Uint8Array>
  /** The bytes of a UnixFS file. */
  cat(cid: CidString, options?: AbortOptions): AsyncIterable<Uint8Array>
  /** Removes all blocks that no pin needs; yields what it removed. */
  repoGc(options?: AbortOptions): AsyncIterable<{ cid: CidString }>
  repoStat(options?: AbortOptions): Promise<RepoStat>
  /** IDs of the nodes it is connected to. */
  swarmPeers(options?: AbortOptions): Promise<readonly PeerIdString[]>
  /** Connects to the IPFS nodes of the other members; keeps at it in the background until the next call. */
  connectSwarm(addresses: readonly MultiaddrString[], options?: AbortOptions): Promise<void>
}

// --- tracker ----------------------------------------------------------------------------------------------------------------

/** Makes this peer's IPFS node match the pinset (`tracker/`). */
export interface PinTracker extends Startable {
  /** Takes note of a change; the work is done in the background and survives a restart. */
  onChange(change: PinsetChange): void
  /** This peer's copy of one pin; `unpinned` if the pinset does not have it. */
  status(cid: CidString, options?: AbortOptions): Promise<PinInfo>
  /** All of them, or those with one of these statuses. Includes what is being unpinned. */
  statusAll(filter: ReadonlySet<TrackerStatus> | undefined, options?: AbortOptions): AsyncIterable<PinInfo>
  /** Tries again at once what failed or is missing; answers the new status. @throws {PinNotFoundError} */
  recover(cid: CidString, options?: AbortOptions): Promise<PinInfo>
  recoverAll(options?: AbortOptions): AsyncIterable<PinInfo>
}

// --- monitor and allocation -------------------------------------------------------------------------------------------------

/** A value that a peer says of itself; others judge it valid until it expires, by their own clock from its arrival. */
export interface Metric {
  readonly name: string
  readonly peer: PeerIdString
  readonly value: string
  readonly weight: number
  readonly partitionable: boolean
  readonly valid: boolean
  readonly receivedAtMs: number
  readonly expireAtMs: number
}

/** Measures something of this peer (`informer/`). */
export interface Informer {
  readonly name: string
  readonly ttlMs: number
  measure(options?: AbortOptions): Promise<readonly Omit<Metric, 'peer' | 'receivedAtMs' | 'expireAtMs'>[]>
}

/** The latest metric of each peer and name (`monitor/`). */
export interface PeerMonitor {
  /** Unexpired and valid, of members only, sorted by peer. */
  latest(name: string): readonly Metric[]
  names(): readonly string[]
  /** The last known value of a peer, expired or not. */
  lastOf(name: string, peer: PeerIdString): Metric | undefined
}

// --- the peer ---------------------------------------------------------------------------------------------------------------

/** What the HTTP API calls (`cluster-peer.ts`). */
export interface ClusterPeer {
  readonly id: PeerIdString
  readonly version: string
  info(options?: AbortOptions): Promise<PeerInfo>
  peers(options?: AbortOptions): AsyncIterable<PeerInfo>
  peerAdd(peer: PeerIdString, options?: AbortOptions): Promise<PeerInfo>
  peerRemove(peer: PeerIdString, options?: AbortOptions): Promise<void>
  /** How each member stands in the agreement. */
  peersRaft(options?: AbortOptions): AsyncIterable<RaftPeer>
  /** Has the leader give way to `to`, or to the best voter; answers who leads then. */
  peersTransfer(to: PeerIdString | undefined, options?: AbortOptions): Promise<PeerIdString>
  /** Validates, allocates, commits; answers the pin as submitted. */
  pin(cid: CidString, options: import('@quorate/client/api').PinOptions, call?: AbortOptions): Promise<Pin>
  pinPath(path: string, options: import('@quorate/client/api').PinOptions, call?: AbortOptions): Promise<Pin>
  unpin(cid: CidString, call?: AbortOptions): Promise<Pin>
  unpinPath(path: string, call?: AbortOptions): Promise<Pin>
  allocation(cid: CidString, consistency: ReadConsistency, call?: AbortOptions): Promise<{ pin: Pin; stale: boolean }>
  allocations(call?: AbortOptions): AsyncIterable<Pin>
  status(cid: CidString, options: { local: boolean }, call?: AbortOptions): Promise<GlobalPinInfo>
  statusAll(
    options: { local: boolean; filter: ReadonlySet<TrackerStatus> | undefined },
    call?: AbortOptions
  ): AsyncIterable<GlobalPinInfo>
  recover(cid: CidString, options: { local: boolean }, call?: AbortOptions): Promise<GlobalPinInfo>
  recoverAll(options: { local: boolean }, call?: AbortOptions): AsyncIterable<GlobalPinInfo>
  /** Imports and pins; yields what it made, the root last. */
  add(
    files: AsyncIterable<AddEntry>,
    options: import('@quorate/client/api').AddOptions,
    call?: AbortOptions
  ): AsyncIterable<import('@quorate/client/api').AddedOutput>
  repoGc(options: { local: boolean }, call?: AbortOptions): AsyncIterable<RepoGcResult>
  /** The bytes of a UnixFS file, from this peer's IPFS node. */
  cat(path: string, call?: AbortOptions): AsyncIterable<Uint8Array>
}

/** What one peer's garbage collection did. */
export interface RepoGcResult {
  readonly peer: PeerIdString
  readonly peername: string
  readonly keys: readonly CidString[]
  readonly error: string
}

/** One part of an upload. `content` must be read to its end before the next entry is asked for. */
export interface AddEntry {
  /** Path inside the upload, cleaned, without a leading `/`. */
  readonly path: string
  readonly type: 'file' | 'directory' | 'symlink'
  readonly content: AsyncIterable<Uint8Array>
}
