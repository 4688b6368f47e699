/**
 * Repair of a damaged log from the peers, before there is a core (protocol-aware recovery; Alagappan et al., "Protocol-Aware Recovery for
 * Consensus-Based Storage", FAST '18). What the node once acknowledged may have been counted for a commit, so that it must not vote as if it
 * never had it (T54, T55): until it has it back it takes no part, and others go on without it. Called by `startup.ts`.
 *
 * A log is put together backwards from a place that is known, by index and chain; as equal chains mean equal histories, what is found that
 * way is the right history whoever has it. There are two such places:
 *
 * 1. **The own end**, where damage spared it or the log was closed. Any peer will do, also one that is being repaired itself: what comes out
 *    is this node's own log. Damaged nodes heal one another so, if not at the same entry, though none of them leads.
 * 2. **The end of a leader's log**, if it leads in this node's term or a later one. This is safe whatever was lost. A leader of a later term was
 *    elected without this node's vote, which is on disk by term, so that it holds all that was committed with this node's help; one of this very
 *    term holds also all that this node took from it. To take over the log of such a leader is what any follower does, and nothing that this
 *    node had and the leader has not is committed.
 *
 * If both are missing (the end is unknown and nobody leads), the node waits: it cannot claim not to have had what it cannot read.
 *
 * Peers may have compacted what is missing. Where this node's own state reaches, the log may begin there; otherwise a snapshot of a peer is
 * fetched, and the log kept from there on.
 */

import type { RaftLogger } from '../api.ts'
import type { Entry, HardState, Index, LogBase, NodeId } from '../core/types.ts'
import type {
  EntriesRequest,
  LinkedEntry,
  LoadedLog,
  LogContent,
  LogPlace,
  LogRemains,
  SnapshotManifest,
  SnapshotStore
} from '../ports.ts'
import { judgeFailedFetch, type PeerReport, type Peers } from './peers.ts'
import { checkAnswer } from './shared-entries.ts'

/** Entries asked for at first; each further request of the same stretch asks for twice as many, as the stretch is a long one. */
const FIRST_REQUEST = 64
const LARGEST_REQUEST = 8192
/** Rounds between two lines in the log that say what is waited for. */
const ROUNDS_PER_NOTE = 16

export interface RepairInit {
  readonly loaded: LoadedLog
  readonly remains: LogRemains
  readonly peers: Peers
  readonly snapshots: SnapshotStore
  /** Where the state stands, durably. */
  readonly appliedIndex: Index
  /** Fetches a peer's snapshot and makes it durable. */
  readonly fetchSnapshot: (from: NodeId, base: LogBase) => Promise<SnapshotManifest>
  readonly logger: RaftLogger | undefined
  readonly signal: AbortSignal
}

/** Where to begin, and the hard state that the outcome goes with. */
interface Goal {
  readonly end: LogPlace
  readonly hardState: HardState
  /** Whom to ask, the likeliest first. */
  readonly from: readonly PeerReport[]
}

/** What was found on the way back from the end. */
interface Walk {
  /** Descending from the end. */
  readonly entries: LinkedEntry[]
  /** The lowest place on the way that the log may begin at. */
  base: LogBase | undefined
  /** How many of `entries` lie above it. */
  count: number
  /** Where it ended, for want of entries; undefined if it came to where the own log begins. */
  missing: LogPlace | undefined
}

export class Repair {
  readonly #init: RepairInit
  /** What peers sent, kept from round to round. */
  readonly #fetched = new Map<Index, LinkedEntry[]>()

  constructor(init: RepairInit) {
    this.#init = init
  }

  /** An entry that is proven, for peers that are damaged too. */
  find(index: Index, chain: number): LinkedEntry | undefined {
    return this.#init.remains.find(index, chain) ?? this.#fetched.get(index)?.find(({ entry }) => entry.chain === chain)
  }

  /**
   * Waits for as long as it takes.
   *
   * @throws the reason of the signal when it aborts
   */
  async run(): Promise<LogContent> {
    const { peers, signal, logger } = this.#init
    for (let round = 0; ; round++) {
      signal.throwIfAborted()
      const reports = await peers.reports(signal)
      for (const goal of this.#goals(reports)) {
        const content = await this.#reach(goal)
        if (content !== undefined) return content
      }
      if (round % ROUNDS_PER_NOTE === 0) logger?.warn(this.#note(reports))
      await peers.pause(signal)
    }
  }

  #goals(reports: readonly PeerReport[]): Goal[] {
    const { hardState } = this.#init.loaded
    const { end } = this.#init.remains
    const goals: Goal[] = []
    if (end !== undefined) goals.push({ end, hardState, from: reports })
    for (const report of reports) {
      if (!report.leads || report.last === undefined || report.term < hardState.term) continue
      const next = report.term > hardState.term ? { term: report.term, votedFor: undefined } : hardState
      goals.push({ end: report.last, hardState: next, from: [report, ...reports.filter((other) => other !== report)] })
    }
    return goals
  }

  async #reach(goal: Goal): Promise<LogContent | undefined> {
    const { hardState } = goal
    const walk = await this.#walk(goal)
    if (walk.base === undefined && walk.missing !== undefined) await this.#fetchBase(goal, walk, walk.missing)
    const { base } = walk
    if (base === undefined) return undefined
    const entries: Entry[] = walk.entries.slice(0, walk.count).map(({ entry }) => entry)
    entries.reverse()
    const lastTerm = entries.at(-1)?.term ?? base.term
    return { hardState: lastTerm > hardState.term ? { term: lastTerm, votedFor: undefined } : hardState, base, entries }
  }

  async #walk({ end, from }: Goal): Promise<Walk> {
    const { loaded, appliedIndex, snapshots } = this.#init
    const own = loaded.baseLost === true ? undefined : loaded.base
    // A place to begin at is one from which the state can go on: below it, or in a snapshot that is here.
    const places = new Map<Index, LogBase>()
    for (const { base } of from) if (base !== undefined && base.index <= appliedIndex) places.set(base.index, base)
    const snapshot = await snapshots.latest()
    if (snapshot !== undefined) places.set(snapshot.base.index, snapshot.base)
    if (own !== undefined) places.set(own.index, own)

    const walk: Walk = { entries: [], base: undefined, count: 0, missing: undefined }
    let { index, chain } = end
    let wanted = FIRST_REQUEST
    for (;;) {
      const place = places.get(index)
      if (place !== undefined && place.chain === chain) {
        walk.base = place
        walk.count = walk.entries.length
      }
      if (own !== undefined && index <= own.index) return walk
      if (index === 0) {
        // All entries are here, but not the configuration that they begin with.
        walk.missing = { index, chain }
        return walk
      }
      let link = this.find(index, chain)
      if (link === undefined) {
        const lowest = Math.max(index - wanted + 1, (own?.index ?? 0) + 1)
        link = await this.#fetch({ from: lowest, to: index, chain }, from)
        wanted = Math.min(2 * wanted, LARGEST_REQUEST)
      }
      if (link === undefined) {
        walk.missing = { index, chain }
        return walk
      }
      walk.entries.push(link)
      index -= 1
      chain = link.previousChain
    }
  }

  /** Asks one after the other. @returns the entry at `to` */
  async #fetch(request: EntriesRequest, from: readonly PeerReport[]): Promise<LinkedEntry | undefined> {
    const { peers, signal } = this.#init
    for (const { peer } of from) {
      const answer = await peers.entries(peer, request, signal)
      const links = answer === undefined ? [] : checkAnswer(request, answer)
      for (const link of links) {
        const known = this.#fetched.get(link.entry.index)
        if (known === undefined) this.#fetched.set(link.entry.index, [link])
        else known.push(link)
      }
      if (links.length > 0) return links.at(-1)
    }
    return undefined
  }

  /** Gets a snapshot to begin at where the peers' logs no longer reach back to what is missing. */
  async #fetchBase(goal: Goal, walk: Walk, missing: LogPlace): Promise<void> {
    const { peers, fetchSnapshot, signal, logger } = this.#init
    for (const { peer, base } of goal.from) {
      if (base === undefined || base.index < missing.index) continue
      const offer = await peers.offer(peer, missing.index, signal)
      if (offer === undefined || !fits(offer, goal, walk, missing)) continue
      try {
        walk.base = (await fetchSnapshot(peer, offer)).base
        walk.count = Math.max(goal.end.index - offer.index, 0)
        return
      } catch (error) {
        judgeFailedFetch(error, signal)
        logger?.warn(`The snapshot at ${offer.index} could not be had from ${peer}: ${String(error)}`)
      }
    }
  }

  #note(reports: readonly PeerReport[]): string {
    const { loaded, remains, peers } = this.#init
    const leader = reports.find(({ leads }) => leads)
    return (
      `The log is damaged from entry ${loaded.faults[0]?.fromIndex ?? 0} on and is repaired from the peers: ` +
      `${reports.length} of ${peers.known.length} answer${peers.lastFailure === '' ? '' : ` (${peers.lastFailure})`}, ` +
      `${leader === undefined ? 'none leads' : `${leader.peer} leads`}, ` +
      `its own end is ${remains.end === undefined ? 'unknown' : `at ${remains.end.index}`}. Until it is whole this node takes no part`
    )
  }
}

/** Whether what was walked goes on from a snapshot at `offer`, or all of it lies below it: what a snapshot holds is committed. */
function fits(offer: LogBase, { end }: Goal, walk: Walk, missing: LogPlace): boolean {
  if (offer.index > end.index) return true
  if (offer.index < missing.index) return false
  const chain = offer.index === missing.index ? missing.chain : walk.entries[end.index - offer.index]?.entry.chain
  return offer.chain === chain
}
