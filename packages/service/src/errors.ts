/**
 * What can go wrong with a peer's own operations. Each class has a `code` that `client/src/api/error-codes.ts` maps to an HTTP
 * status; `http/error-response.ts` does it. Errors of a part of its own (IPFS, configuration, allocation) stand with that part.
 */

/** The CID is not in the pinset. The text is what IPFS Cluster's clients recognise. */
export class PinNotFoundError extends Error {
  static override readonly name = 'PinNotFoundError'
  override readonly name = 'PinNotFoundError'
  readonly code = 'pin-not-found'
  readonly cid: string

  constructor(cid: string) {
    super('pin is not part of the pinset')
    this.cid = cid
  }
}

/** There was no leader with a majority in time. A write may or may not have been done: `outcome` says which. */
export class ConsensusUnavailableError extends Error {
  static override readonly name = 'ConsensusUnavailableError'
  override readonly name = 'ConsensusUnavailableError'
  readonly code = 'consensus-unavailable'
  readonly outcome: 'not-done' | 'unknown'

  constructor(message: string, outcome: 'not-done' | 'unknown', options?: ErrorOptions) {
    super(message, options)
    this.outcome = outcome
  }
}

/** The last member cannot be removed: the pinset would be nowhere. */
export class LastPeerError extends Error {
  static override readonly name = 'LastPeerError'
  override readonly name = 'LastPeerError'
  readonly code = 'last-peer'

  constructor() {
    super('cannot remove ourselves from a 1-peer cluster')
  }
}

/** A request makes no sense as it stands: an option out of range, or in conflict with what is pinned. */
export class InvalidPinError extends Error {
  static override readonly name = 'InvalidPinError'
  override readonly name = 'InvalidPinError'
  readonly code = 'invalid-pin'
}

/** The daemon cannot start, or go on, and says what the operator has to know. Ends the process with exit code 1. */
export class StartError extends Error {
  static override readonly name = 'StartError'
  override readonly name = 'StartError'
  readonly code = 'cannot-start'
}
