/**
 * One life of a simulated process: what belongs to it happens only while it lives, and waits while it is stopped. Everything asynchronous in the full
 * mode goes through here, so that no promise of a dead process is ever settled and no timer of it fires. Made by `full-node.ts`.
 */

import { EventKind, type World } from '../world.ts'

export class SimulatedProcess {
  alive = true
  #paused = false
  #held: (() => void)[] = []
  readonly #world: World
  readonly #slot: number

  constructor(world: World, slot: number) {
    this.#world = world
    this.#slot = slot
  }

  /** Calls `happen` after `delayUs`, in this life, once it is awake. @returns what cancels it */
  after(delayUs: number, happen: () => void): () => void {
    let cancelled = false
    const run = (): void => {
      if (!cancelled) happen()
    }
    this.#world.schedule(delayUs, EventKind.call, this.#slot, 0, 0, () => this.happens(run))
    return () => {
      cancelled = true
    }
  }

  /** Something comes from outside: now, or once the process is awake, or never. */
  happens(happen: () => void): void {
    if (!this.alive) return
    if (this.#paused) this.#held.push(happen)
    else happen()
  }

  /** Resolves after `delayUs`; never if the process dies before. */
  delay(delayUs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayUs, resolve))
  }

  die(): void {
    this.alive = false
    this.#held = []
  }

  pause(): void {
    this.#paused = true
  }

  /** Each thing that waited is an event of its own, in order. */
  resume(): void {
    this.#paused = false
    const held = this.#held
    this.#held = []
    held.forEach((happen, n) => {
      this.#world.schedule(n, EventKind.call, this.#slot, 0, 0, () => this.happens(happen))
    })
  }
}
