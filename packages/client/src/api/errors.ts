/**
 * The errors of the API as classes: the server throws them and answers with what `error-codes.ts` says of their code, the client
 * throws the same class again. Compare `name` or `code`, not identity: two copies of this package may be loaded.
 */

import { type ErrorCode, errorCodes } from './error-codes.ts'

export interface ApiErrorOptions extends ErrorOptions {
  /** The status that was in fact answered, where it differs from the table: another kind of peer. */
  readonly status?: number
}

export class ApiError extends Error {
  static override readonly name: string = 'ApiError'
  override readonly name: string
  readonly code: ErrorCode
  /** HTTP status, 400 to 599; the `code` of the JSON body. */
  readonly status: number
  readonly retryable: boolean

  constructor(code: ErrorCode, message: string, options: ApiErrorOptions = {}) {
    super(message, options)
    this.name = new.target.name
    this.code = code
    this.status = options.status ?? errorCodes[code].status
    this.retryable = errorCodes[code].retryable
  }
}

/** A parameter, path or body that makes no sense; thrown before anything was done. */
export class BadRequestError extends ApiError {
  static override readonly name = 'BadRequestError'
  constructor(message: string, options?: ApiErrorOptions) {
    super('bad-request', message, options)
  }
}

export class UnauthorizedError extends ApiError {
  static override readonly name = 'UnauthorizedError'
  constructor(message = errorCodes.unauthorized.message, options?: ApiErrorOptions) {
    super('unauthorized', message, options)
  }
}

export class PinNotFoundError extends ApiError {
  static override readonly name = 'PinNotFoundError'
  constructor(message = errorCodes['pin-not-found'].message, options?: ApiErrorOptions) {
    super('pin-not-found', message, options)
  }
}

export class RouteNotFoundError extends ApiError {
  static override readonly name = 'RouteNotFoundError'
  constructor(message = errorCodes['route-not-found'].message, options?: ApiErrorOptions) {
    super('route-not-found', message, options)
  }
}

/** Options that contradict each other or the pin that is there. */
export class InvalidPinError extends ApiError {
  static override readonly name = 'InvalidPinError'
  constructor(message: string, options?: ApiErrorOptions) {
    super('invalid-pin', message, options)
  }
}

export class NotEnoughAllocationsError extends ApiError {
  static override readonly name = 'NotEnoughAllocationsError'
  constructor(message: string, options?: ApiErrorOptions) {
    super('not-enough-allocations', message, options)
  }
}

export class NoLeaderError extends ApiError {
  static override readonly name = 'NoLeaderError'
  constructor(message = errorCodes['no-leader'].message, options?: ApiErrorOptions) {
    super('no-leader', message, options)
  }
}

export class ConsensusUnavailableError extends ApiError {
  static override readonly name = 'ConsensusUnavailableError'
  constructor(message = errorCodes['consensus-unavailable'].message, options?: ApiErrorOptions) {
    super('consensus-unavailable', message, options)
  }
}

export class LastPeerError extends ApiError {
  static override readonly name = 'LastPeerError'
  constructor(message = errorCodes['last-peer'].message, options?: ApiErrorOptions) {
    super('last-peer', message, options)
  }
}

/** The class of a code where it has one of its own, else {@link ApiError}. */
export function createApiError(code: ErrorCode, message: string, options?: ApiErrorOptions): ApiError {
  switch (code) {
    case 'bad-request':
      return new BadRequestError(message, options)
    case 'unauthorized':
      return new UnauthorizedError(message, options)
    case 'pin-not-found':
      return new PinNotFoundError(message, options)
    case 'route-not-found':
      return new RouteNotFoundError(message, options)
    case 'invalid-pin':
      return new InvalidPinError(message, options)
    case 'not-enough-allocations':
      return new NotEnoughAllocationsError(message, options)
    case 'no-leader':
      return new NoLeaderError(message, options)
    case 'consensus-unavailable':
      return new ConsensusUnavailableError(message, options)
    case 'last-peer':
      return new LastPeerError(message, options)
    case 'method-not-allowed':
    case 'too-large':
    case 'transfer-refused':
    case 'transfer-failed':
    case 'peer-unreachable':
    case 'read-only':
    case 'ipfs-error':
    case 'ipfs-unavailable':
    case 'add-failed':
    case 'not-ready':
    case 'shutting-down':
    case 'internal':
      return new ApiError(code, message, options)
  }
}
