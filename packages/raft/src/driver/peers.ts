/**
 * The members that a node which is not made yet can ask: whom there is, and one call to each that does not wait for ever. Used by
 * `repair.ts` and `startup.ts`.
 */

import { membersOf } from '../core/members.ts'
import type { ClusterConfig, Index, LogBase, NodeId } from '../core/types.ts'
import type { Clock, EntriesAnswer, EntriesRequest, LogReport, Transport } from '../ports.ts'
import { isDiskFull } from '../storage/errors.ts'
import { delay } from './clock.ts'
import { messageOf } from './message-of.ts'

/** For a call that is answered from memory. One that makes a snapshot may take longer, and is bounded by the transport. */
const CALL_TIMEOUT_MS = 3000
/** Between two rounds of asking everybody: short at first, since a peer may be about to come up. */
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2000
/** Known members are bounded as a configuration's are; what peers say beyond that is not taken in. */
const MAX_PEERS = 2048

/** A transport with the calls that a repair takes. */
export type AskableTransport = Transport & Required<Pick<Transport, 'fetchLogReport' | 'fetchEntries' | 'fetchOffer'>>

export const isAskable = (transport: Transport): transport is AskableTransport =>
  transport.fetchLogReport !== undefined && transport.fetchEntries !== undefined && transport.fetchOffer !== undefined

/** A snapshot could not be had: from this peer, for now, or ever, since the own disk fails (T51). @throws what is final */
export function judgeFailedFetch(error: unknown, signal: AbortSignal): void {
  signal.throwIfAborted()
  if (error instanceof Error && error.name === 'StorageFailedError' && !isDiskFull(error)) throw error
}

export interface PeerReport extends LogReport {
  readonly peer: NodeId
}

export class Peers {
  readonly #self: NodeId
  readonly #transport: AskableTransport
  readonly #clock: Clock
  readonly #known = new Set<NodeId>()
  #pauseMs = FIRST_PAUSE_MS
  /** Why the last call failed that did. */
  #lastFailure = ''

  constructor(self: NodeId, transport: AskableTransport, clock: Clock) {
    this.#self = self
    this.#transport = transport
    this.#clock = clock
  }

  get known(): readonly NodeId[] {
    return [...this.#known]
  }

  /** For people: why somebody did not answer, if so. */
  get lastFailure(): string {
    return this.#lastFailure
  }

  /** Whom these configurations name is asked from now on. */
  learn(configs: readonly ClusterConfig[]): void {
    const before = this.#known.size
    for (const peer of configs.flatMap(membersOf)) {
      if (peer !== this.#self && this.#known.size < MAX_PEERS) this.#known.add(peer)
    }
    if (this.#known.size > before) this.#transport.setPeers(this.known)
  }

  /** What those who answer say of their logs; those who lead first, the newest term at the front. */
  async reports(signal: AbortSignal): Promise<readonly PeerReport[]> {
    const answers = await Promise.all(
      this.known.map(async (peer) => {
        const report = await this.#ask((limit) => this.#transport.fetchLogReport(peer, limit), signal)
        return report === undefined ? [] : [{ ...report, peer }]
      })
    )
    const reports = answers.flat()
    this.learn(reports.flatMap(({ base }) => (base === undefined ? [] : [base.config])))
    return reports.sort((a, b) => Number(b.leads) - Number(a.leads) || b.term - a.term)
  }

  entries(peer: NodeId, request: EntriesRequest, signal: AbortSignal): Promise<EntriesAnswer | undefined> {
    return this.#ask((limit) => this.#transport.fetchEntries(peer, request, limit), signal)
  }

  async offer(peer: NodeId, atLeast: Index, signal: AbortSignal): Promise<LogBase | undefined> {
    try {
      return await this.#transport.fetchOffer(peer, atLeast, signal)
    } catch {
      signal.throwIfAborted()
      return undefined
    }
  }

  /** @throws the reason of `signal` when it aborts */
  async pause(signal: AbortSignal): Promise<void> {
    await delay(this.#clock, this.#pauseMs, signal)
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS)
    signal.throwIfAborted()
  }

  /** @returns undefined if no answer came */
  async #ask<T>(call: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
    const late = new AbortController()
    const cancel = this.#clock.after(CALL_TIMEOUT_MS, () => late.abort(new Error('the peer did not answer in time')))
    try {
      return await call(AbortSignal.any([signal, late.signal]))
    } catch (error) {
      signal.throwIfAborted()
      this.#lastFailure = messageOf(error)
      return undefined
    } finally {
      cancel()
    }
  }
}
