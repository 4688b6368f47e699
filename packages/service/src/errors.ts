/**
 * Failures of the daemon as a whole. What a client of the API may see is in `client/src/api/errors.ts`; errors of a part (IPFS,
 * configuration, allocation, state) stand with that part.
 */

/** The daemon cannot start, or go on, and says what the operator has to know. Ends the process with exit code 1. */
export class StartError extends Error {
  static override readonly name = 'StartError'
  override readonly name = 'StartError'
  readonly code = 'cannot-start'
}

/**
 * Another process runs with the identity of this peer. Known by its `code`, which arrives however many peers pass the error on.
 */
export class IdentityInUseError extends Error {
  static override readonly name = 'IdentityInUseError'
  override readonly name = 'IdentityInUseError'
  static readonly code = 'identity-in-use'
  readonly code = IdentityInUseError.code

  /** @param address - where the other was seen */
  constructor(peer: string, address: string) {
    super(
      `another daemon runs with the identity of this peer, ${peer}, at ${address}: stop one of them, or give one a new identity`
    )
  }
}
