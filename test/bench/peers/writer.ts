/**
 * A client that writes at one peer, one write after the other, and notes when each is acknowledged. It tries nothing again: what it is
 * told is what the peer, which does, could not spare it. Used by the benchmarks of this folder.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Daemon } from '../../e2e/support/daemon.ts'

/** Content that nobody has: each write changes the name of its pin. */
const CONTENT = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
/** Between two writes, so that several writers leave the machine to what is measured. */
const PAUSE_MS = 2

export interface Ack {
  readonly fromMs: number
  readonly atMs: number
}

export class Writer {
  readonly daemon: Daemon
  readonly acks: Ack[] = []
  /** What refused writes were told. */
  readonly refusals: string[] = []
  #running = true
  readonly #done: Promise<void>

  /** @param pauseMs - between the end of a write and the next @default 2 */
  constructor(daemon: Daemon, pauseMs = PAUSE_MS) {
    this.daemon = daemon
    this.#done = this.#run(pauseMs)
  }

  /** Ends after the write that is under way. */
  async stop(): Promise<void> {
    this.#running = false
    await this.#done
  }

  async #run(pauseMs: number): Promise<void> {
    const { client } = this.daemon
    for (let n = 0; this.#running; n++) {
      const fromMs = performance.now()
      try {
        await client.pin(CONTENT, { name: `${this.daemon.name}-${n}` })
        this.acks.push({ fromMs, atMs: performance.now() })
      } catch (error) {
        this.refusals.push(error instanceof Error ? error.message : String(error))
      }
      if (pauseMs > 0) await delay(pauseMs)
    }
  }
}
