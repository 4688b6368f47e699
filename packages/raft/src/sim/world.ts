/**
 * Virtual time: a heap of events keyed (time, sequence). Time jumps from one event to the next, so that idle time costs
 * nothing; events at the same time happen in the order in which they were scheduled, so that a run is a function of its seed.
 *
 * Called by everything in `sim/`; calls only the dispatcher it is given. Events are pooled: a run of an hour makes millions.
 */

/** What an event is for; `dispatch` of a run gives each to its owner. */
export const EventKind = {
  tick: 1,
  deliver: 2,
  diskDone: 3,
  applyDone: 4,
  flushDone: 5,
  snapshotDone: 6,
  fetchDone: 7,
  resume: 8,
  restart: 9,
  nemesis: 10,
  workload: 11,
  peerHint: 12,
  inspect: 13,
  heal: 14,
  strike: 15,
  /** The payload is a function to call. */
  call: 16
} as const
export type EventKind = (typeof EventKind)[keyof typeof EventKind]

/** One thing that will happen. Belongs to the world: valid only during its dispatch. */
export interface SimEvent {
  kind: EventKind
  /** Slot of the node concerned; -1 for none. */
  slot: number
  /** Meaning depends on the kind; most often the boot or the connection that the event belongs to, so that a stale one is known. */
  a: number
  b: number
  payload: unknown
}

/** Children of each place in the heap: with four it is half as deep as with two, and they lie side by side in memory. */
const ARITY = 4

export class World {
  /** Microseconds of virtual time since the start; an integer. */
  nowUs = 0
  /** Events dispatched so far. */
  events = 0
  /** The heap, by time and then by sequence number: three lists in step. Most of what happens here is comparing times, so they lie close together. */
  #times = new Float64Array(256)
  #sequences = new Float64Array(256)
  readonly #events: (SimEvent | undefined)[] = []
  #size = 0
  readonly #free: SimEvent[] = []
  #sequence = 0

  /** Schedules an event `delayUs` (an integer, not negative) from now. */
  schedule(delayUs: number, kind: EventKind, slot: number, a: number, b: number, payload: unknown): void {
    let event = this.#free.pop()
    if (event === undefined) {
      event = { kind, slot, a, b, payload }
    } else {
      event.kind = kind
      event.slot = slot
      event.a = a
      event.b = b
      event.payload = payload
    }
    this.#add(this.nowUs + delayUs, event)
  }

  /** Dispatches events until none is left before `untilUs`, then sets the time to `untilUs`; or until `dispatch` answers false. */
  run(untilUs: number, dispatch: (event: SimEvent) => boolean): void {
    for (;;) {
      const next = this.#next(untilUs)
      if (next === undefined) return
      const goOn = dispatch(next)
      next.payload = undefined
      this.#free.push(next)
      if (!goOn) return
    }
  }

  /** As `run`, and lets everything that an event has set off among promises come to rest before the next. */
  async runSettled(
    untilUs: number,
    dispatch: (event: SimEvent) => boolean,
    settled: () => Promise<void>
  ): Promise<void> {
    for (;;) {
      const next = this.#next(untilUs)
      if (next === undefined) return
      const goOn = dispatch(next)
      next.payload = undefined
      this.#free.push(next)
      await settled()
      if (!goOn) return
    }
  }

  /** Takes out the next event and sets the time to its own; undefined, and the time is `untilUs`, if none comes before. */
  #next(untilUs: number): SimEvent | undefined {
    const time = this.#size === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] as number)
    if (time > untilUs) {
      this.nowUs = untilUs
      return undefined
    }
    const next = this.#events[0]
    this.#removeTop()
    this.nowUs = time
    this.events++
    return next
  }

  #add(time: number, event: SimEvent): void {
    if (this.#size === this.#times.length) this.#grow()
    const times = this.#times
    const sequences = this.#sequences
    const events = this.#events
    // It is the youngest, so that among equal times it stays behind.
    let at = this.#size++
    while (at > 0) {
      const parent = ((at - 1) / ARITY) | 0
      const parentTime = times[parent] as number
      if (parentTime <= time) break
      times[at] = parentTime
      sequences[at] = sequences[parent] as number
      events[at] = events[parent]
      at = parent
    }
    times[at] = time
    sequences[at] = this.#sequence++
    events[at] = event
  }

  #grow(): void {
    const times = new Float64Array(2 * this.#size)
    const sequences = new Float64Array(2 * this.#size)
    times.set(this.#times)
    sequences.set(this.#sequences)
    this.#times = times
    this.#sequences = sequences
  }

  /** Fills the hole at the top with the last one, which sinks to its place. */
  #removeTop(): void {
    const times = this.#times
    const sequences = this.#sequences
    const events = this.#events
    const size = --this.#size
    const time = times[size] as number
    const sequence = sequences[size] as number
    const event = events[size]
    events[size] = undefined
    if (size === 0) return
    let at = 0
    for (let first = 1; first < size; first = ARITY * at + 1) {
      const end = Math.min(first + ARITY, size)
      let least = first
      let leastTime = times[first] as number
      for (let child = first + 1; child < end; child++) {
        const childTime = times[child] as number
        if (childTime > leastTime) continue
        if (childTime === leastTime && (sequences[child] as number) > (sequences[least] as number)) continue
        least = child
        leastTime = childTime
      }
      if (leastTime > time || (leastTime === time && (sequences[least] as number) > sequence)) break
      times[at] = leastTime
      sequences[at] = sequences[least] as number
      events[at] = events[least]
      at = least
    }
    times[at] = time
    sequences[at] = sequence
    events[at] = event
  }
}
