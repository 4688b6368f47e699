/**
 * One run of the simulator: builds a group of real cores from a seed, lets a workload and a nemesis loose on it under the eyes of the judges,
 * then repairs everything and demands that the group works again.
 *
 * Phase 1 is safety: anything may fail, at any time, in any number. Phase 2 is liveness, as TigerBeetle's simulator has it: the network is whole,
 * everybody is up, and within a number of election timeouts there is a leader, a write commits, and every member has caught up.
 * The same seed gives the same run, event for event.
 */

import { decodeConfig, EMPTY_CONFIG } from '../core/members.ts'
import { type Mutation, NO_MUTATIONS } from '../core/mutations.ts'
import { payloadOf } from '../core/record.ts'
import type { ClusterConfig, Entry } from '../core/types.ts'
import { checksum } from './checksum.ts'
import { Disk } from './disk.ts'
import { History, TraceCode } from './history.ts'
import { Panel } from './judges/panel.ts'
import { type DecodeConfig, NodeView } from './judges/view.ts'
import { Violation } from './judges/violation.ts'
import { LivenessPhase } from './liveness.ts'
import { Nemesis, type NemesisStats } from './nemesis.ts'
import { Network, type NetworkStats } from './network.ts'
import { SimNode } from './node.ts'
import { Prng } from './prng.ts'
import type { NodeSurroundings } from './surroundings.ts'
import { drawProfile, type FaultFamily, type Pace, type SwarmProfile } from './swarm.ts'
import { Workload, type WorkloadStats } from './workload.ts'
import { EventKind, type SimEvent, World } from './world.ts'

/** How long faults go on, unless told otherwise. */
export const DEFAULT_FAULTS_MS = 20_000

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

const replayCommand = (init: SimulationInit): string => {
  const parts = [`npm run test:simulation -- --seed=${init.seed} --nodes=${init.nodes ?? 5}`]
  if (init.faultsMs !== undefined) parts.push(`--faults-ms=${init.faultsMs}`)
  for (const mutation of init.mutations ?? NO_MUTATIONS) parts.push(`--mutation=${mutation}`)
  for (const family of init.without ?? []) parts.push(`--without=${family}`)
  if (init.consequencesOnly === true) parts.push('--consequences-only')
  if (init.pace !== undefined && init.pace !== 'drawn') parts.push(`--pace=${init.pace}`)
  return parts.join(' ')
}

/**
 * Runs one seed to its end or to the first violation.
 *
 * @example
 * const report = simulate({ seed: 7, nodes: 3 })
 * if (report.violation !== undefined) throw new Error(`${report.violation.message}\n${report.replay}`)
 */
export function simulate(init: SimulationInit): SimulationReport {
  return new Simulation(init).run()
}

class Simulation {
  readonly #init: SimulationInit
  readonly #world = new World()
  readonly #history = new History()
  readonly #network: Network
  readonly #nodes: SimNode[] = []
  readonly #panel: Panel
  readonly #nemesis: Nemesis
  readonly #workload: Workload
  readonly #liveness: LivenessPhase
  readonly #profile: SwarmProfile

  constructor(init: SimulationInit) {
    this.#init = init
    const prng = new Prng(init.seed)
    const voterCount = init.nodes ?? 5
    this.#profile = drawProfile(prng.fork('profile'), init.without, init.pace)
    const size = voterCount + this.#profile.spares
    const ids = Array.from({ length: size }, (_, slot) => `n${slot}`)
    const first: ClusterConfig = { voters: ids.slice(0, voterCount), outgoing: [], learners: [] }
    this.#network = new Network(this.#world, prng.fork('network'), this.#profile.network, size)
    const disks = ids.map((_, slot) => {
      const config = slot < voterCount ? first : EMPTY_CONFIG
      return new Disk({ index: 0, term: 0, chain: 0, config })
    })
    const views = ids.map((id, slot) => new NodeView(slot, id, (disks[slot] as Disk).image))
    this.#panel = new Panel(
      views,
      configReader(),
      checksum,
      this.#profile.core.electionTimeoutMs,
      init.consequencesOnly === true
    )
    const around: NodeSurroundings = {
      world: this.#world,
      network: this.#network,
      history: this.#history,
      panel: this.#panel,
      checksum,
      mutations: init.mutations ?? NO_MUTATIONS,
      profile: this.#profile,
      nodes: this.#nodes,
      onElection: (slot, stage) => {
        this.#nemesis.electionSeen(slot, stage)
        if (stage === 'leads') this.#workload.leaderSeen(slot)
      },
      onDiskFailure: (slot) => this.#nemesis.diskFailed(slot)
    }
    for (const view of views) {
      this.#nodes.push(new SimNode(view, disks[view.slot] as Disk, prng.fork(`node ${view.slot}`), around))
    }
    const components = {
      world: this.#world,
      network: this.#network,
      history: this.#history,
      panel: this.#panel,
      nodes: this.#nodes,
      profile: this.#profile,
      onLeaderCut: (slot: number) => this.#workload.insist(slot)
    }
    this.#nemesis = new Nemesis(components, prng.fork('nemesis'))
    this.#workload = new Workload(
      this.#world,
      this.#history,
      this.#nodes,
      this.#panel.registers,
      this.#profile.workload,
      prng.fork('workload'),
      this.#profile.standing,
      this.#profile.workload.sessions
    )
    this.#liveness = new LivenessPhase({ ...components, around, nemesis: this.#nemesis, workload: this.#workload })
  }

  run(): SimulationReport {
    let violation: SimulationViolation | undefined
    try {
      this.#phases()
    } catch (error) {
      violation = this.#describe(error)
    }
    return {
      seed: this.#init.seed,
      nodes: this.#init.nodes ?? 5,
      violation,
      traceHash: this.#history.hash(),
      simulatedMs: this.#world.nowUs / 1000,
      events: this.#world.events,
      terms: this.#panel.elections.terms,
      committed: this.#panel.committed.lastIndex,
      workload: this.#workload.stats,
      nemesis: this.#nemesis.stats,
      network: this.#network.stats,
      profile: this.#profile,
      replay: replayCommand(this.#init)
    }
  }

  #phases(): void {
    for (const node of this.#nodes) node.start()
    this.#workload.start()
    this.#nemesis.start()
    this.#world.run((this.#init.faultsMs ?? DEFAULT_FAULTS_MS) * 1000, (event) => {
      this.#dispatch(event)
      return true
    })
    this.#history.note(this.#world.nowUs, TraceCode.phase, -1, 2, 0, 'all is repaired')
    this.#liveness.begin()
    this.#world.run(Number.MAX_SAFE_INTEGER, (event) => {
      this.#dispatch(event)
      return !this.#liveness.over
    })
    this.#panel.registers.judge()
  }

  #describe(error: unknown): SimulationViolation {
    const judge = error instanceof Violation ? error.judge : 'exception'
    const message = error instanceof Violation ? error.message : String(error instanceof Error ? error.stack : error)
    return { judge, message, atMs: this.#world.nowUs / 1000, lastEvents: this.#history.last(400) }
  }

  #dispatch(event: SimEvent): void {
    const { slot, a, b, payload } = event
    const node = this.#nodes[slot] as SimNode
    switch (event.kind) {
      case EventKind.tick:
        node.tick(a)
        break
      case EventKind.deliver:
        node.deliver(a, b, payload as Parameters<SimNode['deliver']>[2])
        break
      case EventKind.diskDone:
        node.diskDone(a)
        break
      case EventKind.applyDone:
        node.applyDone(a)
        break
      case EventKind.flushDone:
        node.flushDone(a, payload as Parameters<SimNode['flushDone']>[1])
        break
      case EventKind.snapshotDone:
        node.snapshotDone(a, payload as Parameters<SimNode['snapshotDone']>[1])
        break
      case EventKind.fetchDone:
        node.fetchDone(a, b === 1, payload as Parameters<SimNode['fetchDone']>[2])
        break
      case EventKind.peerHint:
        node.peerHint(a, payload as string, b === 1)
        break
      case EventKind.restart:
        this.#nemesis.restart(slot, a)
        this.#workload.nodeStarted(slot)
        break
      case EventKind.resume:
        this.#nemesis.resume(slot, a)
        break
      case EventKind.nemesis:
        this.#nemesis.act(a, slot)
        break
      case EventKind.heal:
        this.#nemesis.heal(a)
        break
      case EventKind.strike:
        this.#nemesis.strike(slot, a === 1)
        break
      case EventKind.workload:
        this.#workload.act(a, payload)
        break
      case EventKind.inspect:
        this.#liveness.inspect()
        break
      case EventKind.call:
        ;(payload as () => void)()
        break
    }
  }
}
