/**
 * How the nodes of a world differ by what they are told and what they think of themselves: priorities, health, leases, versions. None of it is a
 * fault; all of it is about who should lead, and when a leader may speak for the group. Drawn by `swarm.ts`, used by the nodes of both modes, `nemesis.ts` and `workload.ts`.
 * Times are microseconds unless named otherwise, probabilities millionths.
 */

import type { CoreOptions } from '../core/types.ts'
import type { Prng } from './prng.ts'

export interface StandingProfile {
  /** Mean time between two changes of somebody's health; 0 for none. */
  readonly healthEveryUs: number
  /** Priorities go from minus this to this. */
  readonly maxPriority: number
  /** Leases that most nodes take, in milliseconds; 0 for none. */
  readonly leaseMs: number
  /** Chance that a node takes shorter leases, or none. */
  readonly otherLease: number
  /** Mean time between two reads by lease. */
  readonly meanLeaseReadUs: number
  /** Mean time between two short pauses of whoever leads, in which it is cut off; 0 for none. */
  readonly lullEveryUs: number
  /** Mean time between the look at the state and the answer. */
  readonly meanReadPauseUs: number
  /** Chance that a node that starts again is of the next version. */
  readonly upgrade: number
}

export interface StandingSwitches {
  readonly health: boolean
  readonly priorities: boolean
  readonly leases: boolean
  readonly upgrades: boolean
}

/** The versions that there are; each knows the feature level of its number. */
const NEWEST_VERSION = 3

export function drawStanding(prng: Prng, on: StandingSwitches, electionTimeoutMs: number): StandingProfile {
  return {
    healthEveryUs: on.health ? prng.logUniform(300_000, 6_000_000) : 0,
    maxPriority: on.priorities ? prng.between(1, 4) : 0,
    leaseMs: on.leases ? Math.floor((electionTimeoutMs * prng.between(20, 85)) / 100) : 0,
    otherLease: prng.pick([0, 300_000, 600_000]),
    meanLeaseReadUs: on.leases ? prng.logUniform(4_000, 60_000) : 0,
    lullEveryUs: on.leases && prng.below(2) === 0 ? prng.logUniform(800_000, 5_000_000) : 0,
    meanReadPauseUs: prng.pick([0, 1_000, 20_000, 200_000]),
    upgrade: on.upgrades ? prng.pick([200_000, 500_000, 900_000]) : 0
  }
}

/** A group is upgraded one node at a time, each when it starts again: perhaps as the next version. */
export function upgraded(version: number, prng: Prng, { upgrade }: StandingProfile): number {
  return prng.chance(upgrade) ? Math.min(version + 1, NEWEST_VERSION) : version
}

/** What one node is started with. */
export function drawOptions(
  prng: Prng,
  core: CoreOptions,
  { maxPriority, leaseMs, otherLease }: StandingProfile
): CoreOptions {
  const priority = maxPriority === 0 ? 0 : prng.between(-maxPriority, maxPriority)
  const shorter = prng.chance(otherLease) ? prng.pick([0, Math.floor(leaseMs / 3)]) : leaseMs
  return { ...core, priority, leaseMs: shorter }
}
