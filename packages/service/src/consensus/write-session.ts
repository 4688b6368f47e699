/**
 * The session of this start of the daemon, in which it numbers what it writes, so that a write that is tried again, here or through
 * another leader, takes effect once (T44; `@quorate/raft`, `SessionTable`). Opened by the first write; opened anew once it has
 * expired. Used by `raft-consensus.ts`.
 */

import { SessionClient, type SessionCommand } from '@quorate/raft'

export class WriteSession {
  readonly #client: SessionClient
  /** Somebody is opening a session. */
  #opening = false
  /** Writes that wait for the session, or for room in it, in order. */
  readonly #waiting = new Set<() => void>()

  constructor(client = new SessionClient()) {
    this.#client = client
  }

  /**
   * A number for a write; `end` is to be called once, however the write ends. Opens a session with `open` if there is none: one caller does,
   * the others wait for it, and one of them goes on if it fails.
   */
  async begin(open: () => Promise<number>, signal: AbortSignal): Promise<SessionCommand> {
    for (;;) {
      const command = this.#client.begin()
      if (command !== undefined) return this.#watched(command)
      if (this.#client.session === undefined && !this.#opening) await this.#open(open)
      else await this.#turn(signal)
    }
  }

  /** The table said that it does not know this session. */
  expired(session: number): void {
    this.#client.expired(session)
    this.#wake()
  }

  #watched(command: SessionCommand): SessionCommand {
    return {
      stamp: () => command.stamp(),
      end: () => {
        command.end()
        this.#wake()
      }
    }
  }

  async #open(open: () => Promise<number>): Promise<void> {
    this.#opening = true
    try {
      this.#client.opened(await open())
    } finally {
      this.#opening = false
      this.#wake()
    }
  }

  /** As many as there is room for; one, if somebody has to open a session. */
  #wake(): void {
    let room = this.#client.session === undefined && !this.#opening ? 1 : this.#client.room
    for (const go of this.#waiting) {
      if (room-- <= 0) return
      this.#waiting.delete(go)
      go()
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onAbort = (): void => reject(signal.reason)
    this.#waiting.add(resolve)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      signal.throwIfAborted()
      await promise
      signal.throwIfAborted()
    } catch (error) {
      // If it was this one's turn, it is the next one's now.
      if (!this.#waiting.delete(resolve)) this.#wake()
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }
}
