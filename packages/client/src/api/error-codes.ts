/**
 * The one table of what can go wrong behind the HTTP API. The server looks up the status of a code here, the client finds the code of an answer
 * here, and the manual's list of errors is printed from it.
 *
 * The body of an error is IPFS Cluster's, `{"code": <status>, "message": "…"}`, and its messages are kept where a client compares them. Which
 * error it is travels beside it in the header {@link errorCodeHeader}; where that is missing (IPFS Cluster itself, or a failure in
 * the trailer of a stream) the message decides, then the status.
 */

export interface ErrorCodeEntry {
  /** HTTP status of an answer with this error. */
  readonly status: number
  /** Whether the same request may succeed later without anything being changed by hand. */
  readonly retryable: boolean
  readonly meaning: string
  /** The message when there is nothing to add. */
  readonly message: string
  /** Recognises the error by the message, when its code did not come along. */
  readonly pattern?: RegExp
}

export type ErrorCode =
  | 'bad-request'
  | 'unauthorized'
  | 'route-not-found'
  | 'pin-not-found'
  | 'method-not-allowed'
  | 'too-large'
  | 'invalid-pin'
  | 'not-enough-allocations'
  | 'no-leader'
  | 'consensus-unavailable'
  | 'last-peer'
  | 'transfer-refused'
  | 'transfer-failed'
  | 'peer-unreachable'
  | 'read-only'
  | 'ipfs-error'
  | 'ipfs-unavailable'
  | 'add-failed'
  | 'not-ready'
  | 'shutting-down'
  | 'internal'

/** Response header that names the {@link ErrorCode}. */
export const errorCodeHeader = 'X-Quorate-Error'

/** Response header, `true` when an answer comes from local state because no quorum could be asked in time. */
export const staleHeader = 'X-Quorate-Stale'

/** Trailer with the failure of a stream that had begun; empty when all went well. */
export const streamErrorTrailer = 'X-Stream-Error'

export const errorCodes: Readonly<Record<ErrorCode, ErrorCodeEntry>> = {
  'bad-request': {
    status: 400,
    retryable: false,
    meaning: 'A parameter, the path or the body could not be understood. Nothing was done.',
    message: 'bad request'
  },
  unauthorized: {
    status: 401,
    retryable: false,
    meaning: 'Credentials are missing or wrong.',
    message: 'unauthorized: no auth provided',
    pattern: /^unauthorized/
  },
  'route-not-found': {
    status: 404,
    retryable: false,
    meaning: 'The API has no such path.',
    message: 'not found'
  },
  'pin-not-found': {
    status: 404,
    retryable: false,
    meaning: 'The pinset does not have this CID.',
    message: 'pin is not part of the pinset',
    pattern: /pin is not part of the pinset$/
  },
  'method-not-allowed': {
    status: 405,
    retryable: false,
    meaning: 'The path exists, but not with this method.',
    message: 'method not allowed'
  },
  'too-large': {
    status: 413,
    retryable: false,
    meaning: 'The body of the request is larger than the peer accepts there.',
    message: 'request body too large'
  },
  'invalid-pin': {
    status: 500,
    retryable: false,
    meaning: 'The options of a pin contradict each other, the configuration, or the pin that is there already.',
    message: 'invalid pin',
    pattern: /^(cluster\.replication_factor_|pin\.ExpireAt set before|cannot repin |this pin type cannot be updated)/
  },
  'not-enough-allocations': {
    status: 500,
    retryable: true,
    meaning: 'Fewer peers with free space and a fresh heartbeat than the replication factor asks for.',
    message: 'not enough peers to allocate CID',
    pattern: /^not enough peers to allocate CID/
  },
  'no-leader': {
    status: 500,
    retryable: true,
    meaning: 'A write found no leader in time: fewer than a majority of the peers are up and see each other.',
    message: 'timed out waiting for leader: context deadline exceeded',
    pattern: /^timed out waiting for leader/
  },
  'consensus-unavailable': {
    status: 503,
    retryable: true,
    meaning: 'A read that had to be linearizable could not reach a quorum in time.',
    message: 'no quorum could be reached'
  },
  'last-peer': {
    status: 500,
    retryable: false,
    meaning: 'The only peer of a cluster cannot be removed.',
    message: 'cannot remove ourselves from a 1-peer cluster',
    pattern: /^cannot remove ourselves from a 1-peer cluster/
  },
  'transfer-refused': {
    status: 400,
    retryable: false,
    meaning: 'Leadership cannot go to the peer that was named: it leads already, or does not vote. Nothing was done.',
    message: 'cannot hand leadership over'
  },
  'transfer-failed': {
    status: 503,
    retryable: true,
    meaning:
      'Leadership was not handed over: the other peer did not take over in time, or leadership changed meanwhile.',
    message: 'leadership was not handed over'
  },
  'peer-unreachable': {
    status: 500,
    retryable: true,
    meaning: 'Another peer of the cluster had to be asked and did not answer.',
    message: 'the peer could not be reached'
  },
  'read-only': {
    status: 500,
    retryable: false,
    meaning: 'This peer is a follower by its configuration and accepts no writes.',
    message: 'this peer is configured to be in follower mode. Write operations are disabled',
    pattern: /^this peer is configured to be in follower mode/
  },
  'ipfs-error': {
    status: 500,
    retryable: false,
    meaning: 'The IPFS node refused or failed.',
    message: 'IPFS error',
    pattern: /^IPFS error /
  },
  'ipfs-unavailable': {
    status: 500,
    retryable: true,
    meaning: 'The IPFS node could not be asked.',
    message: 'the IPFS node could not be reached'
  },
  'add-failed': {
    status: 500,
    retryable: false,
    meaning: 'Content could not be imported: it is malformed, was cut off, or no destination took its blocks.',
    message: 'adding failed',
    pattern: /^(failed to put block on all destinations|only CAR files with a single root|cannot wrap a CAR file)/
  },
  'not-ready': {
    status: 503,
    retryable: true,
    meaning: 'The peer has just started and does not have the state of the cluster yet.',
    message: 'this peer is not ready yet',
    pattern: /^this peer is not ready yet/
  },
  'shutting-down': {
    status: 503,
    retryable: true,
    meaning: 'The peer is about to stop.',
    message: 'the peer is shutting down'
  },
  internal: {
    status: 500,
    retryable: false,
    meaning: 'Something that should not happen; the log of the peer says more.',
    message: 'internal error'
  }
}

const codes = Object.keys(errorCodes) as ErrorCode[]
const byStatus: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  [400, 'bad-request'],
  [401, 'unauthorized'],
  [404, 'route-not-found'],
  [405, 'method-not-allowed'],
  [413, 'too-large'],
  [503, 'shutting-down']
])

/**
 * The code of an answer: the header if it names one, else what the message says, else what the status says, else `internal`.
 *
 * @param header - value of {@link errorCodeHeader}, if it was there
 */
export function classifyError(status: number, message: string, header?: string | null): ErrorCode {
  const named = codes.find((code) => code === header)
  if (named !== undefined) return named
  const known = codes.find((code) => errorCodes[code].pattern?.test(message))
  return known ?? byStatus.get(status) ?? 'internal'
}
