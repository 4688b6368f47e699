/**
 * One run of the simulator: builds a group of real cores from a seed, lets a workload and a nemesis loose on it under the eyes of the judges,
 * then repairs everything and demands that the group works again.
 *
 * Phase 1 is safety: anything may fail, at any time, in any number. Phase 2 is liveness, as TigerBeetle's simulator has it: the network is whole,
 * everybody is up, and within a number of election timeouts there is a leader, a write commits, and every member has caught up.
 * The same seed gives the same run, event for event.
 */

import { EMPTY_CONFIG } from '../core/members.ts'
import { NO_MUTATIONS } from '../core/mutations.ts'
import type { ClusterConfig } from '../core/types.ts'
import { checksum } from './checksum.ts'
import { Disk } from './disk.ts'
import { History, TraceCode } from './history.ts'
import { Panel } from './judges/panel.ts'
import { NodeView } from './judges/view.ts'
import { LivenessPhase } from './liveness.ts'
import { Nemesis } from './nemesis.ts'
import { Network } from './network.ts'
import { SimNode } from './node.ts'
import { Prng } from './prng.ts'
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
} from './simulation.ts'
import type { NodeSurroundings } from './surroundings.ts'
import { drawProfile } from './swarm.ts'
import { Workload } from './workload.ts'
import { EventKind, type SimEvent, World } from './world.ts'

/** How long faults go on, unless told otherwise. */
export const DEFAULT_FAULTS_MS = 20_000

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
  readonly #nodes: SimNode[] = []
  readonly #parts: SimulationParts

  constructor(init: SimulationInit) {
    this.#init = init
    const prng = new Prng(init.seed)
    const voterCount = init.nodes ?? 5
    const profile = drawProfile(prng.fork('profile'), init.without, init.pace)
    const size = voterCount + profile.spares
    const ids = Array.from({ length: size }, (_, slot) => `n${slot}`)
    const first: ClusterConfig = { voters: ids.slice(0, voterCount), outgoing: [], learners: [] }
    const network = new Network(this.#world, prng.fork('network'), profile.network, size)
    const disks = ids.map((_, slot) => {
      const config = slot < voterCount ? first : EMPTY_CONFIG
      return new Disk({ index: 0, term: 0, chain: 0, config })
    })
    const views = ids.map((id, slot) => new NodeView(slot, id, (disks[slot] as Disk).image))
    const { electionTimeoutMs } = profile.core
    const panel = new Panel(views, configReader(), checksum, electionTimeoutMs, init.consequencesOnly === true)
    const around: NodeSurroundings = {
      world: this.#world,
      network,
      history: this.#history,
      panel,
      checksum,
      mutations: init.mutations ?? NO_MUTATIONS,
      profile,
      nodes: this.#nodes,
      onElection: (slot, stage) => {
        nemesis.electionSeen(slot, stage)
        if (stage === 'leads') workload.leaderSeen(slot)
      },
      onDiskFailure: (slot) => nemesis.diskFailed(slot)
    }
    for (const view of views) {
      this.#nodes.push(new SimNode(view, disks[view.slot] as Disk, prng.fork(`node ${view.slot}`), around))
    }
    const components = {
      world: this.#world,
      network,
      history: this.#history,
      panel,
      nodes: this.#nodes,
      profile,
      onLeaderCut: (slot: number) => workload.insist(slot)
    }
    const nemesis = new Nemesis(components, prng.fork('nemesis'))
    const workload = new Workload(
      this.#world,
      this.#history,
      this.#nodes,
      panel.registers,
      profile.workload,
      prng.fork('workload'),
      profile.standing,
      profile.workload.sessions
    )
    const liveness = new LivenessPhase({ ...components, around, nemesis, workload })
    this.#parts = { ...components, nemesis, workload, liveness }
  }

  run(): SimulationReport {
    let violation: SimulationViolation | undefined
    try {
      this.#phases()
    } catch (error) {
      violation = violationOf(error, this.#parts)
    }
    const { mutations = NO_MUTATIONS } = this.#init
    return reportOf(this.#init, this.#parts, violation, replayCommand(this.#init, mutations))
  }

  #phases(): void {
    const { nemesis, workload, liveness, panel } = this.#parts
    for (const node of this.#nodes) node.start()
    workload.start()
    nemesis.start()
    this.#world.run((this.#init.faultsMs ?? DEFAULT_FAULTS_MS) * 1000, (event) => {
      this.#dispatch(event)
      return true
    })
    this.#history.note(this.#world.nowUs, TraceCode.phase, -1, 2, 0, 'all is repaired')
    liveness.begin()
    this.#world.run(Number.MAX_SAFE_INTEGER, (event) => {
      this.#dispatch(event)
      return !liveness.over
    })
    panel.registers.judge()
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
        dispatch(event, this.#parts)
        this.#parts.workload.nodeStarted(slot)
        break
      default:
        dispatch(event, this.#parts)
    }
  }
}
