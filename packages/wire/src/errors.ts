/**
 * The closed set of errors that calls over the wire end with. Compare `name` or `code`, not the class: two copies of this
 * package may be loaded. Thrown by `rpc.ts`; the service's `rpc/` turns them into what its own callers see.
 */

/** Why a peer could not be reached. */
export type RpcUnreachableCode =
  /** No connection, or no stream, could be opened: the peer has not seen the request. */
  | 'dial-failed'
  /** The stream went away before the answer was there: the peer may have seen the request, and may have carried it out. */
  | 'connection-lost'
  /** This end is stopped. */
  | 'stopped'

/** The peer could not be reached, or was lost before it had answered. */
export class RpcUnreachableError extends Error {
  override readonly name = 'RpcUnreachableError'
  readonly code: RpcUnreachableCode
  readonly peer: string

  constructor(code: RpcUnreachableCode, peer: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.peer = peer
  }
}

/** The answer, or the next item of it, did not come in time. The request may have been carried out. */
export class RpcTimeoutError extends Error {
  override readonly name = 'RpcTimeoutError'
  readonly code = 'timeout'
  readonly peer: string
  readonly timeoutMs: number

  constructor(peer: string, method: string, timeoutMs: number) {
    super(`Peer ${peer} did not answer ${method} within ${timeoutMs} ms`)
    this.peer = peer
    this.timeoutMs = timeoutMs
  }
}

/** Why a request was not carried out. */
export type RpcRefusedCode =
  /** The peer does not let this peer call this method. */
  | 'forbidden'
  /** The peer has no such method. */
  | 'unknown-method'
  /** Too many calls, or bytes, are under way, here or there: try again later. */
  | 'busy'
  /** The request, or its answer, is larger than the limits allow. */
  | 'too-large'

/** The request was not carried out, because this end or the other would not. */
export class RpcRefusedError extends Error {
  override readonly name = 'RpcRefusedError'
  readonly code: RpcRefusedCode
  readonly peer: string

  constructor(code: RpcRefusedCode, peer: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.peer = peer
  }
}

/** The method ran at the peer and failed. Name, code and message are those of the error there. */
export class RpcRemoteError extends Error {
  override readonly name = 'RpcRemoteError'
  /** The `code` of the error at the peer; empty if it had none. */
  readonly code: string
  /** The `name` of the error at the peer. */
  readonly remoteName: string
  readonly peer: string

  constructor(peer: string, remoteName: string, code: string, message: string) {
    super(message)
    this.peer = peer
    this.remoteName = remoteName
    this.code = code
  }
}

/** The peer broke the protocol; the stream to it was aborted with this as the reason. */
export class WireProtocolError extends Error {
  override readonly name = 'WireProtocolError'
  readonly code = 'protocol'
}
