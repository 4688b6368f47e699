/**
 * What an IPFS node can answer instead of doing what it was asked. There are two cases, because callers act differently on them:
 * the node said no (the tracker counts an attempt and backs off for that pin), or it could not be asked at all (every pin waits,
 * none of them is to blame). Used by both connectors and by the worker protocol, which carries them across threads by name.
 */

/** Why a node said no. `unsupported`: a codec, hash or path that it does not know. `no-space`: the disk or `storage_max` is full. */
export type IpfsRequestErrorCode = 'bad-request' | 'unsupported' | 'not-found' | 'no-space' | 'corrupt' | 'failed'

/** The node was asked and said no. */
export class IpfsRequestError extends Error {
  static override readonly name = 'IpfsRequestError'
  override readonly name = 'IpfsRequestError'
  readonly code: IpfsRequestErrorCode

  constructor(message: string, code: IpfsRequestErrorCode = 'failed', options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** The node could not be asked: it is down, starting again, or unreachable. Worth trying again later, whatever was asked. */
export class IpfsUnavailableError extends Error {
  static override readonly name = 'IpfsUnavailableError'
  override readonly name = 'IpfsUnavailableError'
}

/** What a caller may see when its own signal ends a call: the signal's reason, whatever it is. */
export function abortReason(signal: AbortSignal): unknown {
  return signal.reason ?? new DOMException('This operation was aborted', 'AbortError')
}
