/** Timers of Node that do not keep the process alive. Used by the storage where it is given no clock, and in the driver's own. */

import type { Clock } from '../ports.ts'

export const systemTimers: Pick<Clock, 'after'> = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs).unref()
    return () => clearTimeout(timer)
  }
}
