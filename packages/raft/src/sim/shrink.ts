/**
 * Makes a failure small: leaves out families of faults, nodes and time for as long as the same judge still objects. A world with less in it is
 * another story, not a part of the old one, so that each attempt is a run of its own; what is left is what the failure needs, or nearly so.
 *
 * Called by the command line of the simulator; runs a seed of either mode a few dozen times.
 */

import { DISK_FAULT_FAMILIES, type DiskFaultFamily } from './full/full-profile.ts'
import {
  DEFAULT_FULL_FAULTS_MS,
  type FullSimulationInit,
  type FullSimulationReport,
  simulateFull
} from './full/simulate-full.ts'
import { DEFAULT_FAULTS_MS, simulate } from './simulate.ts'
import type { SimulationInit, SimulationReport } from './simulation.ts'
import { FAULT_FAMILIES, type FaultFamily } from './swarm.ts'

type Family = FaultFamily | DiskFaultFamily

export interface Shrunk<Report extends SimulationReport = SimulationReport, Left extends Family = FaultFamily> {
  /** The smallest world found, with the same judge's violation in it. */
  readonly report: Report
  /** What the world can do without. */
  readonly without: readonly Left[]
  /** Runs that it took. */
  readonly runs: number
}

/** What both modes have in common of a run's beginning. */
interface Init<Left extends Family> {
  readonly nodes?: number
  readonly faultsMs?: number
  readonly without?: readonly Left[]
}

/**
 * @param init - of a run that ends in a violation
 * @returns undefined if it does not
 */
export function shrink(init: SimulationInit): Shrunk | undefined {
  const attempts = shrinking<SimulationInit, SimulationReport, FaultFamily>(init, FAULT_FAMILIES, DEFAULT_FAULTS_MS)
  let step = attempts.next()
  while (step.done !== true) step = attempts.next(simulate(step.value))
  return step.value
}

/** As `shrink`, for the full mode. */
export async function shrinkFull(init: FullSimulationInit): Promise<Shrunk<FullSimulationReport, Family> | undefined> {
  const families = [...FAULT_FAMILIES, ...DISK_FAULT_FAMILIES]
  const attempts = shrinking<FullSimulationInit, FullSimulationReport, Family>(init, families, DEFAULT_FULL_FAULTS_MS)
  let step = attempts.next()
  while (step.done !== true) step = attempts.next(await simulateFull(step.value))
  return step.value
}

/** Asks for one run after the other, and is given their reports. */
function* shrinking<I extends Init<F>, R extends SimulationReport, F extends Family>(
  init: I,
  families: readonly F[],
  defaultMs: number
): Generator<I, Shrunk<R, F> | undefined, R> {
  const first = yield init
  if (first.violation === undefined) return undefined
  const { judge } = first.violation
  let smallest = endAtViolation(init, first, defaultMs)
  let runs = 1
  function* attempt(smaller: I): Generator<I, boolean, R> {
    runs++
    const report = yield smaller
    if (report.violation?.judge !== judge) return false
    smallest = endAtViolation(smaller, report, defaultMs)
    return true
  }
  let without = smallest.without ?? []
  // What could not be left out at first may be needless once something else is gone.
  for (let before = -1; before !== without.length; ) {
    before = without.length
    for (const family of families) {
      if (without.includes(family)) continue
      if (yield* attempt({ ...smallest, without: [...without, family] })) without = [...without, family]
    }
  }
  for (let nodes = 1; nodes < (smallest.nodes ?? 5); nodes++) {
    if (yield* attempt({ ...smallest, nodes })) break
  }
  // Halves of the time, for violations that the liveness phase sees.
  for (let tries = 0; tries < 12 && (smallest.faultsMs ?? defaultMs) > 1; tries++) {
    if (!(yield* attempt({ ...smallest, faultsMs: Math.ceil((smallest.faultsMs ?? defaultMs) / 2) }))) break
  }
  return { report: yield smallest, without, runs: runs + 1 }
}

/** Nothing after the violation matters. What the liveness phase sees needs the faults before it, for as long as they were. */
function endAtViolation<I extends Init<Family>>(init: I, { violation }: SimulationReport, defaultMs: number): I {
  const faultsMs = init.faultsMs ?? defaultMs
  const endMs = Math.ceil(violation?.atMs ?? faultsMs)
  return endMs < faultsMs ? { ...init, faultsMs: endMs } : init
}
