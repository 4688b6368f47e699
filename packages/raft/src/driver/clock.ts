/** Time as it is: the monotonic clock, and timers that keep no process alive. The driver's default `Clock`. */

import type { Clock } from '../ports.ts'
import { systemTimers } from '../storage/system-timers.ts'

export const systemClock: Clock = {
  ...systemTimers,
  now: () => performance.now(),
  soon(callback) {
    setImmediate(callback)
  }
}

/** Resolves after `ms`, or once `signal` aborts if that is earlier. Never rejects. */
export function delay(clock: Pick<Clock, 'after'>, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.after(ms, done)
    signal.addEventListener('abort', done, { once: true })
  })
}
