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
import { LivenessPhase } from '../liveness.ts'
import { Nemesis } from '../nemesis.ts'
import { Network } from '../network.ts'
import { Prng } from '../prng.ts'
import {
  configReader,
  dispatch,
  replayCommand,
  reportOf,
  type SimulationInit,
  type SimulationParts,
  type SimulationReport,
  type SimulationViolation,
  violationOf
} from '../simulation.ts'
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

/** All promises that an event has set off have come to rest. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

class FullSimulation {
  readonly #init: FullSimulationInit
  readonly #world = new World()
  readonly #history = new History()
  readonly #nodes: FullNode[] = []
  readonly #parts: SimulationParts
  readonly #full: FullProfile
  readonly #disks: DiskNemesis
  readonly #service: Service
  #objection: unknown
  /** All faults are over. */
  #calm = false

  constructor(init: FullSimulationInit) {
    this.#init = init
    const { bugs = new Set<DriverBug>(), consequencesOnly = false, without = [], pace } = init
    const prng = new Prng(init.seed)
    const voterCount = init.nodes ?? 5
    const drawn = drawProfile(prng.fork('profile'), without as FaultFamily[], pace)
    const { full, profile } = drawFullProfile(prng.fork('full profile'), drawn, without)
    this.#full = full
    const size = voterCount + profile.spares
    const ids = Array.from({ length: size }, (_, slot) => `n${slot}`)
    const first: ClusterConfig = { voters: ids.slice(0, voterCount), outgoing: [], learners: [] }
    const network = new Network<Packet>(this.#world, prng.fork('network'), profile.network, size)
    const checksum = (bytes: Uint8Array, seed: number): number => crc32(bytes, seed)
    const panel = new Panel([], configReader(), checksum, profile.core.electionTimeoutMs, consequencesOnly, false)
    const judge = (task: () => void): void => this.#judge(task)
    const around: FullSurroundings = {
      world: this.#world,
      board: new Switchboard(network),
      history: this.#history,
      panel,
      mutations: init.mutations ?? NO_MUTATIONS,
      bugs,
      consequencesOnly,
      full,
      profile,
      first,
      judge,
      onElection: (slot, stage) => {
        nemesis.electionSeen(slot, stage)
        if (stage === 'leads') workload.leaderSeen(slot)
      },
      onOpened: (slot) => nemesis.opened(slot),
      onHalt: (slot, message, faulted) => this.#disks.halted(slot, message, faulted),
      onNotStarted: (slot, error, faulted) => this.#disks.notStarted(slot, error, faulted)
    }
    for (let slot = 0; slot < size; slot++) this.#nodes.push(new FullNode(slot, prng.fork(`node ${slot}`), around))
    const components = {
      world: this.#world,
      network,
      history: this.#history,
      panel,
      nodes: this.#nodes,
      profile
    }
    const nemesis = new Nemesis(components, prng.fork('nemesis'))
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
    const workload = new Workload(
      this.#world,
      this.#history,
      this.#nodes,
      panel.registers,
      profile.workload,
      prng.fork('workload'),
      profile.standing
    )
    const liveness = new LivenessPhase({
      ...components,
      around,
      nemesis,
      workload,
      settled: () => this.#service.idle,
      slackUs: DRIVER_SLACK_US
    })
    this.#parts = { ...components, nemesis, workload, liveness }
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
    this.#parts.nemesis.diskFailed(slot)
  }

  async run(): Promise<FullSimulationReport> {
    let violation: SimulationViolation | undefined
    try {
      await this.#phases()
    } catch (error) {
      violation = violationOf(error, this.#parts)
    }
    for (const node of this.#nodes) node.crash()
    const { mutations = NO_MUTATIONS, bugs = [] } = this.#init
    const replay = replayCommand(this.#init, [...mutations, ...bugs], '--full')
    return { ...reportOf(this.#init, this.#parts, violation, replay), disks: this.#disks.stats, full: this.#full }
  }

  async #phases(): Promise<void> {
    const { nemesis, workload, liveness, panel } = this.#parts
    for (const node of this.#nodes) node.start()
    workload.start()
    nemesis.start()
    this.#disks.start()
    this.#service.start()
    await this.#run((this.#init.faultsMs ?? DEFAULT_FULL_FAULTS_MS) * 1000, () => true)
    this.#history.note(this.#world.nowUs, TraceCode.phase, -1, 2, 0, 'all is repaired')
    this.#calm = true
    this.#disks.stop()
    liveness.begin()
    await this.#run(Number.MAX_SAFE_INTEGER, () => !liveness.over)
    panel.registers.judge()
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

  #dispatch(event: SimEvent): void {
    const { slot, a, b, payload } = event
    const node = this.#nodes[slot] as FullNode
    switch (event.kind) {
      case EventKind.deliver:
        node.deliver(a, b, payload as Packet)
        break
      case EventKind.peerHint:
        node.peerHint(a, payload as string, b === 1)
        break
      default:
        dispatch(event, this.#parts)
    }
  }
}
