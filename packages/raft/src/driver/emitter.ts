/** The listeners of a node. A listener that throws is logged and harms nobody else. Used by `driver.ts`. */

import type { RaftEvents, RaftLogger } from '../api.ts'

type Listeners = { [K in keyof RaftEvents]: Set<(event: RaftEvents[K]) => void> }

export class Emitter {
  readonly #listeners: Listeners = {
    role: new Set(),
    config: new Set(),
    applied: new Set(),
    restored: new Set(),
    alarm: new Set(),
    halt: new Set()
  }
  readonly #logger: RaftLogger | undefined

  constructor(logger: RaftLogger | undefined) {
    this.#logger = logger
  }

  on<K extends keyof RaftEvents>(event: K, listener: (event: RaftEvents[K]) => void): () => void {
    this.#listeners[event].add(listener)
    return () => this.#listeners[event].delete(listener)
  }

  emit<K extends keyof RaftEvents>(event: K, data: RaftEvents[K]): void {
    for (const listener of this.#listeners[event]) {
      try {
        listener(data)
      } catch (error) {
        this.#logger?.error(`A listener of the event ${event} failed: ${error instanceof Error ? error.stack : error}`)
      }
    }
  }
}
