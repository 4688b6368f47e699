/**
 * Compares three things and queues what is missing: the pinset, the pins of the IPFS node, and what this tracker holds for the
 * cluster. Called by `tracker.ts` at start, every `pin_recover_interval`, after the state was replaced by a snapshot, and when
 * the IPFS node is back.
 *
 * Pins that somebody made at the node without the cluster are left alone; pins that were made for the cluster are removed when
 * the pinset no longer has them, even if the removal itself was never seen. IPFS Cluster does neither the one after a snapshot
 * nor the other for a failed unpin.
 */

import { defaultPinOptions, type PeerIdString, type Pin } from '@quorate/client/api'
import type { PinsetReader } from '../ports.ts'
import { cidFromBytes } from '../state/pin-codec.ts'
import { decideOnCompare } from './decide.ts'
import type { Listing, Listings } from './listing.ts'
import { mergeById } from './merge.ts'
import type { OperationStore, Update } from './operation-store.ts'

const BATCH_ROWS = 256

export interface ReconcileComponents {
  readonly peerId: PeerIdString
  readonly pinset: PinsetReader
  readonly listings: Listings
  readonly store: OperationStore
  readonly now: () => number
  /** To be told of each change, before anything else is written. */
  readonly onUpdate: (update: Update) => void
}

/** Answers how many operations were queued. @throws {IpfsUnavailableError | IpfsRequestError} when the node cannot be listed */
export async function reconcile(components: ReconcileComponents, signal: AbortSignal): Promise<number> {
  const { pinset, listings, store } = components
  const listing = await listings.open(signal)
  try {
    let queued = 0
    let rows: { id: string; pin: Pin | undefined }[] = []
    for await (const row of mergeById(pinset.list({ signal }), withValue(store.held(signal)))) {
      rows.push(row)
      if (rows.length < BATCH_ROWS) continue
      queued += await settle(components, listing, rows, signal)
      rows = []
    }
    return queued + (await settle(components, listing, rows, signal))
  } finally {
    listing.close()
  }
}

async function settle(
  components: ReconcileComponents,
  listing: Listing,
  rows: readonly { id: string; pin: Pin | undefined }[],
  signal: AbortSignal
): Promise<number> {
  const { peerId, pinset, store, now } = components
  return await store.exclusive(async () => {
    const entries = await store.entries(rows.map((row) => row.id))
    const updates: Update[] = []
    for (const [position, { id, pin: listed }] of rows.entries()) {
      const before = entries[position]
      if (before === undefined) continue
      const placeholder = (): Pin => placeholderPin(id)
      const decide = async (pin: Pin | undefined) => {
        const ipfs = await listing.state(pin ?? placeholder(), signal)
        return decideOnCompare(before, pin, ipfs, peerId, now(), placeholder)
      }
      if ((await decide(listed)) === before) continue
      // The pinset was listed some time ago; what is done goes by what it is now.
      const after = await decide(await pinset.get(listed?.cid ?? placeholder().cid))
      if (after !== before) updates.push({ id, before, after })
    }
    await store.write(updates)
    for (const update of updates) components.onUpdate(update)
    return updates.filter(({ before, after }) => after.operation !== undefined && after.operation !== before.operation)
      .length
  })
}

async function* withValue(ids: AsyncIterable<string>): AsyncGenerator<[string, true]> {
  for await (const id of ids) yield [id, true]
}

/** A pin that is known by its CID only. */
function placeholderPin(id: string): Pin {
  return {
    cid: cidFromBytes(Buffer.from(id, 'hex')),
    type: 'pin',
    ...defaultPinOptions,
    replicationFactorMin: -1,
    replicationFactorMax: -1,
    allocations: [],
    maxDepth: -1,
    reference: undefined,
    timestampMs: 0
  }
}
