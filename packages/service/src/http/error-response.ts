/**
 * From whatever was thrown to the answer of the API: the status and code of `client/src/api/error-codes.ts`, the body of IPFS
 * Cluster. The only place where errors of the parts meet HTTP.
 */

import { ApiError, type ErrorCode, errorCodeHeader, errorCodes } from '@quorate/client/api'

export interface ErrorResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** `{"code": …, "message": …}` and a newline. */
  readonly body: string
  readonly code: ErrorCode
}

/** Codes of the parts that are not the API's own words. */
const codeByName: Readonly<Record<string, ErrorCode>> = {
  IpfsRequestError: 'ipfs-error',
  IpfsUnavailableError: 'ipfs-unavailable',
  NotEnoughAllocationsError: 'not-enough-allocations',
  RpcUnreachableError: 'peer-unreachable',
  RpcTimeoutError: 'peer-unreachable',
  AddError: 'add-failed',
  UploadError: 'bad-request'
}

const isCode = (code: unknown): code is ErrorCode => typeof code === 'string' && Object.hasOwn(errorCodes, code)

/** The code of the API for an error of any part, by its `code` or its `name`; also of one that came from another peer. */
export function codeOf(error: unknown): ErrorCode {
  if (error instanceof ApiError) return error.code
  if (!(error instanceof Error)) return 'internal'
  const { code, remoteName } = error as Error & { code?: unknown; remoteName?: unknown }
  if (isCode(code)) return code
  if (error.name === 'AddError' && code === 'invalid-parameter') return 'bad-request'
  return codeByName[typeof remoteName === 'string' ? remoteName : error.name] ?? 'internal'
}

/** @param error - thrown by a route or below it */
export function errorResponse(error: unknown): ErrorResponse {
  const code = codeOf(error)
  const status = error instanceof ApiError ? error.status : errorCodes[code].status
  const message = error instanceof Error && error.message !== '' ? error.message : errorCodes[code].message
  return {
    status,
    code,
    headers: { 'Content-Type': 'application/json', [errorCodeHeader]: code },
    body: `${JSON.stringify({ code: status, message })}\n`
  }
}

/** Clients take headers and trailers up to some limit together, Node's 16 KiB. */
const MAX_TRAILER_CHARS = 2_000

/**
 * What the trailer `X-Stream-Error` says of a failure: one line of printable ASCII, since header values take nothing else safely, and
 * never an empty one, which would mean that all went well.
 */
export function failureTrailer(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  const line = text
    .replaceAll(/[^\x21-\x7e]+/g, ' ')
    .trim()
    .slice(0, MAX_TRAILER_CHARS)
  return line === '' ? errorCodes[codeOf(error)].message : line
}
