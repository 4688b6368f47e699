/**
 * Unpins what has expired. The leader alone looks, every `state_sync_interval`, so that the work is done once and does not depend
 * on any particular peer being up; a leader that takes over looks at once. The unpin is an ordinary operation of the log.
 */

import type { Raft } from '@quorate/raft'
import type { Logger, PinsetReader } from '../ports.ts'
import type { OpResult } from '../state/ops.ts'
import type { RaftConsensus } from './raft-consensus.ts'

export interface ExpiryComponents {
  readonly raft: Raft<OpResult>
  readonly consensus: RaftConsensus
  readonly pinset: PinsetReader
  readonly logger: Logger
  /** Milliseconds since the Unix epoch. @default Date.now */
  readonly now?: () => number
}

export class Expiry {
  private readonly parts: ExpiryComponents
  private readonly intervalMs: number
  private readonly stopping = new AbortController()
  private readonly off: () => void
  private timer: NodeJS.Timeout | undefined
  private sweeping: Promise<void> | undefined

  /** @param intervalMs - `state_sync_interval` */
  constructor(components: ExpiryComponents, intervalMs: number) {
    this.parts = components
    this.intervalMs = intervalMs
    this.off = components.raft.on('role', ({ role }) => {
      if (role === 'leader') this.sweep()
    })
  }

  start(): void {
    this.timer = setInterval(() => this.sweep(), this.intervalMs)
    this.timer.unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.timer)
    this.off()
    this.stopping.abort()
    await this.sweeping
  }

  private sweep(): void {
    if (this.stopping.signal.aborted || this.sweeping !== undefined || this.parts.raft.status().role !== 'leader')
      return
    this.sweeping = this.unpinExpired()
      .catch((error: unknown) => {
        if (!this.stopping.signal.aborted)
          this.parts.logger.warn({ error: String(error) }, 'not all expired pins could be unpinned, will try again')
      })
      .finally(() => {
        this.sweeping = undefined
      })
  }

  private async unpinExpired(): Promise<void> {
    const { pinset, consensus, logger, now = Date.now } = this.parts
    const { signal } = this.stopping
    const sweptAtMs = now()
    for await (const pin of pinset.list({ signal })) {
      if (pin.expireAtMs === undefined || pin.expireAtMs > sweptAtMs) continue
      // It may have been pinned again, with another expiry, while the list was read.
      const current = await pinset.get(pin.cid)
      if (current?.expireAtMs === undefined || current.expireAtMs > now()) continue
      await consensus.logUnpin(pin.cid, { signal })
      logger.info({ cid: pin.cid, expiredAt: new Date(current.expireAtMs).toISOString() }, 'unpinned what had expired')
    }
  }
}
