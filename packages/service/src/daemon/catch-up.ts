/**
 * Waits for a state that was begun anew beside a log that was not: it was put away for being wrong, or given up after a loss of power. The log
 * brings it back, from the first entry on, once a leader says what is committed. Until then pins are missing in it that nobody unpinned, and
 * the tracker, which makes the IPFS node match, must not see it. Called by `compose.ts`.
 */

import type { Raft } from '@quorate/raft'

/** Between two questions, when no leader answers. A barrier waits by itself as well. */
const PAUSE_MS = 250

/** @throws the reason of the signal */
export async function stateCaughtUp(raft: Pick<Raft<unknown>, 'readBarrier'>, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    try {
      await raft.readBarrier({ signal })
      return
    } catch (error) {
      // Whatever it was, the state is not there, and the signal says when there is no point in asking again.
      if ((error as Error).name !== 'ReadUnavailableError') await pause(signal)
    }
  }
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, PAUSE_MS)
    function done(): void {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done, { once: true })
  })
}
