/**
 * The joiner's side of `daemon --bootstrap`: asks the peers at the given addresses, one after the other, to be let in, and touches
 * nothing of its own before one of them has said yes. `run.ts` calls it, then moves old data aside and starts as a learner;
 * `consensus/membership.ts` is the other side.
 */

import { multiaddr } from '@multiformats/multiaddr'
import { reasonOf } from '../cluster-host/address-book.ts'
import type { ClusterHost } from '../cluster-host/host.ts'
import { peerIdOf } from '../config/peer-address.ts'
import { StartError } from '../errors.ts'
import type { Logger } from '../ports.ts'
import type { RpcResponse } from '../rpc/methods.ts'
import type { PeerRpc } from '../rpc/peer-rpc.ts'

export type JoinAnswer = RpcResponse<'Cluster.join'>

export interface JoinComponents {
  readonly libp2p: ClusterHost
  readonly rpc: PeerRpc
  readonly logger: Logger
}

export interface JoinInit {
  /** In the order to try. */
  readonly addresses: readonly string[]
  readonly peername: string
  readonly session: string
  /** Names the data folder that a join would begin. */
  readonly incarnation: string
  /** The sound data that is there: its cluster, and this peer's name in it. */
  readonly current: { readonly clusterId: string; readonly name: string } | undefined
  readonly dialTimeoutMs: number
  /** How long the target may look for its leader and commit the change. */
  readonly answerTimeoutMs: number
  readonly signal: AbortSignal
}

/**
 * @throws {StartError} when none of the peers let this one in; the message names each and its reason
 */
export async function askToJoin({ libp2p, rpc, logger }: JoinComponents, init: JoinInit): Promise<JoinAnswer> {
  const self = libp2p.peerId.toString()
  const failures: string[] = []
  for (const address of init.addresses) {
    init.signal.throwIfAborted()
    try {
      if (peerIdOf(address) === self) throw new Error('this is the address of this peer itself')
      const signal = AbortSignal.any([init.signal, AbortSignal.timeout(init.dialTimeoutMs)])
      const connection = await libp2p.dial(multiaddr(address), { signal })
      const target = connection.remotePeer.toString()
      logger.info({ address, peer: target }, 'asking to join')
      return await rpc.call(
        target,
        'Cluster.join',
        {
          peername: init.peername,
          session: init.session,
          addresses: libp2p.getMultiaddrs().map(String),
          incarnation: init.incarnation,
          ...(init.current === undefined ? {} : { current: init.current })
        },
        { signal: init.signal, timeoutMs: init.answerTimeoutMs }
      )
    } catch (error) {
      if (init.signal.aborted) throw error
      failures.push(`${address}: ${reasonOf(error)}`)
      logger.warn({ address, reason: reasonOf(error) }, 'cannot join through this peer')
    }
  }
  throw new StartError(`cannot join a cluster; nothing on this peer was changed. ${failures.join('; ')}`)
}
