/**
 * The links between nodes, one per direction: delay, loss, duplicates, replays, reordering, and cuts of any shape.
 *
 * Two kinds. As streams (what libp2p gives), messages of a link stay in order, and a cut or a crash of the receiver loses all that is under
 * way. As datagrams every message travels alone, so that order is free and old messages reach restarted nodes.
 * Called by `node.ts` to send and by `nemesis.ts` to cut; calls the world to schedule arrivals.
 */

import type { Message } from '../core/messages.ts'
import type { Prng } from './prng.ts'
import type { NetworkProfile } from './swarm.ts'
import { EventKind, type World } from './world.ts'

export interface NetworkStats {
  sent: number
  dropped: number
  duplicated: number
}

export class Network<Payload = Message> {
  readonly stats: NetworkStats = { sent: 0, dropped: 0, duplicated: 0 }
  readonly #world: World
  readonly #prng: Prng
  readonly #size: number
  #profile: NetworkProfile
  /** Per directed link `from * size + to`. */
  readonly #blocked: Uint8Array
  /** A message arrives only if the link's connection is still the one that it was sent on. */
  readonly #connection: Int32Array
  /** Stream mode: arrival of the last message of the link. */
  readonly #lastArrivalUs: Float64Array

  constructor(world: World, prng: Prng, profile: NetworkProfile, size: number) {
    this.#world = world
    this.#prng = prng
    this.#profile = profile
    this.#size = size
    this.#blocked = new Uint8Array(size * size)
    this.#connection = new Int32Array(size * size)
    this.#lastArrivalUs = new Float64Array(size * size)
  }

  /** Changes delays and faults from now on. */
  setProfile(profile: NetworkProfile): void {
    this.#profile = profile
  }

  send(from: number, to: number, message: Payload): void {
    const link = from * this.#size + to
    const profile = this.#profile
    const prng = this.#prng
    this.stats.sent++
    if (this.#blocked[link] === 1 || prng.chance(profile.drop)) {
      this.stats.dropped++
      return
    }
    let delayUs = profile.minDelayUs + prng.exponential(profile.meanDelayUs)
    const { nowUs } = this.#world
    if (profile.stream) {
      const arrivalUs = Math.max(nowUs + delayUs, this.#lastArrivalUs[link] as number)
      this.#lastArrivalUs[link] = arrivalUs
      delayUs = arrivalUs - nowUs
    }
    const connection = this.#connection[link] as number
    this.#world.schedule(delayUs, EventKind.deliver, to, from, connection, message)
    if (profile.stream) return
    if (prng.chance(profile.duplicate)) {
      this.stats.duplicated++
      const again = profile.minDelayUs + prng.exponential(profile.meanDelayUs)
      this.#world.schedule(again, EventKind.deliver, to, from, connection, message)
    }
    if (prng.chance(profile.replay)) {
      this.stats.duplicated++
      this.#world.schedule(prng.below(profile.replayDelayUs), EventKind.deliver, to, from, connection, message)
    }
  }

  /** Whether a message sent on `connection` of this link still arrives. */
  arrives(from: number, to: number, connection: number): boolean {
    return this.#connection[from * this.#size + to] === connection
  }

  isBlocked(from: number, to: number): boolean {
    return this.#blocked[from * this.#size + to] === 1
  }

  /** Cuts one direction; what is under way on it is lost. */
  block(from: number, to: number): void {
    const link = from * this.#size + to
    this.#blocked[link] = 1
    this.#connection[link]!++
  }

  unblockAll(): void {
    this.#blocked.fill(0)
  }

  /** A process died. As streams, what is under way to it is lost for its next life as well. */
  processDied(slot: number): void {
    if (!this.#profile.stream) return
    for (let from = 0; from < this.#size; from++) this.#connection[from * this.#size + slot]!++
  }
}
