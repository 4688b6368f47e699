/**
 * The objects of the HTTP API, as the code uses them: camelCase, times in milliseconds since the Unix epoch, absent things
 * `undefined`. `codecs.ts` turns them into the JSON of IPFS Cluster 1.1 and back. CIDs, peer IDs and multiaddrs are strings in
 * canonical form: a CIDv0 in base58btc, a CIDv1 in base32; a peer ID in base58btc; a multiaddr as its own text form.
 */

export type CidString = string
export type PeerIdString = string
export type MultiaddrString = string

export type PinMode = 'recursive' | 'direct'

/** `pin` is ordinary data; the others belong to sharded DAGs. */
export type PinType = 'pin' | 'meta-pin' | 'clusterdag-pin' | 'shard-pin'

export interface PinOptions {
  /** -1: on every peer. 0 in a request: the peer's default. */
  readonly replicationFactorMin: number
  readonly replicationFactorMax: number
  readonly name: string
  readonly mode: PinMode
  readonly shardSizeBytes: number
  /** Peers to prefer; a wish of this request, not stored. */
  readonly userAllocations: readonly PeerIdString[]
  /** Undefined: never. Stored to the second. */
  readonly expireAtMs: number | undefined
  readonly metadata: Readonly<Record<string, string>>
  readonly pinUpdate: CidString | undefined
  readonly origins: readonly MultiaddrString[]
}

export interface Pin extends PinOptions {
  readonly cid: CidString
  readonly type: PinType
  /** Empty: every peer. */
  readonly allocations: readonly PeerIdString[]
  /** -1 recursive, 0 direct. */
  readonly maxDepth: number
  readonly reference: CidString | undefined
  /** When the pin was submitted. */
  readonly timestampMs: number
}

/** IPFS Cluster's names; `pin_error` and the like are states of one peer's copy. */
export type TrackerStatus =
  | 'undefined'
  | 'cluster_error'
  | 'pin_error'
  | 'unpin_error'
  | 'pinned'
  | 'pinning'
  | 'unpinning'
  | 'unpinned'
  | 'remote'
  | 'pin_queued'
  | 'unpin_queued'
  | 'sharded'
  | 'unexpectedly_unpinned'

/** What can be asked for in a filter: a status, or a family of them. */
export type TrackerStatusFilter = TrackerStatus | 'error' | 'queued'

/** One peer's copy of a pin, as it stands in a `GlobalPinInfo`. */
export interface PinInfoShort {
  readonly peername: string
  readonly ipfsPeerId: PeerIdString | undefined
  readonly ipfsPeerAddresses: readonly MultiaddrString[]
  readonly status: TrackerStatus
  readonly timestampMs: number
  /** Why; empty when all is well. */
  readonly error: string
  readonly attemptCount: number
  readonly priorityPin: boolean
}

/** One peer's copy of a pin, with the pin it is a copy of. */
export interface PinInfo extends PinInfoShort {
  readonly cid: CidString
  readonly name: string
  readonly peer: PeerIdString
  readonly allocations: readonly PeerIdString[]
  readonly origins: readonly MultiaddrString[]
  readonly createdMs: number
  readonly metadata: Readonly<Record<string, string>>
}

export interface GlobalPinInfo {
  readonly cid: CidString
  readonly name: string
  readonly allocations: readonly PeerIdString[]
  readonly origins: readonly MultiaddrString[]
  readonly createdMs: number
  readonly metadata: Readonly<Record<string, string>>
  readonly peerMap: Readonly<Record<PeerIdString, PinInfoShort>>
}

export interface IpfsId {
  /** Undefined when it could not be asked. */
  readonly id: PeerIdString | undefined
  readonly addresses: readonly MultiaddrString[]
  readonly error: string
}

export interface PeerInfo {
  readonly id: PeerIdString
  readonly addresses: readonly MultiaddrString[]
  /** All members, this peer too, sorted. */
  readonly clusterPeers: readonly PeerIdString[]
  readonly clusterPeersAddresses: readonly MultiaddrString[]
  readonly version: string
  readonly commit: string
  readonly rpcProtocolVersion: string
  /** Not empty: the peer could not be asked, and only `id` is known. */
  readonly error: string
  readonly ipfs: IpfsId
  readonly peername: string
}

export interface AddedOutput {
  readonly name: string
  /** Undefined in a progress item. */
  readonly cid: CidString | undefined
  readonly bytes: number
  readonly size: number
  readonly allocations: readonly PeerIdString[]
}

/** Options of `/add` beside those of the pin. */
export interface AddOptions extends PinOptions {
  readonly layout: 'balanced' | 'trickle'
  /** `size-<bytes>` or `rabin-<min>-<avg>-<max>`. */
  readonly chunker: string
  /** Multihash name. */
  readonly hash: string
  readonly format: 'unixfs' | 'car'
  readonly local: boolean
  readonly recursive: boolean
  readonly hidden: boolean
  readonly wrapWithDirectory: boolean
  readonly shard: boolean
  readonly progress: boolean
  readonly cidVersion: 0 | 1
  readonly rawLeaves: boolean
  readonly streamChannels: boolean
  readonly nocopy: boolean
  readonly noPin: boolean
}

export interface VersionInfo {
  readonly version: string
}

/** One key that a garbage collection removed, or failed to. */
export interface RepoGcKey {
  /** Undefined when the failure concerns no key in particular. */
  readonly key: CidString | undefined
  /** Why it could not be removed; empty when it was. */
  readonly error: string
}

/** What one peer's garbage collection did. */
export interface RepoGc {
  readonly peer: PeerIdString
  readonly peername: string
  readonly keys: readonly RepoGcKey[]
  /** Why the whole of it failed; empty when it ran. */
  readonly error: string
}

export interface GlobalRepoGc {
  readonly peerMap: Readonly<Record<PeerIdString, RepoGc>>
}

/** How fresh the answer to a read of one pin has to be; see `docs/errors.md` for what happens without a quorum. */
export type Consistency = 'default' | 'linearizable' | 'local'
