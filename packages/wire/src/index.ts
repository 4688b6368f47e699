/**
 * Framed, multiplexed, flow-controlled messages over one long-lived libp2p stream per peer: links for small droppable
 * messages, and calls with answers.
 *
 * @packageDocumentation
 */

export * from './errors.ts'
export { FRAME_HEADER_BYTES, FrameParser } from './frame-parser.ts'
export type { Frame } from './framed-stream.ts'
export type { Libp2pHost, WireLogger } from './host.ts'
export { createLinks, type FrameLinks, type LinksHandler, type LinksInit } from './links.ts'
export {
  SecretMismatchError,
  type SecretProblem,
  type SecretProtectorInit,
  secretProtector
} from './private-network.ts'
export { quietLengths } from './quiet-lengths.ts'
export {
  createRpc,
  type RpcCallOptions,
  type RpcContext,
  type RpcEndpoint,
  type RpcHandler,
  type RpcInit,
  type RpcLimits
} from './rpc.ts'
