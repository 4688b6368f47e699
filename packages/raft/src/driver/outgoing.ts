/**
 * Messages on their way to the transport. All leave at once, but for one kind: an AppendEntries without entries, which only tells
 * a follower how far the leader has committed, waits for the next turn. Under load that turn has entries for the same follower,
 * which say the same and more, and the empty message is not sent at all; it would cost each side as much as a full one. Without
 * load the next turn comes at once. Used by `driver.ts`.
 *
 * That Raft allows for lost messages makes this safe; that the later message carries a commit index and a read position at least
 * as high makes it harmless.
 */

import type { AppendEntriesRequest, Message } from '../core/messages.ts'
import type { NodeId } from '../core/types.ts'

export class Outgoing {
  readonly #send: (to: NodeId, message: Message) => void
  /** Of this turn. */
  #fresh = new Map<NodeId, AppendEntriesRequest>()
  /** Of the turn before. */
  #held = new Map<NodeId, AppendEntriesRequest>()

  constructor(send: (to: NodeId, message: Message) => void) {
    this.#send = send
  }

  send(to: NodeId, message: Message): void {
    if (message.type !== 'append-entries-request') {
      this.#send(to, message)
      return
    }
    if (message.entries.length === 0) {
      // One that has waited already leaves at the end of this turn, with what is known by then; it is not put off again.
      if (this.#held.has(to)) this.#held.set(to, message)
      else this.#fresh.set(to, message)
      return
    }
    this.#held.delete(to)
    this.#fresh.delete(to)
    this.#send(to, message)
  }

  /** Sends what has waited for a turn. @returns whether something waits for the next */
  endTurn(): boolean {
    for (const [to, message] of this.#held) this.#send(to, message)
    const sent = this.#held
    sent.clear()
    this.#held = this.#fresh
    this.#fresh = sent
    return this.#held.size > 0
  }
}
