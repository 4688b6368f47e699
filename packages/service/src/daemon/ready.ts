/**
 * When a peer is READY: it is a voter, or a learner that nobody will promote without, it has heard of a leader with a majority, and
 * its state holds all that was committed before. Used once by `compose.ts`, and by the API until then.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { PeerIdString } from '@quorate/client/api'
import { type NodeId, peerOf, type Raft } from '@quorate/raft'
import { describeQuorum } from '../consensus/quorum-report.ts'
import { StartError } from '../errors.ts'
import type { AbortOptions, Logger } from '../ports.ts'
import type { OpResult } from '../state/ops.ts'

const CHECK_TIMEOUT_MS = 1_000
/** After a check that failed: one that fails at once, as of a node that has stopped, must not keep the process from everything else. */
const PAUSE_MS = 20
/** How often a peer that waits says so. */
const REPORT_INTERVAL_MS = 5_000

export interface ReadinessComponents {
  readonly raft: Raft<OpResult>
  readonly connected: () => ReadonlySet<PeerIdString>
  readonly logger: Logger
}

export interface ReadinessInit {
  /** This node's name in the configuration. */
  readonly name: NodeId
  /** After so long without a leader the start fails; undefined: it waits for as long as it takes. */
  readonly timeoutMs: number | undefined
}

export class Readiness {
  private readonly parts: ReadinessComponents
  private readonly init: ReadinessInit
  private done = false

  constructor(components: ReadinessComponents, init: ReadinessInit) {
    this.parts = components
    this.init = init
  }

  /** Why the peer is not ready; undefined once it was. */
  reason(): string | undefined {
    return this.done ? undefined : `this peer is not ready yet: ${this.waitingFor()}`
  }

  /**
   * Resolves when the peer is ready.
   * @throws {StartError} at the time limit, with the quorum arithmetic
   */
  async wait(options: AbortOptions = {}): Promise<void> {
    const { raft, logger } = this.parts
    const startedMs = performance.now()
    let reportedMs = startedMs
    for (;;) {
      options.signal?.throwIfAborted()
      const timeout = AbortSignal.timeout(CHECK_TIMEOUT_MS)
      const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal])
      try {
        await raft.readBarrier({ signal })
        if (await this.becomesVoter(signal)) {
          this.done = true
          return
        }
      } catch {
        options.signal?.throwIfAborted()
        await delay(PAUSE_MS, undefined, options).catch(() => options.signal?.throwIfAborted())
      }
      const now = performance.now()
      if (this.init.timeoutMs !== undefined && now - startedMs > this.init.timeoutMs) {
        throw new StartError(
          `no leader within ${Math.round(this.init.timeoutMs / 1000)} s (raft.wait_for_leader_timeout): ${this.waitingFor()} ` +
            'Start the others and run this one again; nothing was lost.'
        )
      }
      if (now - reportedMs > REPORT_INTERVAL_MS) {
        reportedMs = now
        logger.warn({ waitingSeconds: Math.round((now - startedMs) / 1000) }, `not ready yet: ${this.waitingFor()}`)
      }
    }
  }

  /** A joiner starts as a learner, and the leader makes it a voter when it has caught up. */
  private becomesVoter(signal: AbortSignal): Promise<boolean> {
    const { raft } = this.parts
    const isVoter = (): boolean => raft.status().config.voters.includes(this.init.name)
    if (isVoter()) return Promise.resolve(true)
    return new Promise((resolve) => {
      const finish = (answer: boolean): void => {
        off()
        signal.removeEventListener('abort', onAbort)
        resolve(answer)
      }
      const onAbort = (): void => finish(isVoter())
      const off = raft.on('config', () => {
        if (isVoter()) finish(true)
      })
      signal.addEventListener('abort', onAbort)
      if (signal.aborted) onAbort()
    })
  }

  private waitingFor(): string {
    const { config, leader } = this.parts.raft.status()
    if (leader === undefined) return `there is no leader. ${describeQuorum(config, this.parts.connected())}`
    return config.voters.includes(this.init.name)
      ? `the leader is ${peerOf(leader)}, its state is on the way.`
      : `the leader is ${peerOf(leader)}; this peer is a learner until it has caught up.`
  }
}
