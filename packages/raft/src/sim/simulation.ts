/**
 * What a run is in either mode: what it begins with, how its events come to those who act in it, and what is reported of it. `simulate.ts` and
 * `full/simulate-full.ts` differ in their nodes, and share this.
 */

import { decodeConfig } from '../core/members.ts'
import type { Mutation } from '../core/mutations.ts'
import { payloadOf } from '../core/record.ts'
import type { ClusterConfig, Entry } from '../core/types.ts'
import type { History } from './history.ts'
import type { Panel } from './judges/panel.ts'
import type { DecodeConfig } from './judges/view.ts'
import { Violation } from './judges/violation.ts'
import type { LivenessPhase } from './liveness.ts'
import type { Nemesis, NemesisStats } from './nemesis.ts'
import type { Network, NetworkStats } from './network.ts'
import type { FaultFamily, Pace, SwarmProfile } from './swarm.ts'
import type { Workload, WorkloadStats } from './workload.ts'
import { EventKind, type SimEvent, type World } from './world.ts'

export interface SimulationInit {
  /** Decides everything. Unsigned 32 bit. */
  readonly seed: number
  /** First voters. @default 5 */
  readonly nodes?: number
  /** How long faults go on, in milliseconds of virtual time. @default 20000 */
  readonly faultsMs?: number
  /** Bugs to put back on purpose, in every node. @default none */
  readonly mutations?: ReadonlySet<Mutation>
  /**
   * Leave out the judges of rules that only prevent harm (durability before sending, the membership barrier), so that a
   * violation is harm done. @default false
   */
  readonly consequencesOnly?: boolean
  /** Families of faults, and other traits of the world, to leave out. @default none */
  readonly without?: readonly FaultFamily[]
  /** How often timers fire and clients ask. @default 'drawn' */
  readonly pace?: Pace
}

export interface SimulationViolation {
  /** Which judge saw it: the name of the invariant. */
  readonly judge: string
  readonly message: string
  /** Milliseconds of virtual time. */
  readonly atMs: number
  /** What happened last, oldest first, in words. */
  readonly lastEvents: readonly string[]
}

export interface SimulationReport {
  readonly seed: number
  readonly nodes: number
  readonly violation: SimulationViolation | undefined
  /** Of all that happened; equal for equal inputs. 16 hexadecimal digits. */
  readonly traceHash: string
  /** Virtual time. */
  readonly simulatedMs: number
  readonly events: number
  /** Terms in which somebody led. */
  readonly terms: number
  /** Length of the committed history. */
  readonly committed: number
  /** The highest feature level that was in force; 1 if none was ever raised. */
  readonly level: number
  readonly workload: WorkloadStats
  readonly nemesis: NemesisStats
  readonly network: NetworkStats
  readonly profile: SwarmProfile
  /** The command that runs it again. */
  readonly replay: string
}

/** The configuration in an entry; entries are shared, so each is read once. */
export function configReader(): DecodeConfig {
  const known = new WeakMap<Entry, ClusterConfig>()
  return (entry) => {
    let config = known.get(entry)
    if (config === undefined) {
      config = decodeConfig(payloadOf(entry))
      if (config === undefined) throw new Violation('config', `entry ${entry.index} holds no configuration`)
      known.set(entry, config)
    }
    return config
  }
}

/** What of a run's beginning its command names. */
type Named = Pick<SimulationInit, 'seed' | 'nodes' | 'faultsMs' | 'consequencesOnly' | 'pace'> & {
  readonly without?: readonly string[]
}

/**
 * The command that runs it again.
 *
 * @param bugs - that were put back, of whichever kind
 * @param modes - options that come before all others
 */
export function replayCommand(init: Named, bugs: Iterable<string>, ...modes: readonly string[]): string {
  const words = [...modes, `--seed=${init.seed}`, `--nodes=${init.nodes ?? 5}`]
  if (init.faultsMs !== undefined) words.push(`--faults-ms=${init.faultsMs}`)
  for (const bug of bugs) words.push(`--mutation=${bug}`)
  for (const family of init.without ?? []) words.push(`--without=${family}`)
  if (init.consequencesOnly === true) words.push('--consequences-only')
  if (init.pace !== undefined && init.pace !== 'drawn') words.push(`--pace=${init.pace}`)
  return `npm run test:simulation -- ${words.join(' ')}`
}

/** Who acts in a run, and looks on, beside its nodes. */
export interface SimulationParts {
  readonly world: World
  readonly history: History
  readonly network: Network<never>
  readonly panel: Panel
  readonly profile: SwarmProfile
  readonly nemesis: Nemesis
  readonly workload: Workload
  readonly liveness: LivenessPhase
}

/** Gives an event that is not for a node to whom it is for. */
export function dispatch({ kind, slot, a, payload }: SimEvent, { nemesis, workload, liveness }: SimulationParts): void {
  switch (kind) {
    case EventKind.call:
      ;(payload as () => void)()
      break
    case EventKind.restart:
      nemesis.restart(slot, a)
      break
    case EventKind.resume:
      nemesis.resume(slot, a)
      break
    case EventKind.nemesis:
      nemesis.act(a, slot)
      break
    case EventKind.heal:
      nemesis.heal(a)
      break
    case EventKind.strike:
      nemesis.strike(slot, a === 1)
      break
    case EventKind.workload:
      workload.act(a, payload)
      break
    case EventKind.inspect:
      liveness.inspect()
      break
    default:
      throw new Error(`Nobody takes an event of kind ${kind}`)
  }
}

/** What ended a run before its time. */
export function violationOf(error: unknown, { world, history }: SimulationParts): SimulationViolation {
  const judge = error instanceof Violation ? error.judge : 'exception'
  const message = error instanceof Violation ? error.message : String(error instanceof Error ? error.stack : error)
  return { judge, message, atMs: world.nowUs / 1000, lastEvents: history.last(400) }
}

/** @param replay - the command that runs it again */
export function reportOf(
  { seed, nodes = 5 }: Pick<SimulationInit, 'seed' | 'nodes'>,
  { world, history, network, panel, profile, nemesis, workload }: SimulationParts,
  violation: SimulationViolation | undefined,
  replay: string
): SimulationReport {
  return {
    seed,
    nodes,
    violation,
    traceHash: history.hash(),
    simulatedMs: world.nowUs / 1000,
    events: world.events,
    terms: panel.elections.terms,
    committed: panel.committed.lastIndex,
    level: panel.levels.highest,
    workload: workload.stats,
    nemesis: nemesis.stats,
    network: network.stats,
    profile,
    replay
  }
}
