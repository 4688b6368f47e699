/** Time for the tracker, from outside so that tests can move it. */

export interface TrackerClock {
  /** Milliseconds since the Unix epoch: times of operations outlive the process. */
  now(): number
  /** Calls back once; the result cancels it. Does not keep the process alive. */
  after(delayMs: number, callback: () => void): () => void
}

export const systemClock: TrackerClock = {
  now: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  }
}
