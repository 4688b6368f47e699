/**
 * Chooses the peers that are to hold a pin. Step 4 in the life of a pin: `cluster-peer.ts` calls `allocate` with what it knows,
 * `chooseAllocations` decides without looking at anything else.
 *
 * IPFS Cluster's rules (`cluster_config.go`, `allocate.go`), save these, where its code and its manual disagree or its choice is
 * accidental: holders that fall short of the maximum are topped up to it even if there are enough for the minimum; when there
 * are too many, the best stay, not any; a holder with a full disk is still a holder; the wishes of the user are taken in the
 * user's order; a holder that is away keeps its place as long as nobody is found to take it.
 */

import { NotEnoughAllocationsError, type PeerIdString, type Pin } from '@quorate/client/api'
import type { Metric, PeerMonitor } from '../ports.ts'
import { balancedOrder, type MetricsOfPeer } from './balanced-order.ts'

/** The metric by which a peer is known to be alive. */
const PING = 'ping'
/** Peers named in an error: enough to see what is wrong, few enough to read. */
const MAX_NAMED_PEERS = 20

export interface AllocationInput {
  /** -1 for both: everywhere. Otherwise `1 <= min <= max`. */
  readonly replicationFactorMin: number
  readonly replicationFactorMax: number
  /** Metric names, the most important first. */
  readonly allocateBy: readonly string[]
  readonly members: readonly PeerIdString[]
  /** Valid metrics of members, among them those in `allocateBy`; others are ignored, save `ping`. */
  readonly metrics: readonly Metric[]
  /** Who holds the pin by now. */
  readonly current: readonly PeerIdString[]
  /** Whom the user wants, in the user's order. Wishes that cannot be met are passed over. */
  readonly userAllocations: readonly PeerIdString[]
  /** Who may not hold it (from now on). */
  readonly excluded?: ReadonlySet<PeerIdString>
}

export type AllocationResult =
  /** Empty: everywhere. */
  | { readonly ok: true; readonly allocations: readonly PeerIdString[] }
  | {
      readonly ok: false
      /** Counted beside the holders that stay. */
      readonly needed: number
      readonly wanted: number
      readonly available: number
      /** Why each of the other members cannot be chosen. */
      readonly reasons: ReadonlyMap<PeerIdString, string>
    }

/** Decides. The same for the same input in any order, save that of `allocateBy` and `userAllocations`. */
export function chooseAllocations(input: AllocationInput): AllocationResult {
  const { replicationFactorMin: min, replicationFactorMax: max, allocateBy } = input
  if (min < 0 && max < 0) return { ok: true, allocations: [] }
  const members = new Set(input.members)
  const excluded = input.excluded ?? new Set<PeerIdString>()
  const metrics = new Map<PeerIdString, Map<string, Metric>>()
  for (const metric of input.metrics) {
    if (!members.has(metric.peer)) continue
    const ofPeer = metrics.get(metric.peer) ?? new Map<string, Metric>()
    metrics.set(metric.peer, ofPeer.set(metric.name, metric))
  }
  const metricsOf = (peer: PeerIdString): MetricsOfPeer => metrics.get(peer) ?? new Map()
  const missing = (peer: PeerIdString): string[] => allocateBy.filter((name) => !metricsOf(peer).has(name))
  const isComplete = (peer: PeerIdString): boolean => missing(peer).length === 0
  const rank = (peers: readonly PeerIdString[]): PeerIdString[] => {
    const wishes = unique(input.userAllocations).filter((peer) => peers.includes(peer))
    const others = peers.filter((peer) => !wishes.includes(peer))
    // A holder whose disk is full has no metric to be ranked by: it comes after those that have.
    const ranked = balancedOrder(others.filter(isComplete), allocateBy, metricsOf)
    return [...wishes, ...ranked, ...others.filter((peer) => !isComplete(peer)).sort()]
  }

  const current = unique(input.current).filter((peer) => members.has(peer) && !excluded.has(peer))
  const here = current.filter((peer) => metricsOf(peer).has(PING) || isComplete(peer))
  const away = current.filter((peer) => !here.includes(peer))
  if (here.length >= max) return { ok: true, allocations: here.length === max ? here : rank(here).slice(0, max) }

  const candidates = [...members].filter((peer) => !current.includes(peer) && !excluded.has(peer) && isComplete(peer))
  const [needed, wanted] = [min - here.length, max - here.length]
  if (candidates.length < needed) {
    const reasons = new Map<PeerIdString, string>()
    for (const peer of [...members].sort()) {
      if (here.includes(peer) || candidates.includes(peer)) continue
      const reason = excluded.has(peer)
        ? 'it is excluded'
        : `it has no valid metric of ${missing(peer).join(', ') || PING}`
      reasons.set(peer, reason)
    }
    return { ok: false, needed, wanted, available: candidates.length, reasons }
  }
  return { ok: true, allocations: [...here, ...rank(candidates).slice(0, wanted), ...away].slice(0, max) }
}

export interface AllocationRequest {
  readonly pin: Pin
  /** The pin as it is stored; undefined if it is new. */
  readonly existing: Pin | undefined
  readonly userAllocations: readonly PeerIdString[]
  readonly allocateBy: readonly string[]
  readonly monitor: PeerMonitor
  readonly members: readonly PeerIdString[]
  readonly excluded?: ReadonlySet<PeerIdString>
}

/**
 * The peers for a pin, by the metrics of now.
 * @throws {NotEnoughAllocationsError} with the counts, and what is the matter with each peer that was passed over
 */
export function allocate(request: AllocationRequest): readonly PeerIdString[] {
  const { pin, existing, monitor, allocateBy } = request
  const result = chooseAllocations({
    replicationFactorMin: pin.replicationFactorMin,
    replicationFactorMax: pin.replicationFactorMax,
    allocateBy,
    members: request.members,
    metrics: unique([...allocateBy, PING]).flatMap((name) => monitor.latest(name)),
    current: existing?.allocations ?? [],
    userAllocations: request.userAllocations,
    ...(request.excluded === undefined ? {} : { excluded: request.excluded })
  })
  if (result.ok) return result.allocations
  // The beginning is IPFS Cluster's: clients recognise it.
  const counts = `Needed at least: ${result.needed}. Wanted at most: ${result.wanted}. Available candidates: ${result.available}.`
  const named = [...result.reasons].slice(0, MAX_NAMED_PEERS).map(([peer, reason]) => `${peer}: ${reason}`)
  if (result.reasons.size > MAX_NAMED_PEERS) named.push(`and ${result.reasons.size - MAX_NAMED_PEERS} more`)
  const passedOver =
    named.length === 0 ? `The cluster has ${request.members.length} peers.` : `Passed over: ${named.join('; ')}.`
  throw new NotEnoughAllocationsError(`not enough peers to allocate CID. ${counts} ${passedOver}`)
}

function unique<T>(items: readonly T[]): T[] {
  return [...new Set(items)]
}
