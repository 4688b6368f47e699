/**
 * The return of a member that lost its data, or whose data is not what it was: under a new name, as a learner, with no operator
 * (T34, T35). Asks the members that it can reach, again and again, until one lets it in; nothing on this peer is changed before, so that a
 * single member, or one that lies, moves no data: it takes a leader, and so a quorum without this peer, to commit the new name.
 * `run.ts` calls it; `consensus/membership.ts` is the other side.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { reasonOf } from '../cluster-host/address-book.ts'
import { IdentityInUseError, StartError } from '../errors.ts'
import type { Logger } from '../ports.ts'
import type { RpcRequest } from '../rpc/methods.ts'
import type { JoinAnswer } from './join.ts'
import type { Network } from './network.ts'

const PAUSE_FIRST_MS = 100
const PAUSE_LONGEST_MS = 2_000
const ASK_TIMEOUT_MS = 5_000
/** How often a peer that waits says so. */
const REPORT_INTERVAL_MS = 5_000

export interface RejoinInit {
  /** The cluster to come back to. */
  readonly clusterId: string
  readonly request: RpcRequest<'Cluster.join'>
  /** How long the member that is asked may look for its leader and commit the change. */
  readonly answerTimeoutMs: number
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** The members let this peer in, or it was removed from the cluster meanwhile. */
export type RejoinOutcome = { readonly type: 'joined'; readonly answer: JoinAnswer } | { readonly type: 'removed' }

/**
 * @throws {StartError} when another process uses the identity of this peer
 */
export async function rejoin(network: Network, init: RejoinInit): Promise<RejoinOutcome> {
  const { logger, signal } = init
  let pauseMs = PAUSE_FIRST_MS
  let reportedMs = performance.now()
  for (;;) {
    const others = [...network.connected()].filter((peer) => peer !== network.id)
    const obstacles: string[] = others.length === 0 ? ['no peer can be reached'] : []
    for (const peer of others) {
      signal.throwIfAborted()
      const outcome = await askOne(network, peer, init).catch((error: unknown) => {
        signal.throwIfAborted()
        if (error instanceof StartError) throw error
        return `${peer}: ${reasonOf(error)}`
      })
      if (typeof outcome !== 'string') return outcome
      obstacles.push(outcome)
    }
    const now = performance.now()
    if (now - reportedMs > REPORT_INTERVAL_MS) {
      reportedMs = now
      logger.warn(
        { clusterId: init.clusterId, obstacles },
        'still waiting to be let in again by a member with a leader'
      )
    }
    await delay(pauseMs, undefined, { signal })
    pauseMs = Math.min(pauseMs * 2, PAUSE_LONGEST_MS)
  }
}

/** @returns what stands in the way, in words, unless it is done */
async function askOne(
  network: Network,
  peer: string,
  { clusterId, request, answerTimeoutMs, signal }: RejoinInit
): Promise<RejoinOutcome | string> {
  const standing = await network.rpc.call(peer, 'Cluster.membership', null, { signal, timeoutMs: ASK_TIMEOUT_MS })
  if (standing.clusterId !== clusterId) return `${peer} is of cluster ${standing.clusterId}`
  if (!standing.confirmed) return `${peer} has no leader`
  if (!standing.member) return { type: 'removed' }
  try {
    const answer = await network.rpc.call(peer, 'Cluster.join', request, { signal, timeoutMs: answerTimeoutMs })
    return { type: 'joined', answer }
  } catch (error) {
    const { code, message } = error as Error & { code?: unknown }
    if (code === IdentityInUseError.code) throw new StartError(message, { cause: error })
    throw error
  }
}
