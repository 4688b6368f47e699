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
