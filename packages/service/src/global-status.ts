/**
 * Status of the whole cluster from the status of each peer: whom to ask, how long to wait, and what to say of those who do not
 * answer. `cluster-peer.ts` calls it; each peer answers from its tracker.
 *
 * Listings are merged as they stream in, in the order of the CIDs, so that a list of a million pins is never held in memory.
 */

import type {
  CidString,
  GlobalPinInfo,
  PeerIdString,
  Pin,
  PinInfo,
  PinInfoShort,
  TrackerStatus
} from '@quorate/client/api'

/** A peer that has not answered for so long is shown as not reachable; the others' answers are not held up longer. */
export const STATUS_TIMEOUT_MS = 5_000

export interface PeerLabel {
  readonly id: PeerIdString
  readonly peername: string
}

/** The copy on a peer that was not asked, or did not answer. */
export function synthesize(label: PeerLabel, status: TrackerStatus, error: string, timestampMs: number): PinInfoShort {
  return {
    peername: label.peername,
    ipfsPeerId: undefined,
    ipfsPeerAddresses: [],
    status,
    timestampMs,
    error,
    attemptCount: 0,
    priorityPin: false
  }
}

export const shortOf = (info: PinInfo): PinInfoShort => ({
  peername: info.peername,
  ipfsPeerId: info.ipfsPeerId,
  ipfsPeerAddresses: info.ipfsPeerAddresses,
  status: info.status,
  timestampMs: info.timestampMs,
  error: info.error,
  attemptCount: info.attemptCount,
  priorityPin: info.priorityPin
})

/** The head of a global item: from the pin, or of a CID that is not pinned. */
export function globalOf(
  cid: CidString,
  pin: Pin | undefined,
  peerMap: Record<PeerIdString, PinInfoShort>,
  nowMs: number
): GlobalPinInfo {
  return {
    cid,
    name: pin?.name ?? '',
    allocations: pin?.allocations ?? [],
    origins: pin?.origins ?? [],
    createdMs: pin?.timestampMs ?? nowMs,
    metadata: pin?.metadata ?? {},
    peerMap
  }
}

/** One item from one peer's copy. */
export const globalOfInfo = (info: PinInfo, peerMap: Record<PeerIdString, PinInfoShort>): GlobalPinInfo => ({
  cid: info.cid,
  name: info.name,
  allocations: info.allocations,
  origins: info.origins,
  createdMs: info.createdMs,
  metadata: info.metadata,
  peerMap
})

/** One peer's part in a listing. */
export interface Listing {
  readonly label: PeerLabel
  /** In an order all peers share. */
  readonly infos: AsyncIterable<PinInfo>
}

/**
 * Merges listings, each sorted by `compare`, into one. A peer whose listing fails is shown as `cluster_error`, with the reason, in
 * every item from then on.
 *
 * @throws the failure, once none of the listings is left: an end would say that there are no more items
 */
export async function* mergeListings(
  listings: readonly Listing[],
  compare: (a: CidString, b: CidString) => number,
  now: () => number
): AsyncGenerator<GlobalPinInfo> {
  const heads = listings.map((listing) => ({
    label: listing.label,
    iterator: listing.infos[Symbol.asyncIterator](),
    next: undefined as PinInfo | undefined,
    failure: undefined as { readonly error: unknown } | undefined
  }))
  const advance = async (head: (typeof heads)[number]): Promise<void> => {
    try {
      const result = await head.iterator.next()
      head.next = result.done === true ? undefined : result.value
    } catch (error) {
      head.next = undefined
      head.failure = { error }
    }
  }
  try {
    await Promise.all(heads.map(advance))
    for (;;) {
      let first: PinInfo | undefined
      for (const { next } of heads)
        if (next !== undefined && (first === undefined || compare(next.cid, first.cid) < 0)) first = next
      if (first === undefined) {
        const [head] = heads
        if (head?.failure !== undefined && heads.every(({ failure }) => failure !== undefined)) throw head.failure.error
        return
      }
      const peerMap: Record<PeerIdString, PinInfoShort> = {}
      const taken: typeof heads = []
      for (const head of heads) {
        if (head.failure !== undefined)
          peerMap[head.label.id] = synthesize(head.label, 'cluster_error', messageOf(head.failure.error), now())
        else if (head.next?.cid === first.cid) {
          peerMap[head.label.id] = shortOf(head.next)
          taken.push(head)
        }
      }
      yield globalOfInfo(first, peerMap)
      for (const head of taken) await advance(head)
    }
  } finally {
    await Promise.allSettled(heads.map((head) => head.iterator.return?.()))
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
