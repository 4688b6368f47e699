/**
 * Virtual time: a heap of events keyed (time, sequence). Time jumps from one event to the next, so that idle time costs
 * nothing; events at the same time happen in the order in which they were scheduled, so that a run is a function of its seed.
 *
 * Called by everything in `sim/`; calls only the dispatcher it is given. Events are pooled: a run of an hour makes millions.
 */

/** What an event is for; `Simulation.dispatch` gives each to its owner. */
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
  /** Microseconds of virtual time since the start. */
  time: number
  sequence: number
  kind: EventKind
  /** Slot of the node concerned; -1 for none. */
  slot: number
  /** Meaning depends on the kind; most often the boot or the connection that the event belongs to, so that a stale one is known. */
  a: number
  b: number
  payload: unknown
}

const before = (left: SimEvent, right: SimEvent): boolean =>
  left.time < right.time || (left.time === right.time && left.sequence < right.sequence)

export class World {
  /** Microseconds of virtual time since the start; an integer. */
  nowUs = 0
  /** Events dispatched so far. */
  events = 0
  readonly #heap: SimEvent[] = []
  readonly #free: SimEvent[] = []
  #sequence = 0

  /** Schedules an event `delayUs` (an integer, not negative) from now. */
  schedule(delayUs: number, kind: EventKind, slot: number, a: number, b: number, payload: unknown): void {
    let event = this.#free.pop()
    const time = this.nowUs + delayUs
    if (event === undefined) {
      event = { time, sequence: this.#sequence++, kind, slot, a, b, payload }
    } else {
      event.time = time
      event.sequence = this.#sequence++
      event.kind = kind
      event.slot = slot
      event.a = a
      event.b = b
      event.payload = payload
    }
    this.#up(event)
  }

  /** Dispatches events until none is left before `untilUs`, then sets the time to `untilUs`; or until `dispatch` answers false. */
  run(untilUs: number, dispatch: (event: SimEvent) => boolean): void {
    const heap = this.#heap
    for (;;) {
      const next = heap[0]
      if (next === undefined || next.time > untilUs) {
        this.nowUs = untilUs
        return
      }
      this.#removeTop()
      this.nowUs = next.time
      this.events++
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
    const heap = this.#heap
    for (;;) {
      const next = heap[0]
      if (next === undefined || next.time > untilUs) {
        this.nowUs = untilUs
        return
      }
      this.#removeTop()
      this.nowUs = next.time
      this.events++
      const goOn = dispatch(next)
      next.payload = undefined
      this.#free.push(next)
      await settled()
      if (!goOn) return
    }
  }

  #up(event: SimEvent): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parentAt = (at - 1) >> 1
      const parent = heap[parentAt] as SimEvent
      if (!before(event, parent)) break
      heap[at] = parent
      at = parentAt
    }
    heap[at] = event
  }

  #removeTop(): void {
    const heap = this.#heap
    const last = heap.pop() as SimEvent
    const size = heap.length
    if (size === 0) return
    let at = 0
    for (;;) {
      let childAt = 2 * at + 1
      if (childAt >= size) break
      let child = heap[childAt] as SimEvent
      const right = childAt + 1 < size ? heap[childAt + 1] : undefined
      if (right !== undefined && before(right, child)) {
        child = right
        childAt++
      }
      if (!before(child, last)) break
      heap[at] = child
      at = childAt
    }
    heap[at] = last
  }
}
