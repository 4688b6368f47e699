/** Time as it is: the monotonic clock, and timers that keep no process alive. The driver's default `Clock`. */

import type { Clock } from '../ports.ts'

export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs).unref()
    return () => clearTimeout(timer)
  },
  soon(callback) {
    setImmediate(callback)
  }
}
