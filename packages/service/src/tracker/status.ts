/**
 * How this peer's copies stand, in IPFS Cluster's words, derived afresh for each question: from the operation if there is one,
 * else from the pinset, else from the IPFS node. Called by `tracker.ts`.
 *
 * Unlike IPFS Cluster's (`pintracker/stateless`): direct pins are looked up among the direct ones, unpins are always listed, and
 * a filter is applied to the status that would be shown without it.
 */

import type { CidString, IpfsId, PeerIdString, Pin, PinInfo, TrackerStatus } from '@quorate/client/api'
import type { AbortOptions, IpfsConnector, PinsetReader } from '../ports.ts'
import { concerns, covers, type IpfsPinState } from './decide.ts'
import type { Listing, Listings } from './listing.ts'
import { mergeById } from './merge.ts'
import { describeOperation, hasPriority, type Operation, type TrackerConfig } from './operation.ts'
import { idOf, type OperationStore } from './operation-store.ts'
import type { Runner } from './runner.ts'

export interface StatusComponents {
  readonly peerId: PeerIdString
  readonly peername: () => string
  readonly ipfsId: () => IpfsId | undefined
  readonly pinset: PinsetReader
  readonly connector: IpfsConnector
  readonly listings: Listings
  readonly store: OperationStore
  readonly runner: Runner
  readonly config: TrackerConfig
  readonly now: () => number
}

type Standing = Pick<PinInfo, 'status' | 'timestampMs' | 'error' | 'attemptCount' | 'priorityPin'>

/** Statuses for which the IPFS node has to be asked. */
const askedOfIpfs: readonly TrackerStatus[] = ['pinned', 'unexpectedly_unpinned', 'cluster_error']
/** Statuses that no operation has. */
const withoutOperation: readonly TrackerStatus[] = [...askedOfIpfs, 'remote', 'sharded', 'unpinned']

export class StatusReader {
  readonly #components: StatusComponents

  constructor(components: StatusComponents) {
    this.#components = components
  }

  async one(cid: CidString, options: AbortOptions): Promise<PinInfo> {
    const { pinset, store } = this.#components
    const id = idOf(cid)
    const pin = await pinset.get(cid)
    const operation = await store.get(id)
    if (operation !== undefined) return this.#info(cid, pin ?? operation.pin, this.#ofOperation(id, operation))
    const ofPinset = this.#ofPinset(pin)
    if (ofPinset !== undefined || pin === undefined) return this.#info(cid, pin, ofPinset ?? this.#unpinned())
    const standing = await this.#ofIpfs(
      pin,
      async () => (await this.#components.connector.pinLsCid(cid, options)) ?? 'absent'
    )
    if (standing.status === 'unexpectedly_unpinned') {
      // An operation may have begun, or ended with a pin, between the two questions.
      const begun = await store.get(id)
      if (begun !== undefined) return this.#info(cid, pin, this.#ofOperation(id, begun))
    }
    return this.#info(cid, pin, standing)
  }

  async *all(filter: ReadonlySet<TrackerStatus> | undefined, options: AbortOptions): AsyncGenerator<PinInfo> {
    const { store, pinset, listings } = this.#components
    const { signal } = options
    if (filter !== undefined && !withoutOperation.some((status) => filter.has(status))) {
      for await (const [id, operation] of store.operations(signal)) {
        const standing = this.#ofOperation(id, operation)
        if (filter.has(standing.status)) yield this.#info(operation.pin.cid, operation.pin, standing)
      }
      return
    }
    let listing: Listing | undefined
    let listingError: unknown
    if (filter === undefined || askedOfIpfs.some((status) => filter.has(status))) {
      try {
        listing = await listings.open(signal)
      } catch (error) {
        signal?.throwIfAborted()
        listingError = error
      }
    }
    try {
      for await (const { id, pin, other: operation } of mergeById(pinset.list(options), store.operations(signal))) {
        const known = operation?.pin ?? pin
        if (known === undefined) continue
        const standing =
          operation !== undefined
            ? this.#ofOperation(id, operation)
            : (this.#ofPinset(known) ??
              (await this.#ofIpfs(known, async () => {
                if (listing === undefined) throw listingError ?? new Error('the IPFS node was not asked')
                return await listing.state(known, signal)
              })))
        if (filter === undefined || filter.has(standing.status)) yield this.#info(known.cid, pin ?? known, standing)
      }
    } finally {
      listing?.close()
    }
  }

  #ofOperation(id: string, operation: Operation): Standing {
    const { runner, config, now } = this.#components
    const running = runner.isRunning(id)
    const waits = runner.ipfsError
    let error = describeOperation(operation, running, now())
    if (!running && waits !== undefined) error = `waits for the IPFS node, which cannot be reached: ${waits}`
    return {
      status: statusOf(operation, running),
      timestampMs: operation.changedAtMs,
      error,
      attemptCount: operation.attempts,
      priorityPin: hasPriority(operation, config, now())
    }
  }

  #ofPinset(pin: Pin | undefined): Standing | undefined {
    if (pin === undefined) return this.#unpinned()
    if (pin.type === 'meta-pin') return settled('sharded', pin.timestampMs)
    return concerns(pin, this.#components.peerId) ? undefined : settled('remote', pin.timestampMs)
  }

  async #ofIpfs(pin: Pin, ask: () => Promise<IpfsPinState>): Promise<Standing> {
    try {
      if (covers(await ask(), pin)) return settled('pinned', pin.timestampMs)
      return settled(
        'unexpectedly_unpinned',
        pin.timestampMs,
        'it should be pinned here and is not: it will be tried again, or at once with recover'
      )
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      return settled(
        'cluster_error',
        this.#components.now(),
        `the IPFS node does not tell whether it is pinned: ${reason}`
      )
    }
  }

  #unpinned(): Standing {
    return settled('unpinned', this.#components.now())
  }

  #info(cid: CidString, pin: Pin | undefined, standing: Standing): PinInfo {
    const { peerId, peername, ipfsId, now } = this.#components
    const ipfs = ipfsId()
    return {
      cid,
      name: pin?.name ?? '',
      peer: peerId,
      allocations: pin?.allocations ?? [],
      origins: pin?.origins ?? [],
      createdMs: pin?.timestampMs ?? now(),
      metadata: pin?.metadata ?? {},
      peername: peername(),
      ipfsPeerId: ipfs?.id,
      ipfsPeerAddresses: ipfs?.addresses ?? [],
      ...standing
    }
  }
}

function settled(status: TrackerStatus, timestampMs: number, error = ''): Standing {
  return { status, timestampMs, error, attemptCount: 0, priorityPin: false }
}

function statusOf(operation: Operation, running: boolean): TrackerStatus {
  if (operation.kind === 'pin') return running ? 'pinning' : operation.phase === 'error' ? 'pin_error' : 'pin_queued'
  return running ? 'unpinning' : operation.phase === 'error' ? 'unpin_error' : 'unpin_queued'
}
