/**
 * How a node ends: closed by the application, halted by what it cannot get over, or halted since its state is wrong (`diverged.ts`). Whichever
 * it is, first nothing happens any more and whoever waits is told; what takes time follows. Made and asked by `driver.ts`.
 */

import type { RaftComponents } from '../api.ts'
import { putAway } from './diverged.ts'
import { messageOf } from './message-of.ts'
import type { Parts } from './parts.ts'

export class Ending<Result> {
  readonly #components: RaftComponents<Result>
  readonly #parts: Parts<Result>
  readonly #dump: (reason: string) => Promise<string>
  #why: string | undefined
  /** The record of a halt, on its way to where records are kept. Never rejects. */
  #dumping: Promise<void> | undefined
  /** A wrong state is being put away. Never rejects. */
  #puttingAway: Promise<void> | undefined
  #closing: Promise<void> | undefined

  /** @param dump - keeps the flight record; answers where it is */
  constructor(components: RaftComponents<Result>, parts: Parts<Result>, dump: (reason: string) => Promise<string>) {
    this.#components = components
    this.#parts = parts
    this.#dump = dump
  }

  /** Why nothing happens any more, once it does not. */
  get why(): string | undefined {
    return this.#why
  }

  /** Stops for good: this node may no longer say anything (T51). */
  halt(reason: string): void {
    if (this.#why !== undefined) return
    const { transport, disk } = this.#components
    this.#stopHalted(reason)
    void transport.stop().catch(() => {})
    void disk?.stop()
    this.#parts.emitter.emit('halt', { reason })
  }

  /** Ends like a halt, except that nobody hears of it, and ends the process, before the state is put away. */
  haltDiverged(detail: string): void {
    const { transport, stateMachine, snapshots, logger } = this.#components
    const { snapshotter, applier, emitter } = this.#parts
    this.#stopHalted(detail)
    const idle = () => Promise.all([transport.stop(), snapshotter.stop(), applier.stop()])
    this.#puttingAway = putAway({ stateMachine, snapshots, idle }).then(
      () => emitter.emit('halt', { reason: `${detail}; the state is put away, and made anew at the next start` }),
      (error: unknown) => {
        logger?.error(`The state is not put away: ${messageOf(error)}`)
        emitter.emit('halt', { reason: `${detail}, and could not be put away: ${messageOf(error)}` })
      }
    )
  }

  /**
   * Resolves when nothing works on the storage any more, and it is closed. Every call answers the same.
   *
   * @param handOver - comes before everything else; never rejects
   */
  close(handOver: (() => Promise<void>) | undefined): Promise<void> {
    this.#closing ??= this.#close(handOver)
    return this.#closing
  }

  async #close(handOver: (() => Promise<void>) | undefined): Promise<void> {
    if (handOver !== undefined) await handOver()
    this.#stop('the node was closed')
    await this.#puttingAway
    const { transport, storage, disk } = this.#components
    const { snapshotter, applier, writer, exchange } = this.#parts
    // Whatever fails, the log is closed, and only when nothing works on it any more.
    const failures: unknown[] = []
    const ends = [
      () => transport.stop(),
      async () => disk?.stop(),
      () => snapshotter.stop(),
      () => applier.stop(),
      () => writer.idle(),
      // An installation may still be tidying up older snapshots.
      () => exchange.idle(),
      () => storage.close()
    ]
    await this.#dumping
    for (const end of ends) await end().catch((error: unknown) => failures.push(error))
    if (failures.length > 0) throw failures[0]
  }

  #stopHalted(reason: string): void {
    this.#components.logger?.error(`The node halts: ${reason}`)
    this.#stop(reason)
    if (this.#parts.recorder !== undefined) this.#dumping = this.#keepPast(reason)
  }

  #stop(why: string): void {
    if (this.#why !== undefined) return
    this.#why = why
    const { inbox, ticker, checkpointer, writer, proposals, reads, requests } = this.#parts
    inbox.clear()
    ticker.stop()
    checkpointer.stop()
    writer.drop(new Error(why))
    proposals.stop(why)
    reads.stop(why)
    requests.stop(why)
  }

  /** Leaves the past of a halt behind. Never rejects: the halt is what matters. */
  async #keepPast(reason: string): Promise<void> {
    const { logger } = this.#components
    try {
      const place = await this.#dump(reason)
      logger?.error(`What led to the halt is kept in ${place}`)
    } catch (error) {
      logger?.error(`What led to the halt could not be kept: ${messageOf(error)}`)
    }
  }
}
