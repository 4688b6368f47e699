/**
 * What a peer answers to those who may not be members yet: who it is, whether they are members, how to become one, and whether
 * another process uses their identity. Registered on the RPC by `compose.ts`.
 */

import type { PeerIdString, PeerInfo } from '@quorate/client/api'
import { type PeersSeen, peerOf, type Raft } from '@quorate/raft'
import type { Sessions } from '../cluster-host/sessions.ts'
import { namesOf } from '../consensus/member-names.ts'
import type { JoinAnswer, Membership } from '../consensus/membership.ts'
import type { RaftConsensus } from '../consensus/raft-consensus.ts'
import { MAX_TWINS } from '../rpc/methods.ts'
import type { PeerRpc } from '../rpc/peer-rpc.ts'
import type { OpResult } from '../state/ops.ts'

/** How long a leader may take to confirm an answer about membership. */
const CONFIRM_TIMEOUT_MS = 2_000

export interface IntroductionsComponents {
  readonly rpc: PeerRpc
  readonly raft: Raft<OpResult>
  readonly consensus: RaftConsensus
  readonly membership: Membership
  readonly sessions: Sessions
  readonly seen: PeersSeen
  readonly info: (signal: AbortSignal) => Promise<PeerInfo>
}

export function answerStrangers(components: IntroductionsComponents, self: PeerIdString, clusterId: string): void {
  const { rpc, raft, consensus, membership, sessions, seen, info } = components

  rpc.handle('Peer.info', (_request, { signal }) => info(signal))

  rpc.handle('Peer.twins', async ({ session }, { peer }) => ({
    twins: (await sessions.twinsOf(peer, session)).slice(0, MAX_TWINS)
  }))

  rpc.handle('Cluster.membership', async (request, { peer, signal }) => {
    const objection =
      request?.life === undefined || peerOf(request.name) !== peer
        ? undefined
        : seen.objection(request.name, { ...request.life, lastIndex: request.life.lastIndex })
    const confirmed =
      consensus.leader() !== undefined &&
      (await raft.readBarrier({ signal: AbortSignal.any([signal, AbortSignal.timeout(CONFIRM_TIMEOUT_MS)]) }).then(
        () => true,
        () => false
      ))
    const names = namesOf(raft.status().config, peer)
    const peers = membership.members()
    // The record of a member is written when it takes part for the first time.
    const tookPart = seen.knowsPeer(peer) || peers.some(({ id, addresses }) => id === peer && addresses.length > 0)
    const answer = { clusterId, confirmed, member: names.length > 0, names, tookPart, peers }
    return objection === undefined ? answer : { ...answer, objection }
  })

  rpc.handle('Cluster.join', async (request, { peer, signal }) => {
    // Asked here as well as at the leader: either may be the one that both processes are connected with.
    await membership.refuseTwin({ peer, session: request.session })
    return await consensus.withLeader(
      'join',
      { signal },
      async (leader, signal): Promise<JoinAnswer> =>
        leader === self
          ? await membership.join({ ...request, peer }, { signal })
          : await rpc.call(leader, 'Consensus.join', { ...request, peer }, { signal })
    )
  })
  rpc.handle('Consensus.join', (request, { signal }) => membership.join(request, { signal }))
  rpc.handle('Consensus.addPeer', async ({ peer }, { signal }) => {
    await membership.addPeer(peer, { signal })
    return null
  })
  rpc.handle('Consensus.removePeer', async ({ peer }, { signal }) => {
    await membership.removePeer(peer, { signal })
    return null
  })
}
