/**
 * What a peer can do, in the words of its API (step 3 of `docs/life-of-a-pin.md`): validate, look at what is there, allocate, commit;
 * and ask all peers for their part of a status. `http/routes` calls it, `daemon/compose.ts` makes it.
 */

import {
  type AddedOutput,
  type AddOptions,
  ApiError,
  type CidString,
  ConsensusUnavailableError,
  errorCodes,
  type GlobalPinInfo,
  InvalidPinError,
  type PeerIdString,
  type PeerInfo,
  type Pin,
  type PinInfo,
  type PinInfoShort,
  PinNotFoundError,
  type PinOptions,
  parseContentPath,
  type RaftPeer,
  type TrackerStatus
} from '@quorate/client/api'
import { addFiles } from './adder/add-files.ts'
import type { Leadership } from './consensus/leadership.ts'
import type { RaftConsensus } from './consensus/raft-consensus.ts'
import {
  globalOf,
  globalOfInfo,
  mergeListings,
  type PeerLabel,
  STATUS_TIMEOUT_MS,
  shortOf,
  synthesize
} from './global-status.ts'
import type { PeerDirectory } from './peer-directory.ts'
import { isEverywhere, preparePin, prepareUpdate, type ReplicationDefaults } from './pin-request.ts'
import type {
  AbortOptions,
  AddEntry,
  ClusterPeer,
  IpfsConnector,
  Logger,
  PinsetReader,
  PinTracker,
  ReadConsistency,
  RepoGcResult
} from './ports.ts'
import type { PeerRpc } from './rpc/peer-rpc.ts'
import { compareCids } from './state/cid-order.ts'

/** A garbage collection looks at every pin before it removes the first block, and answers in batches. */
const GC_SILENCE_MS = 60 * 60 * 1000

/** Chooses the peers of a pin that does not go everywhere. */
export type AllocatePin = (request: {
  readonly pin: Pin
  readonly existing: Pin | undefined
  readonly userAllocations: readonly PeerIdString[]
}) => readonly PeerIdString[]

export interface ClusterPeerComponents {
  readonly consensus: RaftConsensus
  readonly leadership: Pick<Leadership, 'status' | 'transfer'>
  readonly pinset: PinsetReader
  readonly tracker: PinTracker
  readonly connector: IpfsConnector
  readonly rpc: PeerRpc
  readonly directory: PeerDirectory
  readonly allocate: AllocatePin
  readonly logger: Logger
}

export interface ClusterPeerInit {
  readonly id: PeerIdString
  readonly version: string
  readonly replication: ReplicationDefaults
  /** How long a read waits for a leader before it answers from local state. */
  readonly readTimeoutMs: number
  readonly followerMode: boolean
}

export class QuorateClusterPeer implements ClusterPeer {
  readonly id: PeerIdString
  readonly version: string
  private readonly parts: ClusterPeerComponents
  private readonly init: ClusterPeerInit

  constructor(components: ClusterPeerComponents, init: ClusterPeerInit) {
    this.parts = components
    this.init = init
    this.id = init.id
    this.version = init.version
    this.answerPeers()
  }

  info(options: AbortOptions = {}): Promise<PeerInfo> {
    return this.parts.directory.info(options)
  }

  peers(options: AbortOptions = {}): AsyncIterable<PeerInfo> {
    return this.parts.directory.peers(options)
  }

  async peerAdd(peer: PeerIdString, options: AbortOptions = {}): Promise<PeerInfo> {
    this.refuseFollower()
    await this.parts.consensus.addPeer(peer, options)
    return await this.parts.directory.infoOf(peer, options)
  }

  async peerRemove(peer: PeerIdString, options: AbortOptions = {}): Promise<void> {
    this.refuseFollower()
    await this.parts.consensus.removePeer(peer, options)
  }

  peersRaft(options: AbortOptions = {}): AsyncIterable<RaftPeer> {
    return this.parts.leadership.status(options)
  }

  async peersTransfer(to: PeerIdString | undefined, options: AbortOptions = {}): Promise<PeerIdString> {
    this.refuseFollower()
    return await this.parts.leadership.transfer(to, options)
  }

  // --- pins -----------------------------------------------------------------------------------------------------------------

  async pin(cid: CidString, options: PinOptions, call: AbortOptions = {}): Promise<Pin> {
    this.refuseFollower()
    const { pinset, consensus } = this.parts
    const existing = await pinset.get(cid)
    let pin: Pin
    if (options.pinUpdate !== undefined && options.pinUpdate !== cid) {
      const source = await pinset.get(options.pinUpdate)
      if (source === undefined) throw new PinNotFoundError()
      pin = prepareUpdate(cid, options, source, Date.now())
    } else {
      pin = this.withAllocations(
        preparePin(cid, options, existing, this.init.replication, Date.now()),
        existing,
        options.userAllocations
      )
    }
    await consensus.logPin(pin, call)
    return pin
  }

  async pinPath(path: string, options: PinOptions, call: AbortOptions = {}): Promise<Pin> {
    return await this.pin(await this.resolve(path, call), options, call)
  }

  async unpin(cid: CidString, call: AbortOptions = {}): Promise<Pin> {
    this.refuseFollower()
    const existing = await this.parts.pinset.get(cid)
    if (existing !== undefined && existing.type !== 'pin') {
      throw new InvalidPinError(`cannot unpin a ${existing.type}: it is part of a sharded DAG`)
    }
    return await this.parts.consensus.logUnpin(cid, call)
  }

  async unpinPath(path: string, call: AbortOptions = {}): Promise<Pin> {
    return await this.unpin(await this.resolve(path, call), call)
  }

  async allocation(
    cid: CidString,
    consistency: ReadConsistency,
    call: AbortOptions = {}
  ): Promise<{ pin: Pin; stale: boolean }> {
    const stale = await this.readBarrier(consistency, call)
    const pin = await this.parts.pinset.get(cid)
    if (pin === undefined) throw new PinNotFoundError()
    return { pin, stale }
  }

  allocations(call: AbortOptions = {}): AsyncIterable<Pin> {
    return this.parts.pinset.list(call)
  }

  // --- status ---------------------------------------------------------------------------------------------------------------

  async status(cid: CidString, { local }: { local: boolean }, call: AbortOptions = {}): Promise<GlobalPinInfo> {
    return await this.global(cid, local, call, {
      here: () => this.parts.tracker.status(cid, call),
      there: (peer, signal) =>
        this.parts.rpc.call(peer, 'Tracker.status', { cid }, { signal, timeoutMs: STATUS_TIMEOUT_MS })
    })
  }

  async *statusAll(
    { local, filter }: { local: boolean; filter: ReadonlySet<TrackerStatus> | undefined },
    call: AbortOptions = {}
  ): AsyncIterable<GlobalPinInfo> {
    yield* this.globalListing(local, call, {
      here: () => this.parts.tracker.statusAll(filter, call),
      there: (peer) =>
        this.parts.rpc.stream(peer, 'Tracker.statusAll', filter === undefined ? {} : { filter: [...filter] }, call)
    })
  }

  async recover(cid: CidString, { local }: { local: boolean }, call: AbortOptions = {}): Promise<GlobalPinInfo> {
    return await this.global(cid, local, call, {
      here: () => this.parts.tracker.recover(cid, call),
      there: (peer, signal) =>
        this.parts.rpc.call(peer, 'Tracker.recover', { cid }, { signal, timeoutMs: STATUS_TIMEOUT_MS })
    })
  }

  async *recoverAll({ local }: { local: boolean }, call: AbortOptions = {}): AsyncIterable<GlobalPinInfo> {
    yield* this.globalListing(local, call, {
      here: () => this.parts.tracker.recoverAll(call),
      there: (peer) => this.parts.rpc.stream(peer, 'Tracker.recoverAll', null, call)
    })
  }

  // --- content --------------------------------------------------------------------------------------------------------------

  /** Imports into this peer's IPFS node, then pins the root; the other peers fetch it from here. */
  async *add(files: AsyncIterable<AddEntry>, options: AddOptions, call: AbortOptions = {}): AsyncIterable<AddedOutput> {
    this.refuseFollower()
    if (options.shard) throw new InvalidPinError('shard=true: sharding of added content is not supported')
    if (options.nocopy) throw new InvalidPinError('nocopy=true: content is always copied into the IPFS node')
    const { connector } = this.parts
    const added = addFiles({ entries: files, options, connector, ...call })
    try {
      for (;;) {
        const step = await added.next()
        if (step.done === true) {
          try {
            if (!options.noPin)
              await this.pin(step.value.root, { ...options, mode: 'recursive', pinUpdate: undefined }, call)
          } finally {
            step.value.release()
          }
          return
        }
        yield step.value
      }
    } finally {
      await added.return?.(undefined as never)
    }
  }

  async *repoGc({ local }: { local: boolean }, call: AbortOptions = {}): AsyncIterable<RepoGcResult> {
    for (const { id, peername } of local ? [this.directory.label(this.id)] : this.directory.labels()) {
      const keys: CidString[] = []
      let error = ''
      try {
        const removed =
          id === this.id
            ? this.parts.connector.repoGc(call)
            : this.parts.rpc.stream(id, 'Ipfs.repoGc', null, { ...call, timeoutMs: GC_SILENCE_MS })
        for await (const { cid } of removed) keys.push(cid)
      } catch (reason) {
        error = messageOf(reason)
      }
      yield { peer: id, peername, keys, error }
    }
  }

  async *cat(path: string, call: AbortOptions = {}): AsyncIterable<Uint8Array> {
    yield* this.parts.connector.cat(await this.resolve(path, call), call)
  }

  // --- within ---------------------------------------------------------------------------------------------------------------

  private get directory(): PeerDirectory {
    return this.parts.directory
  }

  /** What this peer answers to other members. */
  private answerPeers(): void {
    const { rpc, tracker, connector } = this.parts
    rpc.handle('Tracker.status', ({ cid }, { signal }) => tracker.status(cid, { signal }))
    rpc.handle('Tracker.recover', ({ cid }, { signal }) => tracker.recover(cid, { signal }))
    rpc.handleStream('Tracker.statusAll', ({ filter }, { signal }) =>
      tracker.statusAll(filter === undefined ? undefined : new Set(filter), { signal })
    )
    rpc.handleStream('Tracker.recoverAll', (_request, { signal }) => tracker.recoverAll({ signal }))
    rpc.handleStream('Ipfs.repoGc', (_request, { signal }) => connector.repoGc({ signal }))
  }

  private withAllocations(pin: Pin, existing: Pin | undefined, userAllocations: readonly PeerIdString[]): Pin {
    return isEverywhere(pin)
      ? pin
      : { ...pin, allocations: [...this.parts.allocate({ pin, existing, userAllocations })] }
  }

  private async resolve(path: string, call: AbortOptions): Promise<CidString> {
    const { namespace, root, segments } = parseContentPath(path)
    return namespace !== 'ipns' && segments.length === 0 ? root : await this.parts.connector.resolve(path, call)
  }

  /**
   * Makes the reads that follow linearizable. Without a quorum, a read that did not insist is answered from local state.
   *
   * @returns whether what follows may be stale
   * @throws {ConsensusUnavailableError} when `linearizable` was asked for and cannot be had
   */
  private async readBarrier(consistency: ReadConsistency, call: AbortOptions): Promise<boolean> {
    if (consistency === 'local') return false
    const timeout = AbortSignal.timeout(this.init.readTimeoutMs)
    try {
      await this.parts.consensus.readBarrier({
        signal: call.signal === undefined ? timeout : AbortSignal.any([timeout, call.signal])
      })
      return false
    } catch (error) {
      call.signal?.throwIfAborted()
      if (consistency === 'linearizable' || !(error instanceof ConsensusUnavailableError)) throw error
      return true
    }
  }

  private refuseFollower(): void {
    if (this.init.followerMode) {
      throw new ApiError('read-only', errorCodes['read-only'].message)
    }
  }

  /** One CID at all peers: those that hold it are asked, the others stand as `remote`. */
  private async global(
    cid: CidString,
    local: boolean,
    call: AbortOptions,
    ask: { here: () => Promise<PinInfo>; there: (peer: PeerIdString, signal: AbortSignal) => Promise<PinInfo> }
  ): Promise<GlobalPinInfo> {
    const now = Date.now()
    if (local) {
      const info = await ask.here()
      return globalOfInfo(info, { [this.id]: shortOf(info) })
    }
    const pin = await this.parts.pinset.get(cid)
    const signal = call.signal ?? AbortSignal.timeout(2 * STATUS_TIMEOUT_MS)
    const copy = async (label: PeerLabel): Promise<PinInfoShort> => {
      if (pin !== undefined && pin.allocations.length > 0 && !pin.allocations.includes(label.id)) {
        return synthesize(label, 'remote', '', now)
      }
      try {
        return shortOf(label.id === this.id ? await ask.here() : await ask.there(label.id, signal))
      } catch (error) {
        // A recover of what is not pinned fails at every peer in the same way: that is an answer.
        if (pin === undefined && (error as { code?: unknown }).code === 'pin-not-found')
          return synthesize(label, 'unpinned', '', now)
        return synthesize(label, 'cluster_error', messageOf(error), now)
      }
    }
    const entries = await Promise.all(
      this.directory.labels().map(async (label) => [label.id, await copy(label)] as const)
    )
    return globalOf(cid, pin, Object.fromEntries(entries), now)
  }

  private async *globalListing(
    local: boolean,
    _call: AbortOptions,
    ask: { here: () => AsyncIterable<PinInfo>; there: (peer: PeerIdString) => AsyncIterable<PinInfo> }
  ): AsyncIterable<GlobalPinInfo> {
    const labels = local ? [this.directory.label(this.id)] : this.directory.labels()
    const listings = labels.map((label) => ({ label, infos: label.id === this.id ? ask.here() : ask.there(label.id) }))
    yield* mergeListings(listings, compareCids, Date.now)
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
