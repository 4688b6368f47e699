/**
 * The second phase of a run: every fault has ended, and the group has to show that it works. Within a number of election timeouts somebody leads
 * and commits; then, for as long as somebody still catches up, everybody does. Called by `simulate.ts`; a failure is a violation named `liveness`.
 */

import { LONGEST_RETRY_TIMEOUTS } from '../core/fitness.ts'
import { membersOf } from '../core/members.ts'
import type { CoreStatus, Index, Term } from '../core/types.ts'
import type { SimActor } from './actor.ts'
import type { Panel } from './judges/panel.ts'
import { Violation } from './judges/violation.ts'
import type { Nemesis } from './nemesis.ts'
import type { Network } from './network.ts'
import { SLOWEST_WRITE_US } from './node.ts'
import type { Outcome } from './surroundings.ts'
import type { SwarmProfile } from './swarm.ts'
import type { Workload } from './workload.ts'
import { EventKind, type World } from './world.ts'

/** Within so many election timeouts a write commits, and between any two signs of progress no more than so many pass. */
const PATIENCE_TIMEOUTS = 30
const INSPECT_EVERY_US = 50_000
/** Several times what it takes until states are compared. */
const MAX_EXTRA_WRITES = 64

export interface LivenessComponents {
  readonly world: World
  readonly network: Network<never>
  readonly panel: Panel
  readonly nodes: readonly SimActor[]
  readonly profile: SwarmProfile
  /** What the nodes look up. */
  readonly around: { profile: SwarmProfile }
  readonly nemesis: Nemesis
  readonly workload: Workload
  /** Whether all that happens beside the group, such as the return of a node under a new name, is over. @default it is */
  readonly settled?: () => boolean
  /** What the nodes wait for by clocks of their own, beyond elections: pauses between tries, calls that are not answered. @default 0 */
  readonly slackUs?: number
}

export class LivenessPhase {
  over = false
  readonly #c: LivenessComponents
  /** The term of the leader that was asked to commit a write and has not answered; 0 if nobody was. */
  #askedTerm: Term = 0
  #committed: Index | undefined
  /** Writes made for nothing but to give states that differ an occasion to show. */
  #extraWrites = 0
  #progress = -1
  #progressUs = 0

  constructor(components: LivenessComponents) {
    this.#c = components
  }

  begin(): void {
    const { world, network, profile, around, nemesis, workload } = this.#c
    const calm: SwarmProfile = {
      ...profile,
      network: { ...profile.network, minDelayUs: 200, meanDelayUs: 500, drop: 0, duplicate: 0, replay: 0 },
      disk: { minWriteUs: 50, meanWriteUs: 200, stall: 0, stallUs: 1, failure: 0, slowestFactor: 1 },
      node: { ...profile.node, meanApplyUs: 50, meanSnapshotUs: 500, meanTransferUs: 1000, transferFailure: 0 }
    }
    around.profile = calm
    network.setProfile(calm.network)
    workload.stop()
    nemesis.stop()
    this.#progressUs = world.nowUs
    world.schedule(INSPECT_EVERY_US, EventKind.inspect, -1, 0, 0, undefined)
  }

  /** Looks at everybody; ends the run when all is well. */
  inspect(): void {
    const { world, nodes, panel } = this.#c
    const statuses = nodes.map((node) => {
      const status = node.status()
      if (status !== undefined) panel.reports(node.view, status)
      return status
    })
    const leader = this.#leader(statuses)
    if (leader !== undefined && this.#committed === undefined) {
      // Who was asked and no longer leads may never learn what became of it.
      const { term } = statuses[leader] as CoreStatus
      if (term !== this.#askedTerm) this.#propose(nodes[leader] as SimActor, term)
    }
    const allThere =
      leader !== undefined && this.#committed !== undefined && this.#allThere(statuses, leader, this.#committed)
    const heir = allThere ? this.#heirOf(statuses, leader) : undefined
    if (allThere && heir === undefined) {
      const wrong = this.#wrongState(statuses[leader] as CoreStatus)
      if (wrong === undefined) {
        this.over = true
        return
      }
      if (this.#askedTerm === 0)
        this.#writeMore(nodes[leader] as SimActor, (statuses[leader] as CoreStatus).term, wrong)
    }
    const progress = statuses.reduce(
      (sum, status) => sum + (status?.appliedIndex ?? 0),
      this.#committed === undefined ? 0 : 1
    )
    // Terms and roles may change for ever without anything getting done: only applied entries count.
    if (progress > this.#progress) {
      this.#progress = progress
      this.#progressUs = world.nowUs
    } else if (world.nowUs - this.#progressUs > this.#patienceUs(heir === undefined ? 0 : LONGEST_RETRY_TIMEOUTS)) {
      throw new Violation('liveness', this.#complaint(statuses, leader))
    }
    world.schedule(INSPECT_EVERY_US, EventKind.inspect, -1, 0, 0, undefined)
  }

  /**
   * A disk that stalled just before the faults ended is still stalled for a while, and so are late copies of messages.
   *
   * @param retryTimeouts - a leader that tried to hand over in vain, while there were faults, waits so long before it tries again
   */
  #patienceUs(retryTimeouts: number): number {
    const { slackUs = 0 } = this.#c
    const { core, disk, network } = this.#c.profile
    const slowestUs = disk.slowestFactor > 1 ? SLOWEST_WRITE_US : 0
    return (
      slackUs +
      (PATIENCE_TIMEOUTS + retryTimeouts) * core.electionTimeoutMs * 1000 +
      disk.stallUs +
      slowestUs +
      network.replayDelayUs
    )
  }

  #leader(statuses: readonly (CoreStatus | undefined)[]): number | undefined {
    let found: number | undefined
    statuses.forEach((status, slot) => {
      if (status?.role !== 'leader') return
      if (found === undefined || (statuses[found] as CoreStatus).term < status.term) found = slot
    })
    return found
  }

  /** A member whose state is wrong, where the others can prove it (T45). */
  #wrongState({ config }: CoreStatus): SimActor | undefined {
    const { voters, learners } = config
    return this.#c.nodes.find(({ id, up, view }) => {
      if (!up || !view.broken) return false
      return learners.includes(id) ? voters.length > 1 : voters.includes(id) && voters.length > 2
    })
  }

  #writeMore(leader: SimActor, term: Term, wrong: SimActor): void {
    if (++this.#extraWrites > MAX_EXTRA_WRITES) {
      throw new Violation(
        'liveness',
        `the state of ${wrong.id} is wrong, and nobody told it in ${MAX_EXTRA_WRITES} writes`
      )
    }
    this.#propose(leader, term)
  }

  #propose(node: SimActor, term: Term): void {
    this.#askedTerm = term
    this.#c.workload.write(node, [0], (outcome: Outcome) => {
      if (this.#askedTerm === term) this.#askedTerm = 0
      if (outcome.type === 'acknowledged') this.#committed = outcome.index
    })
  }

  /** Who should lead in the leader's place: a voter that is well while the leader is unfit, or one that is well and of higher priority (T23). */
  #heirOf(statuses: readonly (CoreStatus | undefined)[], leader: number): CoreStatus | undefined {
    const present = statuses[leader] as CoreStatus
    return statuses.find((other) => {
      if (other === undefined || !present.config.voters.includes(other.id)) return false
      if (present.health === 'unfit') return other.health === 'good'
      return other.health === 'good' && other.priority > present.priority
    })
  }

  /** Every member of the final configuration has applied the same history, and no change is left half-way. */
  #allThere(statuses: readonly (CoreStatus | undefined)[], leader: number, index: Index): boolean {
    const { panel, settled } = this.#c
    if (settled?.() === false) return false
    const { config, configCommitted } = statuses[leader] as CoreStatus
    if (config.outgoing.length > 0 || !configCommitted) return false
    const end = panel.committed.lastIndex
    for (const id of membersOf(config)) {
      const status = statuses.find((one) => one?.id === id)
      if (status === undefined || status.appliedIndex < Math.max(index, end)) return false
    }
    statuses.forEach((status, slot) => {
      if (status === undefined || !membersOf(config).includes(status.id)) return
      const { log } = this.#c.nodes[slot]!.view
      panel.promises.kept(slot, status.appliedIndex, (at) => log.chainAt(at))
    })
    return true
  }

  #complaint(statuses: readonly (CoreStatus | undefined)[], leader: number | undefined): string {
    const heir = leader === undefined ? undefined : this.#heirOf(statuses, leader)
    const instead = heir === undefined ? '' : `, and not ${heir.id}, as it should,`
    const who = leader === undefined ? 'nobody leads' : `n${leader} leads${instead}`
    const done =
      this.#committed === undefined ? 'no write was committed' : `a write was committed at ${this.#committed}`
    const nodes = statuses.map((s, slot) =>
      s === undefined
        ? `slot ${slot} does not run`
        : `${s.id} ${s.role} term ${s.term} base ${s.baseIndex} last ${s.lastIndex}/${s.lastTerm} commit ${s.commitIndex} applied ${s.appliedIndex} ` +
          `voters ${s.config.voters.join('+')}${s.config.outgoing.length > 0 ? ` outgoing ${s.config.outgoing.join('+')}` : ''}` +
          `${s.config.learners.length > 0 ? ` learners ${s.config.learners.join('+')}` : ''}${s.configCommitted ? '' : ' (uncommitted)'}`
    )
    return `without any fault ${who}, ${done}, and nothing moved for ${PATIENCE_TIMEOUTS} election timeouts:\n  ${nodes.join('\n  ')}`
  }
}
