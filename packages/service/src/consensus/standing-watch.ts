/**
 * Tells a peer how it stands with the others: that it was removed, or that it is not taken for who it was. Its own log is only a hint: a
 * peer that was away never gets the entry that removes it, since nobody sends it anything any more, and one that joins again reads of
 * its earlier removal on the way. So a peer that finds no leader, or a configuration without itself, or is refused, asks the members that it
 * can reach, and believes an answer only if a leader confirmed it, which takes a quorum.
 *
 * A peer that is refused as an older copy has fallen silent before it asks (`fallSilent` of the transport), so that the quorum behind the
 * answer is one without it: no single member makes a majority give up its data (T35).
 */

import type { PeerIdString } from '@quorate/client/api'
import type { Life, NodeId, Raft } from '@quorate/raft'
import type { Logger } from '../ports.ts'
import type { RpcResponse } from '../rpc/methods.ts'
import type { PeerRpc } from '../rpc/peer-rpc.ts'
import type { OpResult } from '../state/ops.ts'
import { namesIn } from './member-names.ts'

/** What a leader said, through whoever was asked. */
export type Standing =
  /** No life of this peer is a member. */
  | { readonly type: 'removed' }
  /** The peer is a member, and this data of it does not count: it is older than what it promised, or of an earlier life. */
  | { readonly type: 'quarantined'; readonly reason: string }

export interface StandingWatchComponents {
  readonly raft: Raft<OpResult>
  readonly rpc: PeerRpc
  readonly logger: Logger
  readonly connected: () => ReadonlySet<PeerIdString>
}

export interface StandingWatchInit {
  readonly id: PeerIdString
  readonly clusterId: string
  /** This start of this peer. */
  readonly life: Life
  /** How often to ask while there is no leader; `peer_watch_interval`. */
  readonly intervalMs: number
  /** Called once. */
  readonly onLost: (standing: Standing) => void
}

function standingBy(answer: RpcResponse<'Cluster.membership'>, name: NodeId): Standing | undefined {
  if (answer.names.length === 0) return { type: 'removed' }
  if (answer.objection !== undefined) return { type: 'quarantined', reason: answer.objection }
  if (answer.names.includes(name)) return undefined
  return { type: 'quarantined', reason: `${name} is an earlier life of this peer, and it has had another since` }
}

export class StandingWatch {
  private readonly components: StandingWatchComponents
  private readonly init: StandingWatchInit
  private readonly off: () => void
  private readonly stopping = new AbortController()
  private timer: NodeJS.Timeout | undefined
  private told = false
  private asking = false
  private refused = false

  constructor(components: StandingWatchComponents, init: StandingWatchInit) {
    this.components = components
    this.init = init
    this.off = components.raft.on('config', () => {
      if (!this.isMember()) void this.ask()
    })
  }

  start(): void {
    this.timer = setInterval(() => void this.ask(), this.init.intervalMs)
    this.timer.unref()
  }

  stop(): void {
    clearInterval(this.timer)
    this.stopping.abort()
    this.off()
  }

  /** A member refuses this peer as an older copy of itself: asks now, and goes on asking. */
  onRefused(): void {
    this.refused = true
    void this.ask()
  }

  private isMember(): boolean {
    const { raft } = this.components
    return namesIn(raft.status().config).includes(raft.id)
  }

  private async ask(): Promise<void> {
    const { raft, rpc, connected, logger } = this.components
    const { id, clusterId, life } = this.init
    if (this.asking || this.told) return
    if (!this.refused && raft.status().leader !== undefined && this.isMember()) return
    this.asking = true
    try {
      for (const peer of [...connected()].filter((other) => other !== id)) {
        const answer = await rpc
          .call(peer, 'Cluster.membership', { name: raft.id, life }, { signal: this.stopping.signal, timeoutMs: 5_000 })
          .catch((error: unknown) =>
            logger.debug({ peer, error: String(error) }, 'cannot ask a peer how this one stands')
          )
        if (answer === undefined || !answer.confirmed || answer.clusterId !== clusterId) continue
        // One that has nothing against this peer says little: only another may have seen what it lost.
        const standing = standingBy(answer, raft.id)
        if (standing === undefined) continue
        this.tell(peer, standing)
        return
      }
    } finally {
      this.asking = false
    }
  }

  private tell(peer: PeerIdString, standing: Standing): void {
    if (this.told || this.stopping.signal.aborted) return
    this.told = true
    const how = `peer ${peer} says so, and its leader confirmed it`
    if (standing.type === 'removed') this.components.logger.warn({ how }, 'this peer was removed from the cluster')
    else
      this.components.logger.warn(
        { how, reason: standing.reason },
        'the data of this peer is not what it promised: it is not used any more'
      )
    this.init.onLost(standing)
  }
}
