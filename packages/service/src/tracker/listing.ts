/**
 * What the IPFS node has pinned, as of the beginning of a look, and what was pinned since: a list of a million pins takes a while,
 * and a pin that was completed meanwhile must not look missing. Used by `reconcile.ts` and `status.ts`.
 */

import type { CidString, Pin, PinMode } from '@quorate/client/api'
import type { IpfsConnector } from '../ports.ts'
import type { IpfsPinState } from './decide.ts'
import { idOf } from './operation-store.ts'

/** Beyond this many, what is missing from the list is asked for one by one. */
const MAX_PINNED_SINCE = 100_000

/** Knows of the looks that are being taken, and tells them of every pin that is completed. */
export class Listings {
  readonly #connector: IpfsConnector
  readonly #open = new Set<Listing>()

  constructor(connector: IpfsConnector) {
    this.#connector = connector
  }

  /** A pin was completed. */
  pinned(id: string): void {
    for (const listing of this.#open) listing.pinned(id)
  }

  /** Lists the node's pins. To be closed by the caller. @throws {IpfsUnavailableError | IpfsRequestError} */
  async open(signal: AbortSignal | undefined): Promise<Listing> {
    const listing = new Listing(this.#connector, () => this.#open.delete(listing))
    this.#open.add(listing)
    try {
      const options = signal === undefined ? {} : { signal }
      for await (const { cid, mode } of this.#connector.pinLs(options)) listing.modes.set(cid, mode)
    } catch (error) {
      listing.close()
      throw error
    }
    return listing
  }
}

export class Listing {
  readonly modes = new Map<CidString, PinMode>()
  readonly close: () => void
  readonly #connector: IpfsConnector
  readonly #since = new Set<string>()

  constructor(connector: IpfsConnector, close: () => void) {
    this.#connector = connector
    this.close = close
  }

  pinned(id: string): void {
    if (this.#since.size < MAX_PINNED_SINCE) this.#since.add(id)
  }

  /** How the node has the content of a pin. */
  async state(pin: Pin, signal: AbortSignal | undefined): Promise<IpfsPinState> {
    const mode = this.modes.get(pin.cid)
    if (mode !== undefined) return mode
    if (this.#since.has(idOf(pin.cid))) return pin.mode
    if (this.#since.size < MAX_PINNED_SINCE) return 'absent'
    return (await this.#connector.pinLsCid(pin.cid, signal === undefined ? {} : { signal })) ?? 'absent'
  }
}
