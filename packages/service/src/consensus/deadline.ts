/**
 * A time limit that ends with the work it is for. `AbortSignal.timeout` keeps its timer until it rings: with thousands of writes a second,
 * each with seconds to its limit, that is a heap of timers that ring for nobody. Used by `raft-consensus.ts`.
 */

export interface Deadline {
  /** Aborts at the limit, or with the signal that was given, for its reason. */
  readonly signal: AbortSignal
  /** To be called when nobody waits any more. */
  clear(): void
}

export function beginDeadline(limitMs: number, outer: AbortSignal | undefined): Deadline {
  const controller = new AbortController()
  const onAbort = (): void => controller.abort(outer?.reason)
  const timer = setTimeout(() => {
    controller.abort(new DOMException(`it was not done within ${limitMs} ms`, 'TimeoutError'))
  }, limitMs)
  outer?.addEventListener('abort', onAbort, { once: true })
  if (outer?.aborted === true) onAbort()
  return {
    signal: controller.signal,
    clear() {
      clearTimeout(timer)
      outer?.removeEventListener('abort', onAbort)
    }
  }
}
