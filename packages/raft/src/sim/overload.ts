/**
 * A machine with more to do than it can: for a while the loops of all nodes, which share it, stand still again and again, together or each for itself,
 * and get little time in between. Nobody is broken, everybody is merely slow; so commits have to go on. Where nothing else is wrong in a world, that is
 * judged while it lasts: what the liveness phase asks for is that a group recovers afterwards, and a group that nobody leads for as long as its
 * machine is busy would pass there.
 *
 * Owned by `nemesis.ts`, which starts it, and stops it when all faults end. Drawn by `swarm.ts`. Times are microseconds.
 */

import type { SimActor } from './actor.ts'
import type { Panel } from './judges/panel.ts'
import { Violation } from './judges/violation.ts'
import type { Prng } from './prng.ts'
import type { SwarmProfile } from './swarm.ts'
import { EventKind, type World } from './world.ts'

export interface OverloadProfile {
  /** Mean time between two spells; 0 for none. */
  readonly everyUs: number
  readonly spellUs: number
  /** Mean length of one stall. */
  readonly stallUs: number
  /** Between two stalls of a node. */
  readonly awakeUs: number
  /** All stand still at the same times. */
  readonly together: boolean
  /** There is nothing else in this world that could keep a group from committing. */
  readonly isAlone: boolean
}

/** While everybody is merely slow, a write commits at least once in so many election timeouts. */
const PATIENCE_TIMEOUTS = 40

export function drawOverload(prng: Prng, isAlone: boolean, electionTimeoutMs: number): OverloadProfile {
  const timeoutUs = electionTimeoutMs * 1000
  return {
    everyUs: prng.logUniform(2 * timeoutUs, 10 * timeoutUs),
    spellUs: prng.between(20, 60) * timeoutUs,
    // From hardly noticed to most of an election timeout.
    stallUs: Math.floor((timeoutUs * prng.between(10, 80)) / 100),
    awakeUs: Math.floor((timeoutUs * prng.between(6, 20)) / 100),
    together: prng.below(2) === 0,
    isAlone
  }
}

export const NO_OVERLOAD: OverloadProfile = {
  everyUs: 0,
  spellUs: 0,
  stallUs: 0,
  awakeUs: 0,
  together: false,
  isAlone: false
}

export class Overload {
  /** Stalls so far. */
  stalls = 0
  readonly #world: World
  readonly #panel: Panel
  readonly #nodes: readonly SimActor[]
  readonly #profile: SwarmProfile
  readonly #prng: Prng
  #stopped = false
  #endUs = 0
  #committed = 0
  #committedAtUs = 0

  constructor(
    { world, panel, nodes, profile }: { world: World; panel: Panel; nodes: readonly SimActor[]; profile: SwarmProfile },
    prng: Prng
  ) {
    this.#world = world
    this.#panel = panel
    this.#nodes = nodes
    this.#profile = profile
    this.#prng = prng
  }

  start(): void {
    const { everyUs } = this.#profile.overload
    if (everyUs > 0) this.#after(this.#prng.exponential(everyUs), () => this.#begin())
  }

  /** Wakes nobody: the nemesis does, when all faults end. */
  stop(): void {
    this.#stopped = true
  }

  #after(delayUs: number, happen: () => void): void {
    this.#world.schedule(1 + delayUs, EventKind.call, -1, 0, 0, () => {
      if (!this.#stopped) happen()
    })
  }

  #begin(): void {
    const { spellUs, everyUs, together } = this.#profile.overload
    this.#endUs = this.#world.nowUs + spellUs
    this.#committed = this.#panel.committed.lastIndex
    this.#committedAtUs = this.#world.nowUs
    if (together) this.#stall(this.#nodes)
    else for (const node of this.#nodes) this.#after(this.#prng.below(everyUs), () => this.#stall([node]))
    this.#after(spellUs + this.#prng.exponential(everyUs), () => this.#begin())
  }

  /** These stand still, wake up for a little, and so on until the spell is over. */
  #stall(nodes: readonly SimActor[]): void {
    this.#judge()
    if (this.#world.nowUs >= this.#endUs) return
    const { stallUs, awakeUs } = this.#profile.overload
    const asleep = nodes.filter((node) => node.up && !node.paused)
    this.stalls += asleep.length
    for (const node of asleep) node.pause()
    const forUs = Math.floor((stallUs * this.#prng.between(50, 150)) / 100)
    this.#after(forUs, () => {
      for (const node of asleep) if (node.paused) node.resume()
      this.#after(awakeUs, () => this.#stall(nodes))
    })
  }

  #judge(): void {
    const { lastIndex } = this.#panel.committed
    if (lastIndex > this.#committed) {
      this.#committed = lastIndex
      this.#committedAtUs = this.#world.nowUs
    }
    const { core, overload } = this.#profile
    const forMs = (this.#world.nowUs - this.#committedAtUs) / 1000
    if (!overload.isAlone || forMs <= PATIENCE_TIMEOUTS * core.electionTimeoutMs) return
    const who = this.#nodes.filter(({ view }) => view.alive && view.role === 'leader').map(({ id }) => id)
    throw new Violation(
      'liveness',
      `everybody is merely slow, and nothing was committed for ${forMs} ms; ${who.join(', ') || 'nobody'} leads`
    )
  }
}
