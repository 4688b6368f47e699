/**
 * Waits for a state that was begun anew beside a log that was not: it was put away for being wrong, or given up after a loss of power. The log
 * brings it back, from the first entry on, once a leader says what is committed. Until then pins are missing in it that nobody unpinned, and
 * the tracker, which makes the IPFS node match, must not see it. Called by `compose.ts`.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Raft } from '@quorate/raft'

/** After a question that was refused. A barrier waits by itself as well. */
const PAUSE_MS = 250

/** @throws the reason of the signal */
export async function stateCaughtUp(raft: Pick<Raft<unknown>, 'readBarrier'>, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    try {
      await raft.readBarrier({ signal })
      return
    } catch {
      // Whatever it was, the state is not there, and the signal says when there is no point in asking again. Always with a pause: a node that
      // halts refuses at once, and what it has to do before it says so would not get its turn.
      await delay(PAUSE_MS, undefined, { signal }).catch(() => undefined)
    }
  }
}
