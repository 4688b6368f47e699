/**
 * Pins sent by a client that never tries again, and a record of what was acknowledged. Talks plain HTTP, without the client of the
 * project, whose conveniences would blur what one request got as its answer.
 */

import { Agent, request } from 'node:http'
import { absentCid } from './content.ts'
import type { Daemon } from './daemon.ts'

export class PinLoad {
  /** Every CID that a pin was asked of, whatever came of it. */
  readonly asked = new Set<string>()
  /** Those whose request was answered with 200. */
  readonly acknowledged = new Set<string>()
  private readonly waiting = new Set<() => void>()
  private pending = 0

  /** Requests without an answer so far. */
  get pendingCount(): number {
    return this.pending
  }

  /** Sends `count` pins at once, to the peers by turns. Resolves when each has an answer or has failed. */
  async send(daemons: readonly Daemon[], count: number): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: count })
    try {
      await Promise.all(
        Array.from({ length: count }, async (_, at) => {
          const cid = absentCid()
          this.asked.add(cid)
          this.pending++
          if (await post(agent, `${daemons[at % daemons.length]!.api}/pins/${cid}`)) this.acknowledged.add(cid)
          this.pending--
          for (const look of this.waiting) look()
        })
      )
    } finally {
      agent.destroy()
    }
  }

  /** Resolves when so many more were acknowledged, or when no request is left. */
  acknowledgedMore(count: number): Promise<void> {
    const goal = this.acknowledged.size + count
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.acknowledged.size < goal && this.pending > 0) return
        this.waiting.delete(look)
        resolve()
      }
      this.waiting.add(look)
      look()
    })
  }
}

/** @returns whether the whole answer came and is 200 */
function post(agent: Agent, url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request(url, { method: 'POST', agent }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode === 200))
      response.on('error', () => resolve(false))
    })
    sent.on('error', () => resolve(false))
    sent.end()
  })
}
