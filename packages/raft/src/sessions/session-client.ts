/**
 * The client's side of a session (`session-table.ts`): numbers its commands, knows which are answered, and keeps no more of them under
 * way than the table takes. Whoever holds it sends the commands, as often as it likes, through whichever node, and says how each ended.
 * Pure bookkeeping: no clocks, no promises; the waiting is the caller's.
 */

import type { Index } from '../core/types.ts'
import { defaultSessionLimits, type SessionStamp } from './session-table.ts'

/** One command, from its first try to its end. */
export interface SessionCommand {
  /** What its next try is to be sent with. The number stays, what is answered moves on. */
  stamp(): SessionStamp
  /**
   * It is answered, or nobody waits for it any more: its number is not used again, and copies of it that come late are not applied. To be
   * called once, however it ended.
   */
  end(): void
}

export class SessionClient {
  readonly #maxWindow: number
  #session: { readonly id: Index; readonly open: Set<number>; answeredThrough: number; last: number } | undefined

  /** @param maxWindow - at most that of the table */
  constructor(maxWindow: number = defaultSessionLimits.maxWindow) {
    this.#maxWindow = maxWindow
  }

  /** The session in use; undefined: one has to be opened. */
  get session(): Index | undefined {
    return this.#session?.id
  }

  /** How many commands can begin before one that is under way has ended; 0 without a session. */
  get room(): number {
    const session = this.#session
    return session === undefined ? 0 : this.#maxWindow - (session.last - session.answeredThrough)
  }

  /** A session was opened by the command at `index`: what begins from now on is numbered in it. */
  opened(index: Index): void {
    this.#session = { id: index, open: new Set(), answeredThrough: 0, last: 0 }
  }

  /** The table does not know this session any more. Commands that are under way in it keep their stamps. */
  expired(session: Index): void {
    if (this.#session?.id === session) this.#session = undefined
  }

  /** @returns undefined if there is no `room` */
  begin(): SessionCommand | undefined {
    const session = this.#session
    if (session === undefined || this.room === 0) return undefined
    const sequence = ++session.last
    session.open.add(sequence)
    return {
      // Never past what is not answered, and so below the number of a command that has not ended.
      stamp: () => ({ session: session.id, sequence, answeredThrough: session.answeredThrough }),
      end: () => {
        session.open.delete(sequence)
        while (session.answeredThrough < session.last && !session.open.has(session.answeredThrough + 1)) {
          session.answeredThrough++
        }
      }
    }
  }
}
