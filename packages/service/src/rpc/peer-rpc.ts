/**
 * Calls between peers, typed by the table in `methods.ts`: the one place where names, schemas and trust levels meet the bytes of
 * `@quorate/wire`. `consensus/`, `cluster-peer.ts`, `monitor/` and `daemon/` call and answer through it.
 */

import { createRpc, type RpcEndpoint } from '@quorate/wire'
import type { ClusterHost } from '../cluster-host/host.ts'
import type { AbortOptions } from '../ports.ts'
import {
  type RpcMethod,
  type RpcRequest,
  type RpcResponse,
  rpcMethods,
  type StreamMethod,
  type UnaryMethod
} from './methods.ts'
import { readPayload, writePayload } from './payloads.ts'

export const RPC_PROTOCOL = '/quorate/rpc/1'

/** Rows of a streamed answer are gathered into frames of about so many bytes. */
const FRAME_BYTES = 64 * 1024

/** A CBOR array of items that are encoded already: of indefinite length (RFC 8949 §3.2.2). */
const arrayOf = (items: readonly Uint8Array[]): Uint8Array =>
  Buffer.concat([Buffer.of(0x9f), ...items, Buffer.of(0xff)])

export interface CallContext {
  /** The authenticated peer ID of the caller. */
  readonly peer: string
  readonly signal: AbortSignal
}

export interface CallOptions extends AbortOptions {
  readonly timeoutMs?: number
}

export interface PeerRpcInit {
  readonly libp2p: ClusterHost
  /** Whether the caller is a member of the configuration in force. */
  readonly isMember: (peer: string) => boolean
}

export class PeerRpc {
  private readonly endpoint: RpcEndpoint

  constructor(init: PeerRpcInit) {
    this.endpoint = createRpc({
      libp2p: init.libp2p,
      protocol: RPC_PROTOCOL,
      authorize: (peer, method) =>
        Object.hasOwn(rpcMethods, method) && (rpcMethods[method as RpcMethod].trust === 'open' || init.isMember(peer))
    })
  }

  async start(): Promise<void> {
    await this.endpoint.start()
  }

  async stop(): Promise<void> {
    await this.endpoint.stop()
  }

  /** Answers a method; once for each method, before `start`. */
  handle<M extends UnaryMethod>(
    method: M,
    handler: (request: RpcRequest<M>, context: CallContext) => Promise<RpcResponse<M>>
  ): void {
    this.endpoint.handle(method, async (bytes, { peer, signal }) =>
      writePayload(await handler(readPayload(method, 'request', bytes, peer), { peer, signal }))
    )
  }

  /** Answers a method whose answer is rows; they are sent in frames of many. */
  handleStream<M extends StreamMethod>(
    method: M,
    handler: (request: RpcRequest<M>, context: CallContext) => AsyncIterable<RpcResponse<M>[number]>
  ): void {
    this.endpoint.handle(method, async (bytes, { peer, signal }) => {
      const rows = handler(readPayload(method, 'request', bytes, peer), { peer, signal })
      return (async function* () {
        let frame: Uint8Array[] = []
        let bytes = 0
        for await (const row of rows) {
          const encoded = writePayload(row)
          frame.push(encoded)
          bytes += encoded.length
          if (bytes < FRAME_BYTES) continue
          yield arrayOf(frame)
          frame = []
          bytes = 0
        }
        if (frame.length > 0) yield arrayOf(frame)
      })()
    })
  }

  /**
   * Calls a peer and waits for its answer.
   *
   * @throws {RpcUnreachableError | RpcTimeoutError | RpcRefusedError | RpcRemoteError | MalformedRpcError}
   */
  async call<M extends UnaryMethod>(
    peer: string,
    method: M,
    request: RpcRequest<M>,
    options: CallOptions = {}
  ): Promise<RpcResponse<M>> {
    return readPayload(method, 'response', await this.endpoint.call(peer, method, writePayload(request), options), peer)
  }

  /** Calls a peer and yields the rows of its answer as they come. Errors as of `call`. */
  async *stream<M extends StreamMethod>(
    peer: string,
    method: M,
    request: RpcRequest<M>,
    options: CallOptions = {}
  ): AsyncIterable<RpcResponse<M>[number]> {
    for await (const frame of this.endpoint.stream(peer, method, writePayload(request), options)) {
      yield* readPayload(method, 'response', frame, peer)
    }
  }
}
