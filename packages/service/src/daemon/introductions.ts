/**
 * What a peer answers to those who may not be members yet: who it is, whether they are members, how to become one, and whether
 * another process uses their identity. Registered on the RPC by `compose.ts`.
 */

import type { PeerIdString, PeerInfo } from '@quorate/client/api'
import type { Raft } from '@quorate/raft'
import type { Sessions } from '../cluster-host/sessions.ts'
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
  readonly info: (signal: AbortSignal) => Promise<PeerInfo>
}

export function answerStrangers(components: IntroductionsComponents, self: PeerIdString, clusterId: string): void {
  const { rpc, raft, consensus, membership, sessions, info } = components

  rpc.handle('Peer.info', (_request, { signal }) => info(signal))

  rpc.handle('Peer.twins', async ({ session }, { peer }) => ({
    twins: (await sessions.twinsOf(peer, session)).slice(0, MAX_TWINS)
  }))

  rpc.handle('Cluster.membership', async (_request, { peer, signal }) => {
    const confirmed =
      consensus.leader() !== undefined &&
      (await raft.readBarrier({ signal: AbortSignal.any([signal, AbortSignal.timeout(CONFIRM_TIMEOUT_MS)]) }).then(
        () => true,
        () => false
      ))
    return { clusterId, confirmed, member: consensus.peers().includes(peer), peers: membership.members() }
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
