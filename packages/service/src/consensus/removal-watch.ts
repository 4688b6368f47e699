/**
 * Tells a peer that it was removed. Its own log is only a hint: a peer that was away never gets the entry that removes it, since
 * nobody sends it anything any more, and one that joins again reads of its earlier removal on the way. So a peer that finds no
 * leader, or a configuration without itself, asks the members that it can reach, and believes an answer only if a leader confirmed it.
 */

import type { PeerIdString } from '@quorate/client/api'
import type { Raft } from '@quorate/raft'
import type { Logger } from '../ports.ts'
import type { PeerRpc } from '../rpc/peer-rpc.ts'
import type { OpResult } from '../state/ops.ts'

export interface RemovalWatchComponents {
  readonly raft: Raft<OpResult>
  readonly rpc: PeerRpc
  readonly logger: Logger
  readonly connected: () => ReadonlySet<PeerIdString>
}

export interface RemovalWatchInit {
  readonly id: PeerIdString
  readonly clusterId: string
  /** How often to ask while there is no leader; `peer_watch_interval`. */
  readonly intervalMs: number
  /** Called once. */
  readonly onRemoved: () => void
}

export class RemovalWatch {
  private readonly components: RemovalWatchComponents
  private readonly init: RemovalWatchInit
  private readonly off: () => void
  private readonly stopping = new AbortController()
  private timer: NodeJS.Timeout | undefined
  private told = false
  private asking = false

  constructor(components: RemovalWatchComponents, init: RemovalWatchInit) {
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

  private isMember(): boolean {
    const { voters, outgoing, learners } = this.components.raft.status().config
    return [voters, outgoing, learners].some((list) => list.includes(this.init.id))
  }

  private async ask(): Promise<void> {
    const { raft, rpc, connected, logger } = this.components
    const status = raft.status()
    if (this.asking || this.told || (status.leader !== undefined && this.isMember())) return
    this.asking = true
    try {
      const { voters, outgoing, learners } = status.config
      const others = new Set([...voters, ...outgoing, ...learners, ...connected()])
      others.delete(this.init.id)
      for (const peer of [...others].filter((id) => connected().has(id))) {
        const answer = await rpc
          .call(peer, 'Cluster.membership', null, { signal: this.stopping.signal, timeoutMs: 5_000 })
          .catch((error: unknown) =>
            logger.debug({ peer, error: String(error) }, 'cannot ask a peer whether this one is a member')
          )
        if (answer === undefined || !answer.confirmed || answer.clusterId !== this.init.clusterId) continue
        if (!answer.member) this.tell(`peer ${peer} says so, and its leader confirmed it`)
        return
      }
    } finally {
      this.asking = false
    }
  }

  private tell(how: string): void {
    if (this.told || this.stopping.signal.aborted) return
    this.told = true
    this.components.logger.warn({ how }, 'this peer was removed from the cluster')
    this.init.onRemoved()
  }
}
