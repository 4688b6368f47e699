/** Time for the tracker, from outside so that tests can move it. */

export interface TrackerClock {
  /** Milliseconds since the Unix epoch: times of operations outlive the process. */
  now(): number
  /**
   * Calls back once; the result cancels it. Does not keep the process alive. May call back early after a delay of weeks, as it does
   * after one that is infinite: whoever waits so long looks again.
   */
  after(delayMs: number, callback: () => void): () => void
}

/** Node takes longer delays for 1 ms. */
const LONGEST_DELAY_MS = 2 ** 31 - 1

export const systemClock: TrackerClock = {
  now: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(delayMs, LONGEST_DELAY_MS))
    timer.unref()
    return () => clearTimeout(timer)
  }
}
