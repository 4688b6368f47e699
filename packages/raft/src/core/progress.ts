/**
 * What a leader knows of one peer, and which messages it may send it next: a small state machine as a type.
 *
 * ```
 *            an answer that agrees            a refusal, or the stream broke
 *   probe  ───────────────────────▶ replicate ───────────────────────▶ probe
 *     │                                 │
 *     └───── needs what the log no longer has ─────▶ snapshot ── installed, failed or silent ──▶ probe
 * ```
 *
 * - `probe`: where the logs agree is not known. One message with entries at a time.
 * - `replicate`: the logs agree at `matchIndex`. Messages are sent ahead of their answers, within the limits of the
 *   in-flight ring, and `nextIndex` runs ahead (paper §5.3; dissertation §10.2.1, pipelining).
 * - `snapshot`: the peer fetches a snapshot, or waits for one to be made; no entries are sent.
 *
 * All transitions are methods here; `replication.ts` and `leading.ts` call them.
 */

import type { Health, Index, LogBase, NodeId } from './types.ts'

/** What a ring of messages under way holds, oldest first. */
interface InflightCheckpoint {
  readonly maxMessages: number
  readonly maxBytes: number
  readonly lastIndexes: readonly Index[]
  readonly bytes: readonly number[]
}

/** Messages with entries that are under way to one peer: how many, how many bytes, and where each ends. */
class Inflight {
  readonly #lastIndexes: Float64Array
  readonly #bytes: Float64Array
  readonly #maxMessages: number
  readonly #maxBytes: number
  #start = 0
  count = 0
  bytes = 0

  constructor(maxMessages: number, maxBytes: number) {
    this.#maxMessages = maxMessages
    this.#maxBytes = maxBytes
    this.#lastIndexes = new Float64Array(maxMessages)
    this.#bytes = new Float64Array(maxMessages)
  }

  /** The byte limit is soft: it stops the next message, not the one that crosses it, so that one large entry can always go. */
  get full(): boolean {
    return this.count >= this.#maxMessages || this.bytes >= this.#maxBytes
  }

  add(lastIndex: Index, bytes: number): void {
    const at = (this.#start + this.count) % this.#maxMessages
    this.#lastIndexes[at] = lastIndex
    this.#bytes[at] = bytes
    this.count++
    this.bytes += bytes
  }

  /** All messages that end at or below `index` have arrived. */
  freeThrough(index: Index): void {
    while (this.count > 0 && this.#lastIndexes[this.#start]! <= index) {
      this.bytes -= this.#bytes[this.#start]!
      this.#start = (this.#start + 1) % this.#maxMessages
      this.count--
    }
  }

  clear(): void {
    this.count = 0
    this.bytes = 0
  }

  /** As plain data, for `restore`. */
  capture(): InflightCheckpoint {
    const lastIndexes: number[] = []
    const bytes: number[] = []
    for (let i = 0; i < this.count; i++) {
      const at = (this.#start + i) % this.#maxMessages
      lastIndexes.push(this.#lastIndexes[at]!)
      bytes.push(this.#bytes[at]!)
    }
    return { maxMessages: this.#maxMessages, maxBytes: this.#maxBytes, lastIndexes, bytes }
  }

  /** Takes the place of what is here, in a ring of the same limits. Where in the ring it stands makes no difference. */
  restore({ lastIndexes, bytes }: InflightCheckpoint): void {
    this.clear()
    for (const [at, lastIndex] of lastIndexes.entries()) this.add(lastIndex, bytes[at]!)
  }
}

export type ProgressState = 'probe' | 'replicate' | 'snapshot'

export class Progress {
  readonly id: NodeId
  state: ProgressState = 'probe'
  /** The peer's log is known to agree, durably, up to here: only ever by what one of its answers proved (T10). Never falls. */
  matchIndex: Index = 0
  /** The next entry to send. `matchIndex < nextIndex` (T13). In `probe` a guess; in `replicate` it runs ahead of the answers. */
  nextIndex: Index
  readonly inflight: Inflight
  /** In `probe`: a message with entries is out, and none follows before an answer or the next heartbeat. */
  probeSent = false
  /** In `snapshot`: what the peer was told to fetch; undefined while it is being made. */
  snapshot: LogBase | undefined
  /** In `snapshot`: when the state was entered, or the peer last said that it goes on. Milliseconds. */
  snapshotAtMs = 0
  /** Transfers in a row that came to nothing. */
  failedSnapshots = 0
  /** The peer is given no snapshot before this time, after one that failed. Milliseconds. */
  snapshotNotBeforeMs = Number.NEGATIVE_INFINITY
  /** The highest commit index that a message to this peer carried. */
  sentCommitIndex: Index = 0
  /** When a message was last sent. Milliseconds. */
  sentAtMs = Number.NEGATIVE_INFINITY
  /** When an answer of this term last arrived. Milliseconds. */
  contactAtMs = Number.NEGATIVE_INFINITY
  /** When this leader began to count on the peer; silence is measured from here at the earliest. Milliseconds. */
  readonly knownSinceMs: number
  /** What the peer last said of itself. */
  health: Health = 'good'
  priority = 0
  /** The highest read position that the peer confirmed (T47). */
  readPosition = 0
  /**
   * Refusals in a row of what the peer had acknowledged. A few may be late; many say that it lost its log (T18, T34, T35).
   */
  brokenPromises = 0
  /** It is no member any more, and is only told so until this time; undefined for members. Milliseconds. */
  farewellUntilMs: number | undefined

  constructor(id: NodeId, nextIndex: Index, nowMs: number, maxMessages: number, maxBytes: number) {
    this.id = id
    this.nextIndex = nextIndex
    this.knownSinceMs = nowMs
    this.inflight = new Inflight(maxMessages, maxBytes)
  }

  /** Whether entries have to wait: for an answer to a probe, for room in the ring, for a snapshot. */
  get paused(): boolean {
    return this.state === 'probe' ? this.probeSent : this.state === 'snapshot' || this.inflight.full
  }

  /** Where the logs agree is to be found out, or found out again, from `nextIndex` down. */
  becomeProbe(nextIndex: Index): void {
    this.state = 'probe'
    this.probeSent = false
    this.snapshot = undefined
    this.nextIndex = Math.max(nextIndex, this.matchIndex + 1)
    this.inflight.clear()
  }

  /** The logs agree at `matchIndex`: send ahead from there. */
  becomeReplicate(): void {
    this.state = 'replicate'
    this.failedSnapshots = 0
    this.probeSent = false
    this.snapshot = undefined
    this.nextIndex = this.matchIndex + 1
    this.inflight.clear()
  }

  /** The peer needs a snapshot, which is yet to be named. */
  becomeSnapshot(nowMs: number): void {
    this.state = 'snapshot'
    this.snapshot = undefined
    this.snapshotAtMs = nowMs
    this.inflight.clear()
  }

  /** The stream to the peer broke or came up: what is under way may be lost, so it is probed again from where it was. */
  streamChanged(): void {
    if (this.state === 'replicate') this.becomeProbe(this.matchIndex + 1)
    else if (this.state === 'probe') this.becomeProbe(this.nextIndex)
  }

  /** A message went out with entries up to `lastIndex`. */
  sent(lastIndex: Index, bytes: number): void {
    if (this.state === 'replicate') {
      this.nextIndex = lastIndex + 1
      this.inflight.add(lastIndex, bytes)
    } else {
      this.probeSent = true
    }
  }

  /**
   * The peer proved that it agrees up to `index`, durably (T10).
   *
   * @returns whether that is news
   */
  agreed(index: Index): boolean {
    this.brokenPromises = 0
    const news = index > this.matchIndex
    if (news) this.matchIndex = index
    if (this.nextIndex <= this.matchIndex) this.nextIndex = this.matchIndex + 1
    if (this.state === 'replicate') this.inflight.freeThrough(index)
    return news
  }

  /**
   * The peer refused a message that followed `refusedIndex`; `agreeIndex` is the furthest point at which the logs could agree.
   * Refusals that were overtaken by a later answer change nothing but `brokenPromises`, and `nextIndex` never falls to `matchIndex` (T13).
   *
   * @returns whether there is a new place to probe at
   */
  refused(refusedIndex: Index, agreeIndex: Index): boolean {
    if (this.state === 'snapshot') return false
    if (refusedIndex <= this.matchIndex) {
      this.brokenPromises++
      return false
    }
    if (this.state === 'probe' && refusedIndex !== this.nextIndex - 1) return false
    this.becomeProbe(Math.min(refusedIndex, agreeIndex + 1))
    return true
  }
}
