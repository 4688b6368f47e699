/**
 * One run of the full mode: the same worlds, judges, workload and nemesis as `../simulate.ts`, over nodes that are the real driver, storage and codec
 * (`full-node.ts`), on disks that fail in more ways (`disk-nemesis.ts`). Some fifty times slower, and so for a share of the seeds.
 *
 * Everything asynchronous is an event in the world's queue, and after each event all promises come to rest before the next (`World.runSettled`): there is no
 * other source of time or chance, so that the same seed is the same run in any process.
 */

import { crc32 } from 'node:zlib'
import { NO_MUTATIONS } from '../../core/mutations.ts'
import type { ClusterConfig } from '../../core/types.ts'
import { History, TraceCode } from '../history.ts'
import { Panel } from '../judges/panel.ts'
import { Violation } from '../judges/violation.ts'
import { LivenessPhase } from '../liveness.ts'
import { Nemesis } from '../nemesis.ts'
import { Network } from '../network.ts'
import { Prng } from '../prng.ts'
import { configReader, type SimulationInit, type SimulationReport, type SimulationViolation } from '../simulate.ts'
import { drawProfile, type FaultFamily } from '../swarm.ts'
import { Workload } from '../workload.ts'
import { EventKind, type SimEvent, World } from '../world.ts'
import type { DriverBug } from './bugs.ts'
import { DiskNemesis, type DiskNemesisStats } from './disk-nemesis.ts'
import { FullNode, type FullSurroundings } from './full-node.ts'
import { type DiskFaultFamily, drawFullProfile, type FullProfile } from './full-profile.ts'
import { Service } from './service.ts'
import { type Packet, Switchboard } from './simulated-transport.ts'

/** How long faults go on, unless told otherwise. */
export const DEFAULT_FULL_FAULTS_MS = 6000

/** The longest pauses of the driver between two tries of a repair or a transfer, and the time after which a call is given up. */
const DRIVER_SLACK_US = 10_000_000

export interface FullSimulationInit extends Omit<SimulationInit, 'without'> {
  /** How long faults go on, in milliseconds of virtual time. @default 6000 */
  readonly faultsMs?: number
  /** Bugs to put back outside the core. @default none */
  readonly bugs?: ReadonlySet<DriverBug>
  /** Families of faults, and other traits of the world, to leave out. @default none */
  readonly without?: readonly (FaultFamily | DiskFaultFamily)[]
}

export interface FullSimulationReport extends SimulationReport {
  readonly disks: DiskNemesisStats
  readonly full: FullProfile
}

/**
 * Runs one seed of the full mode to its end or to the first violation. One at a time in a process.
 *
 * @example
 * const report = await simulateFull({ seed: 7, nodes: 3 })
 * if (report.violation !== undefined) throw new Error(`${report.violation.message}\n${report.replay}`)
 */
export function simulateFull(init: FullSimulationInit): Promise<FullSimulationReport> {
  return new FullSimulation(init).run()
}

const replayCommand = (init: FullSimulationInit): string => {
  const parts = [`npm run test:simulation -- --full --seed=${init.seed} --nodes=${init.nodes ?? 5}`]
  if (init.faultsMs !== undefined) parts.push(`--faults-ms=${init.faultsMs}`)
  for (const mutation of init.mutations ?? NO_MUTATIONS) parts.push(`--mutation=${mutation}`)
  for (const bug of init.bugs ?? []) parts.push(`--mutation=${bug}`)
  for (const family of init.without ?? []) parts.push(`--without=${family}`)
  if (init.consequencesOnly === true) parts.push('--consequences-only')
  if (init.pace !== undefined && init.pace !== 'drawn') parts.push(`--pace=${init.pace}`)
  return parts.join(' ')
}

/** All promises that an event has set off have come to rest. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

class FullSimulation {
  readonly #init: FullSimulationInit
  readonly #world = new World()
  readonly #history = new History()
  readonly #network: Network<Packet>
  readonly #nodes: FullNode[] = []
  readonly #panel: Panel
  readonly #nemesis: Nemesis
  readonly #disks: DiskNemesis
  readonly #service: Service
  readonly #workload: Workload
  readonly #liveness: LivenessPhase
  readonly #profile: FullSimulationReport['profile']
  readonly #full: FullProfile
  #objection: unknown

  constructor(init: FullSimulationInit) {
    this.#init = init
    const { bugs = new Set<DriverBug>(), consequencesOnly = false, without = [], pace } = init
    const prng = new Prng(init.seed)
    const voterCount = init.nodes ?? 5
    const drawn = drawProfile(prng.fork('profile'), without as FaultFamily[], pace)
    const { full, profile } = drawFullProfile(prng.fork('full profile'), drawn, without)
    this.#full = full
    this.#profile = profile
    const size = voterCount + profile.spares
    const ids = Array.from({ length: size }, (_, slot) => `n${slot}`)
    const first: ClusterConfig = { voters: ids.slice(0, voterCount), outgoing: [], learners: [] }
    this.#network = new Network<Packet>(this.#world, prng.fork('network'), profile.network, size)
    const checksum = (bytes: Uint8Array, seed: number): number => crc32(bytes, seed)
    this.#panel = new Panel([], configReader(), checksum, profile.core.electionTimeoutMs, consequencesOnly, false)
    const judge = (task: () => void): void => this.#judge(task)
    const around: FullSurroundings = {
      world: this.#world,
      board: new Switchboard(this.#network),
      history: this.#history,
      panel: this.#panel,
      mutations: init.mutations ?? NO_MUTATIONS,
      bugs,
      consequencesOnly,
      full,
      profile,
      first,
      judge,
      onElection: (slot, stage) => {
        this.#nemesis.electionSeen(slot, stage)
        if (stage === 'leads') this.#workload.leaderSeen(slot)
      },
      onHalt: (slot, message, faulted) => this.#disks.halted(slot, message, faulted),
      onNotStarted: (slot, error, faulted) => this.#disks.notStarted(slot, error, faulted)
    }
    for (let slot = 0; slot < size; slot++) this.#nodes.push(new FullNode(slot, prng.fork(`node ${slot}`), around))
    const components = {
      world: this.#world,
      network: this.#network,
      history: this.#history,
      panel: this.#panel,
      nodes: this.#nodes,
      profile
    }
    this.#nemesis = new Nemesis(components, prng.fork('nemesis'))
    this.#service = new Service(this.#world, this.#nodes, profile.core.electionTimeoutMs)
    this.#disks = new DiskNemesis(
      {
        world: this.#world,
        history: this.#history,
        nodes: this.#nodes,
        profile: full,
        voterCount,
        bugs,
        crash: (slot) => this.#crash(slot),
        onRenamed: (slot) => this.#service.returns(slot),
        judge
      },
      prng.fork('disks')
    )
    this.#workload = new Workload(
      this.#world,
      this.#history,
      this.#nodes,
      this.#panel.registers,
      profile.workload,
      prng.fork('workload'),
      profile.standing
    )
    this.#liveness = new LivenessPhase({
      ...components,
      around,
      nemesis: this.#nemesis,
      workload: this.#workload,
      settled: () => this.#service.idle,
      slackUs: DRIVER_SLACK_US
    })
  }

  /** What a judge says within a call of the driver must not be swallowed by it. */
  #judge(task: () => void): void {
    if (this.#objection !== undefined) return
    try {
      task()
    } catch (error) {
      this.#objection = error
    }
  }

  /** Dies, and comes back; once faults are over at once. */
  #crash(slot: number): void {
    const node = this.#nodes[slot] as FullNode
    if (this.#calm) {
      node.crash()
      this.#world.schedule(1000, EventKind.call, slot, 0, 0, () => {
        if (!node.up) node.start()
      })
      return
    }
    this.#nemesis.diskFailed(slot)
  }

  #calm = false

  async run(): Promise<FullSimulationReport> {
    let violation: SimulationViolation | undefined
    try {
      await this.#phases()
    } catch (error) {
      violation = this.#describe(error)
    }
    for (const node of this.#nodes) node.crash()
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
      disks: this.#disks.stats,
      full: this.#full,
      replay: replayCommand(this.#init)
    }
  }

  async #phases(): Promise<void> {
    for (const node of this.#nodes) node.start()
    this.#workload.start()
    this.#nemesis.start()
    this.#disks.start()
    this.#service.start()
    await this.#run((this.#init.faultsMs ?? DEFAULT_FULL_FAULTS_MS) * 1000, () => true)
    this.#history.note(this.#world.nowUs, TraceCode.phase, -1, 2, 0, 'all is repaired')
    this.#calm = true
    this.#disks.stop()
    this.#liveness.begin()
    await this.#run(Number.MAX_SAFE_INTEGER, () => !this.#liveness.over)
    this.#panel.registers.judge()
  }

  async #run(untilUs: number, goesOn: () => boolean): Promise<void> {
    await this.#world.runSettled(
      untilUs,
      (event) => {
        this.#dispatch(event)
        return this.#objection === undefined && goesOn()
      },
      settled
    )
    if (this.#objection !== undefined) throw this.#objection
  }

  #describe(error: unknown): SimulationViolation {
    const judge = error instanceof Violation ? error.judge : 'exception'
    const message = error instanceof Violation ? error.message : String(error instanceof Error ? error.stack : error)
    return { judge, message, atMs: this.#world.nowUs / 1000, lastEvents: this.#history.last(400) }
  }

  #dispatch(event: SimEvent): void {
    const { slot, a, b, payload } = event
    const node = this.#nodes[slot] as FullNode
    switch (event.kind) {
      case EventKind.call:
        ;(payload as () => void)()
        break
      case EventKind.deliver:
        node.deliver(a, b, payload as Packet)
        break
      case EventKind.peerHint:
        node.peerHint(a, payload as string, b === 1)
        break
      case EventKind.restart:
        this.#nemesis.restart(slot, a)
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
        this.#workload.act(a)
        break
      case EventKind.inspect:
        this.#liveness.inspect()
        break
      default:
        break
    }
  }
}
