/**
 * What a seed's world is like. Swarm testing (Groce et al., "Swarm Testing", 2012): each seed switches each family of faults fully off with
 * probability one half and draws the strength of the rest, because faults that are always all on hide one another. One seed in ten is
 * calm, so that trouble without any fault shows as well.
 *
 * Called by `simulate.ts`. All times are microseconds unless named otherwise; all probabilities are millionths.
 */

import type { CoreOptions } from '../core/types.ts'
import { drawOverload, NO_OVERLOAD, type OverloadProfile } from './overload.ts'
import type { Prng } from './prng.ts'
import { drawSessions, type SessionProfile } from './sessions.ts'
import { drawStanding, type StandingProfile } from './standing.ts'

export interface NetworkProfile {
  /** FIFO per connection, as over libp2p streams; otherwise every message travels alone. */
  readonly stream: boolean
  readonly minDelayUs: number
  readonly meanDelayUs: number
  readonly drop: number
  readonly duplicate: number
  /** A copy that arrives up to `replayDelayUs` later. */
  readonly replay: number
  readonly replayDelayUs: number
  /** Nodes are told when a connection comes up or goes down. */
  readonly hints: boolean
}

export interface DiskProfile {
  readonly minWriteUs: number
  readonly meanWriteUs: number
  readonly stall: number
  readonly stallUs: number
  /** Chance that a write fails, which ends the process as a full disk or a failed sync does; of the write a beginning may be there. */
  readonly failure: number
  /** One node's disk is this many times slower than the others'; 1 for none. */
  readonly slowestFactor: number
}

export interface NodeProfile {
  readonly meanApplyUs: number
  /** Entries applied between two flushes of the state. */
  readonly flushEveryEntries: number
  readonly meanSnapshotUs: number
  readonly meanTransferUs: number
  readonly transferFailure: number
  /** Nodes compare their states. */
  readonly digests: boolean
  /** The node in this slot has its state broken once; -1 for none. */
  readonly brokenSlot: number
  /** Clocks run between this much slower and this much faster, in thousandths. */
  readonly clockSkew: number
}

/** Mean time between two events of a kind; 0 switches the kind off. */
export interface NemesisProfile {
  readonly crashEveryUs: number
  readonly downUs: number
  /** Chance that a crash takes more than one node at once. */
  readonly massCrash: number
  readonly pauseEveryUs: number
  readonly pauseUs: number
  readonly partitionEveryUs: number
  readonly partitionUs: number
  readonly churnEveryUs: number
  readonly transferEveryUs: number
  /** Chance that a new leader, or one that was just asked for a change, is hit (crashed, paused or cut off) within a few message delays. */
  readonly strike: number
  /** Chance that a new leader is asked for a change of membership before it has settled. */
  readonly churnAtElection: number
  /** Chance that clients of a leader which is cut off go on writing to it, and ask it for a change. */
  readonly insistence: number
}

export interface WorkloadProfile {
  readonly meanProposalUs: number
  readonly meanReadUs: number
  /** Payloads in one proposal, at most. */
  readonly maxBatch: number
  readonly maxPayloadBytes: number
  /** Chance that a request goes to anybody, not to who is believed to lead. */
  readonly astray: number
  /** Reads that a node is asked for as soon as it has started, at most. */
  readonly readsAtStart: number
  /** Clients that write in sessions. */
  readonly sessions?: SessionProfile | undefined
}

export interface SwarmProfile {
  readonly calm: boolean
  readonly core: CoreOptions
  readonly network: NetworkProfile
  readonly disk: DiskProfile
  readonly node: NodeProfile
  readonly nemesis: NemesisProfile
  readonly workload: WorkloadProfile
  readonly standing: StandingProfile
  readonly overload: OverloadProfile
  /** Processes beyond the first voters that wait to be added. */
  readonly spares: number
}

const MS = 1000
const S = 1_000_000

/** Record bytes that are kept for peers, at least and at most. */
const TINY_LOG = { least: 200, most: 10_000 }
const TINIEST_LOG = { least: 50, most: 500 }

/** Limits of a size that real groups use, times of the defaults. */
const ordinaryCore = (): CoreOptions => ({
  electionTimeoutMs: 450,
  heartbeatMs: 75,
  maxEntryBytes: 1 << 20,
  maxAppendBytes: 1 << 20,
  maxInflightMessages: 64,
  maxInflightBytes: 16 << 20,
  maxUncommittedEntries: 200_000,
  maxUncommittedBytes: 64 << 20,
  maxApplyEntries: 4096,
  trailingEntries: 10_240,
  maxLogBytes: 64 << 20,
  priority: 0,
  leaseMs: 0
})

/** What can be left out of a world, to see whether a failure needs it. The rest is drawn as before. */
export const FAULT_FAMILIES = [
  'jitter',
  'drop',
  'duplicate',
  'replay',
  'stream',
  'hints',
  'slowDisk',
  'stall',
  'slowApply',
  'crash',
  'pause',
  'partition',
  'churn',
  'transfer',
  'strike',
  'skew',
  'hasty',
  'tinyAppends',
  'tinyPipeline',
  'tinyApply',
  'tinyLog',
  'reads',
  'diskFailure',
  'slowestDisk',
  'health',
  'priorities',
  'leases',
  'upgrades',
  'sessions',
  'digests',
  'brokenState',
  'insistence',
  'astray',
  'overload'
] as const
export type FaultFamily = (typeof FAULT_FAMILIES)[number]

/**
 * How often timers fire and clients ask. `drawn`: by the seed, over orders of magnitude. `reference`: election timeouts and heartbeats of the
 * defaults, and 20 requests of clients a second in all, so that figures of speed can be compared; all else, faults above all, is drawn.
 */
export const PACES = ['drawn', 'reference'] as const
export type Pace = (typeof PACES)[number]

/** Mean time between two requests of clients, of whatever kind, at the reference pace. */
const REFERENCE_REQUEST_US = 50 * MS

/** The same world with each kind of request that it has equally often. Bursts, and copies of what was not answered, come in addition. */
function atReferencePace({ workload, standing, ...profile }: SwarmProfile): SwarmProfile {
  const kinds = [true, workload.sessions !== undefined, workload.meanReadUs > 0, standing.meanLeaseReadUs > 0]
  const everyUs = kinds.filter(Boolean).length * REFERENCE_REQUEST_US
  return {
    ...profile,
    workload: { ...workload, meanProposalUs: everyUs, meanReadUs: workload.meanReadUs > 0 ? everyUs : 0 },
    standing: { ...standing, meanLeaseReadUs: standing.meanLeaseReadUs > 0 ? everyUs : 0 }
  }
}

/**
 * Draws the world of one seed.
 *
 * @param without - families to switch off, whatever is drawn
 */
export function drawProfile(prng: Prng, without: readonly FaultFamily[] = [], pace: Pace = 'drawn'): SwarmProfile {
  if (pace === 'drawn') return drawWorld(prng, without)
  return atReferencePace(drawWorld(prng, [...without, 'hasty']))
}

function drawWorld(prng: Prng, without: readonly FaultFamily[]): SwarmProfile {
  const switches = drawSwitches(prng.fork('families'), without)
  const core = drawCore(prng.fork('core'), switches)
  return {
    calm: switches.calm,
    core,
    network: drawNetwork(prng.fork('network'), switches),
    disk: drawDisk(prng.fork('disk'), switches),
    node: drawNode(prng.fork('node'), switches),
    nemesis: drawNemesis(prng.fork('nemesis'), switches),
    workload: drawWorkload(prng.fork('workload'), switches),
    standing: drawStanding(prng.fork('standing'), switches, core.electionTimeoutMs),
    overload: switches.overload
      ? drawOverload(prng.fork('overload'), switches.merelySlow, core.electionTimeoutMs)
      : NO_OVERLOAD,
    spares: switches.churn ? 2 : 0
  }
}

/** What can be on in a world in which nothing is wrong but that everybody is slow. */
const HARMLESS: ReadonlySet<FaultFamily> = new Set([
  'stream',
  'reads',
  'health',
  'priorities',
  'sessions',
  'digests',
  'overload'
])

/** Which families of faults are on. */
function drawSwitches(prng: Prng, without: readonly FaultFamily[]) {
  const calm = prng.below(10) === 0
  const on = (): boolean => prng.below(2) === 0 && !calm
  const standing = prng.fork('standing')
  const seldom = (): boolean => standing.below(3) === 0 && !calm
  const slow = prng.fork('overload')
  const drawn = {
    calm,
    jitter: on(),
    drop: on(),
    duplicate: on(),
    replay: on(),
    stream: prng.below(2) === 0,
    hints: prng.below(2) === 0,
    slowDisk: on(),
    stall: on(),
    slowApply: on(),
    crash: on(),
    pause: on(),
    partition: on(),
    churn: on(),
    transfer: on(),
    strike: on(),
    skew: on(),
    hasty: on(),
    tinyAppends: on(),
    tinyPipeline: on(),
    tinyApply: on(),
    tinyLog: on(),
    reads: prng.below(4) !== 0,
    diskFailure: on(),
    slowestDisk: on(),
    health: seldom(),
    priorities: seldom(),
    leases: seldom(),
    upgrades: seldom(),
    sessions: prng.fork('sessions').below(2) === 0,
    digests: prng.fork('digests').below(2) === 0,
    brokenState: prng.fork('broken state').below(2) === 0 && !calm,
    insistence: prng.fork('insistence').below(3) === 0 && !calm,
    astray: prng.fork('astray').below(2) === 0 && !calm,
    overload: slow.below(4) === 0 && !calm
  }
  const merelySlow = drawn.overload && slow.below(2) === 0
  if (merelySlow) for (const family of FAULT_FAMILIES) drawn[family] &&= HARMLESS.has(family)
  for (const family of without) drawn[family] = false
  return { ...drawn, merelySlow }
}

type Switches = ReturnType<typeof drawSwitches>

function drawCore(prng: Prng, on: Switches): CoreOptions {
  const ordinary = ordinaryCore()
  // Short timeouts against the same delays: many elections, contested ones.
  const electionTimeoutMs = on.hasty ? prng.pick([60, 100, 200]) : ordinary.electionTimeoutMs
  // A log of a few entries ends inside of the tail that insistent clients give to a leader that is cut off.
  const tinyLog = on.insistence ? TINIEST_LOG : TINY_LOG
  return {
    ...ordinary,
    electionTimeoutMs,
    heartbeatMs: electionTimeoutMs / 6,
    maxAppendBytes: on.tinyAppends ? prng.pick([1, 64, 200, 1000]) : ordinary.maxAppendBytes,
    maxInflightMessages: on.tinyPipeline ? prng.between(1, 3) : ordinary.maxInflightMessages,
    maxInflightBytes: on.tinyPipeline && prng.below(2) === 0 ? 200 : ordinary.maxInflightBytes,
    maxUncommittedEntries: on.tinyPipeline ? prng.between(5, 60) : ordinary.maxUncommittedEntries,
    maxApplyEntries: on.tinyApply ? prng.between(1, 5) : ordinary.maxApplyEntries,
    trailingEntries: on.tinyLog ? prng.between(0, 20) : prng.logUniform(100, 10_000),
    maxLogBytes: on.tinyLog ? prng.logUniform(tinyLog.least, tinyLog.most) : ordinary.maxLogBytes
  }
}

function drawNetwork(prng: Prng, on: Switches): NetworkProfile {
  return {
    stream: on.stream,
    minDelayUs: prng.logUniform(100, 5 * MS),
    meanDelayUs: on.jitter ? prng.logUniform(2 * MS, 60 * MS) : prng.logUniform(100, 2 * MS),
    drop: on.drop ? prng.logUniform(1000, 250_000) : 0,
    duplicate: on.duplicate ? prng.logUniform(1000, 200_000) : 0,
    replay: on.replay ? prng.logUniform(500, 50_000) : 0,
    replayDelayUs: prng.logUniform(100 * MS, 5 * S),
    // Versions are told when connections come up; and who loses a connection is soon without the leader that may read by its lease.
    hints: on.hints || on.upgrades || on.leases
  }
}

function drawDisk(prng: Prng, on: Switches): DiskProfile {
  return {
    minWriteUs: prng.logUniform(30, 1000),
    meanWriteUs: on.slowDisk ? prng.logUniform(2 * MS, 50 * MS) : prng.logUniform(50, 2 * MS),
    stall: on.stall ? prng.logUniform(200, 10_000) : 0,
    stallUs: prng.logUniform(100 * MS, 3 * S),
    failure: on.diskFailure ? prng.logUniform(50, 5000) : 0,
    slowestFactor: on.slowestDisk ? prng.pick([10, 100, 500]) : 1
  }
}

function drawNode(prng: Prng, on: Switches): NodeProfile {
  return {
    meanApplyUs: on.slowApply ? prng.logUniform(2 * MS, 60 * MS) : prng.logUniform(20, 500),
    flushEveryEntries: on.tinyLog ? prng.between(1, 10) : prng.logUniform(20, 500),
    meanSnapshotUs: prng.logUniform(500, 100 * MS),
    meanTransferUs: prng.logUniform(1 * MS, 300 * MS),
    transferFailure: on.drop ? prng.logUniform(10_000, 300_000) : 0,
    clockSkew: on.skew ? prng.between(1, 50) : 0,
    digests: on.digests,
    brokenSlot: on.digests && on.brokenState ? prng.fork('broken state').below(3) : -1
  }
}

function drawNemesis(prng: Prng, on: Switches): NemesisProfile {
  return {
    crashEveryUs: on.crash ? prng.logUniform(400 * MS, 10 * S) : 0,
    downUs: prng.logUniform(20 * MS, 4 * S),
    massCrash: prng.logUniform(20_000, 400_000),
    pauseEveryUs: on.pause ? prng.logUniform(500 * MS, 10 * S) : 0,
    pauseUs: prng.logUniform(50 * MS, 2 * S),
    partitionEveryUs: on.partition ? prng.logUniform(600 * MS, 8 * S) : 0,
    partitionUs: prng.logUniform(100 * MS, 5 * S),
    churnEveryUs: on.churn ? prng.logUniform(150 * MS, 5 * S) : 0,
    transferEveryUs: on.transfer ? prng.logUniform(300 * MS, 8 * S) : 0,
    strike: on.strike ? prng.pick([100_000, 300_000, 600_000, 900_000]) : 0,
    churnAtElection: on.churn ? prng.pick([0, 200_000, 800_000]) : 0,
    insistence: on.insistence ? 500_000 : 0
  }
}

function drawWorkload(prng: Prng, on: Switches): WorkloadProfile {
  return {
    meanProposalUs: prng.logUniform(15 * MS, 300 * MS),
    meanReadUs: on.reads ? prng.logUniform(30 * MS, 400 * MS) : 0,
    maxBatch: prng.below(2) === 0 ? 1 : prng.between(2, 6),
    maxPayloadBytes: prng.below(2) === 0 ? 8 : 64,
    astray: on.astray ? prng.pick([500_000, 1_000_000]) : 166_667,
    readsAtStart: on.astray && on.reads ? prng.pick([2, 8]) : 0,
    sessions: on.sessions ? drawSessions(prng.fork('sessions')) : undefined
  }
}
