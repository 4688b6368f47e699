/**
 * What a seed's world is like beyond the core mode's (`../swarm.ts`): how machines die, and what becomes of their disks. Drawn in the same way, each
 * family fully off with probability one half. Times are microseconds, probabilities millionths, unless named otherwise.
 */

import type { Prng } from '../prng.ts'
import type { SwarmProfile } from '../swarm.ts'

/** Families of faults that only the full mode has. */
export const DISK_FAULT_FAMILIES = ['kill', 'rot', 'wipe', 'rollback', 'foreign', 'fullDisk'] as const
export type DiskFaultFamily = (typeof DISK_FAULT_FAMILIES)[number]

/** What can become of the data of a machine. */
export type Disaster = 'rot' | 'wipe' | 'rollback' | 'foreign'

export interface FullProfile {
  /** Chance that a death is one of the process alone, and the page cache lives on. */
  readonly kill: number
  /** Which disasters there are; empty for none. */
  readonly disasters: readonly Disaster[]
  readonly disasterEveryUs: number
  readonly fullDiskEveryUs: number
  readonly fullDiskUs: number
  readonly segmentBytes: number
  readonly markDelayMs: number
  /** Entries applied between two checkpoints. */
  readonly checkpointEveryEntries: number
  /** From asking for a turn to the turn. */
  readonly turnUs: number
}

const MS = 1000
const S = 1_000_000

/**
 * Draws what the core mode knows nothing of. Where data can be lost for good, the voters do not change but for machines that come back: a minority of the
 * first voters may be struck, and any other change could make them a majority.
 *
 * @returns the two profiles, made to agree
 */
export function drawFullProfile(
  prng: Prng,
  profile: SwarmProfile,
  without: readonly string[]
): { readonly full: FullProfile; readonly profile: SwarmProfile } {
  const families = prng.fork('families')
  const on = new Set<DiskFaultFamily>()
  for (const family of DISK_FAULT_FAMILIES) {
    const drawn = families.below(2) === 0 && !profile.calm
    if (drawn && !without.includes(family)) on.add(family)
  }
  const churns = profile.nemesis.churnEveryUs > 0 && families.below(2) === 0
  const disasters = churns ? [] : (['rot', 'wipe', 'rollback', 'foreign'] as const).filter((family) => on.has(family))
  const draws = prng.fork('draws')
  const full: FullProfile = {
    kill: on.has('kill') ? draws.pick([200_000, 500_000, 900_000]) : 0,
    disasters,
    disasterEveryUs: draws.logUniform(700 * MS, 6 * S),
    fullDiskEveryUs: on.has('fullDisk') ? draws.logUniform(1 * S, 8 * S) : 0,
    fullDiskUs: draws.logUniform(50 * MS, 2 * S),
    segmentBytes: draws.logUniform(256, 16_384),
    markDelayMs: draws.logUniform(5, 500),
    checkpointEveryEntries: profile.node.flushEveryEntries,
    turnUs: draws.pick([1, 1, 5, 200])
  }
  if (disasters.length === 0) return { full, profile }
  const nemesis = { ...profile.nemesis, churnEveryUs: 0, churnAtElection: 0, insistence: 0 }
  return { full, profile: { ...profile, nemesis, spares: 0 } }
}
