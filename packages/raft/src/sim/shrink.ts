/**
 * Makes a failure small: leaves out families of faults, nodes and time for as long as the same judge still objects. A world with less in it is
 * another story, not a part of the old one, so that each attempt is a run of its own; what is left is what the failure needs, or nearly so.
 *
 * Called by the command line of the simulator; calls `simulate` a few dozen times.
 */

import { DEFAULT_FAULTS_MS, type SimulationInit, type SimulationReport, simulate } from './simulate.ts'
import { FAULT_FAMILIES, type FaultFamily } from './swarm.ts'

export interface Shrunk {
  /** The smallest world found, with the same judge's violation in it. */
  readonly report: SimulationReport
  /** What the world can do without. */
  readonly without: readonly FaultFamily[]
  /** Runs that it took. */
  readonly runs: number
}

/**
 * @param init - of a run that ends in a violation
 * @returns undefined if it does not
 */
export function shrink(init: SimulationInit): Shrunk | undefined {
  const first = simulate(init)
  if (first.violation === undefined) return undefined
  const { judge } = first.violation
  let smallest = endAtViolation(init, first)
  let runs = 1
  const attempt = (smaller: SimulationInit): boolean => {
    runs++
    const report = simulate(smaller)
    if (report.violation?.judge !== judge) return false
    smallest = endAtViolation(smaller, report)
    return true
  }
  let without = smallest.without ?? []
  // What could not be left out at first may be needless once something else is gone.
  for (let before = -1; before !== without.length; ) {
    before = without.length
    for (const family of FAULT_FAMILIES) {
      if (without.includes(family)) continue
      if (attempt({ ...smallest, without: [...without, family] })) without = [...without, family]
    }
  }
  for (let nodes = 1; nodes < (smallest.nodes ?? 5); nodes++) {
    if (attempt({ ...smallest, nodes })) break
  }
  // Halves of the time, for violations that the liveness phase sees.
  for (let tries = 0; tries < 12 && (smallest.faultsMs ?? DEFAULT_FAULTS_MS) > 1; tries++) {
    if (!attempt({ ...smallest, faultsMs: Math.ceil((smallest.faultsMs ?? DEFAULT_FAULTS_MS) / 2) })) break
  }
  return { report: simulate(smallest), without, runs: runs + 1 }
}

/** Nothing after the violation matters. What the liveness phase sees needs the faults before it, for as long as they were. */
function endAtViolation(init: SimulationInit, { violation }: SimulationReport): SimulationInit {
  const faultsMs = init.faultsMs ?? DEFAULT_FAULTS_MS
  const endMs = Math.ceil(violation?.atMs ?? faultsMs)
  return endMs < faultsMs ? { ...init, faultsMs: endMs } : init
}
