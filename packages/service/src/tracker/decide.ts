/**
 * What this peer should do about one CID, from what is known of it: the heart of the tracker, without effects. `tracker.ts` asks
 * it at every change of the pinset and `reconcile.ts` at every comparison; asking again with the same facts changes nothing.
 */

import type { PeerIdString, Pin, PinMode } from '@quorate/client/api'
import { queuedOperation } from './operation.ts'
import type { Entry } from './operation-store.ts'

/** How the IPFS node has a CID: `absent` if not as a root, `unknown` if it was not asked. */
export type IpfsPinState = PinMode | 'absent' | 'unknown'

/** True if this peer is to hold the content of a pin. */
export function concerns(pin: Pin, peerId: PeerIdString): boolean {
  return pin.type !== 'meta-pin' && (pin.allocations.length === 0 || pin.allocations.includes(peerId))
}

/** True if the IPFS node has what the pin asks for: a recursive pin holds all that a direct one would. */
export function covers(state: IpfsPinState, pin: Pin): boolean {
  return state === 'recursive' || state === pin.mode
}

/**
 * After a change of the pinset.
 * @param pin the pin now; undefined if it was removed
 * @param removed the pin that was removed
 */
export function decideOnChange(
  entry: Entry,
  pin: Pin | undefined,
  removed: Pin | undefined,
  peerId: PeerIdString,
  nowMs: number
): Entry {
  if (pin !== undefined && concerns(pin, peerId)) {
    // Also if it is pinned: the IPFS node finds that out at once, and it may have lost it.
    return { operation: queuedOperation('pin', pin, nowMs, entry.operation), held: true }
  }
  // What was never ours stays, unless it was to be: a tracker that lost its memory must not leave orphans behind.
  const ours = entry.held || entry.operation !== undefined || (removed !== undefined && concerns(removed, peerId))
  const last = pin ?? removed ?? entry.operation?.pin
  if (!ours || last === undefined) return entry
  return { operation: queuedOperation('unpin', last, nowMs, entry.operation), held: true }
}

/**
 * When the pinset is compared with the IPFS node. The node was listed some time ago, so the list decides only where no operation
 * is under way or waiting: an operation finds out by itself, and soon, that nothing is left to do.
 * @param placeholder makes a pin to name an unpin by whose pin is not known any more
 */
export function decideOnCompare(
  entry: Entry,
  pin: Pin | undefined,
  ipfs: IpfsPinState,
  peerId: PeerIdString,
  nowMs: number,
  placeholder: () => Pin
): Entry {
  const { operation, held } = entry
  if (pin !== undefined && concerns(pin, peerId)) {
    if (operation?.kind === 'pin') return entry
    if (operation === undefined && ipfs === 'unknown') return entry
    if (operation === undefined && covers(ipfs, pin)) return held ? entry : { operation: undefined, held: true }
    return { operation: queuedOperation('pin', pin, nowMs), held: true }
  }
  if (operation?.kind === 'unpin') return entry
  if (operation === undefined) {
    // Not held: pinned at the node by somebody else, or nothing at all.
    if (!held || ipfs === 'unknown') return entry
    if (ipfs === 'absent') return { operation: undefined, held: false }
  }
  return { operation: queuedOperation('unpin', pin ?? operation?.pin ?? placeholder(), nowMs), held: true }
}
