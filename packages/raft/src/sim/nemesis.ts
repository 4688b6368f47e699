/**
 * The faults that come from outside a node: crashes, pauses, cuts of the network, changes of membership, hand-overs of leadership, and blows aimed
 * at whoever has just begun to lead. What is on, and how often, is the seed's profile; each kind draws from a generator of its own.
 *
 * Called by `simulate.ts` with events; acts on nodes and network and knows nothing of judges.
 */

import { membersOf } from '../core/members.ts'
import type { ClusterConfig, Health, NodeId } from '../core/types.ts'
import type { SimActor } from './actor.ts'
import { type History, TraceCode } from './history.ts'
import type { Panel } from './judges/panel.ts'
import type { Network } from './network.ts'
import { Overload } from './overload.ts'
import type { Prng } from './prng.ts'
import type { ElectionStage } from './surroundings.ts'
import type { SwarmProfile } from './swarm.ts'
import { EventKind, type World } from './world.ts'

const Fault = { crash: 0, pause: 1, partition: 2, churn: 3, transfer: 4, churnAtOnce: 5, health: 6, lull: 7 } as const

const HEALTHS: readonly Health[] = ['good', 'good', 'degraded', 'unfit']

export interface NemesisStats {
  crashes: number
  pauses: number
  partitions: number
  changes: number
  transfers: number
  strikes: number
  diskFailures: number
}

export interface NemesisComponents {
  readonly world: World
  readonly network: Network<never>
  readonly history: History
  readonly panel: Panel
  readonly nodes: readonly SimActor[]
  readonly profile: SwarmProfile
  /** A leader was cut off, and its clients do not know. */
  readonly onLeaderCut?: (slot: number) => void
}

export class Nemesis {
  readonly stats: NemesisStats = {
    crashes: 0,
    pauses: 0,
    partitions: 0,
    changes: 0,
    transfers: 0,
    strikes: 0,
    diskFailures: 0
  }
  readonly #world: World
  readonly #network: Network<never>
  readonly #history: History
  readonly #panel: Panel
  readonly #nodes: readonly SimActor[]
  readonly #profile: SwarmProfile
  readonly #prngs: readonly Prng[]
  readonly #strikes: Prng
  readonly #hints: Prng
  readonly #churnAtOnce: Prng
  readonly #failures: Prng
  readonly #healths: Prng
  readonly #leavers: Prng
  readonly #insistence: Prng
  readonly #overload: Overload
  readonly #onLeaderCut: ((slot: number) => void) | undefined
  /** About the time from a node's decision to its arrival, durable, at another. */
  readonly #hopUs: number
  readonly #everyUs: readonly number[]
  #stopped = false
  /** Counts the cuts, so that the heal of an earlier one is known. */
  #cut = 0

  constructor(components: NemesisComponents, prng: Prng) {
    this.#world = components.world
    this.#network = components.network
    this.#history = components.history
    this.#panel = components.panel
    this.#nodes = components.nodes
    this.#profile = components.profile
    const { nemesis } = components.profile
    this.#prngs = ['crash', 'pause', 'partition', 'churn', 'transfer'].map((label) => prng.fork(label))
    this.#strikes = prng.fork('strikes')
    this.#hints = prng.fork('hints')
    this.#churnAtOnce = prng.fork('churn at once')
    this.#failures = prng.fork('disk failures')
    this.#healths = prng.fork('health')
    this.#leavers = prng.fork('leavers')
    this.#insistence = prng.fork('insistence')
    this.#overload = new Overload(components, prng.fork('overload'))
    this.#onLeaderCut = components.onLeaderCut
    const { network, disk } = components.profile
    this.#hopUs = network.minDelayUs + network.meanDelayUs + disk.minWriteUs + disk.meanWriteUs
    this.#everyUs = [
      nemesis.crashEveryUs,
      nemesis.pauseEveryUs,
      nemesis.partitionEveryUs,
      nemesis.churnEveryUs,
      nemesis.transferEveryUs
    ]
  }

  start(): void {
    for (let fault = 0; fault < this.#everyUs.length; fault++) this.#scheduleNext(fault)
    this.#scheduleHealth()
    this.#scheduleLull()
    this.#overload.start()
    if (this.#profile.standing.upgrade > 0) for (const node of this.#nodes) this.#greetAll(node.slot)
  }

  #scheduleHealth(): void {
    const mean = this.#profile.standing.healthEveryUs
    if (mean === 0) return
    this.#world.schedule(1 + this.#healths.exponential(mean), EventKind.nemesis, -1, Fault.health, 0, undefined)
  }

  #scheduleLull(): void {
    const mean = this.#profile.standing.lullEveryUs
    if (mean === 0) return
    this.#world.schedule(1 + this.#leavers.exponential(mean), EventKind.nemesis, -1, Fault.lull, 0, undefined)
  }

  /**
   * Who leads stands still, too shortly to be sure that it did, and is cut off meanwhile: what had reached it before, it takes in late, when another
   * may lead already (T49).
   */
  #lull(): void {
    const prng = this.#leavers
    const node = this.#whomToAsk(prng)
    if (node.up && !node.paused) {
      this.stats.pauses++
      this.#history.note(this.#world.nowUs, TraceCode.pause, node.slot, 0, 0, undefined)
      node.pause()
      const shortestStallUs = this.#profile.core.electionTimeoutMs * 500
      this.#world.schedule(1 + prng.below(shortestStallUs), EventKind.resume, node.slot, node.boot, 0, undefined)
      this.#isolateSoon(node.slot)
    }
    this.#scheduleLull()
  }

  #isolateSoon(slot: number): void {
    const delayUs = 1 + this.#leavers.below(4 * this.#hopUs)
    this.#world.schedule(delayUs, EventKind.call, -1, 0, 0, () => {
      if (!this.#stopped) this.#isolate(slot, this.#leavers)
    })
  }

  /** A node takes part from now on, where that is later than its start. Connections that came up before it did it never heard of. */
  opened(slot: number): void {
    if (this.#profile.standing.upgrade > 0) this.#greetAll(slot)
  }

  /** The node is told of every other that runs, and so of its version. */
  #greetAll(slot: number): void {
    for (const peer of this.#nodes) if (peer.slot !== slot && peer.up) this.#hint(slot, peer.slot, true)
  }

  /** Somebody, most often who leads, thinks better or worse of itself. */
  #feel(): void {
    const node = this.#healths.below(2) === 0 ? this.#whomToAsk(this.#healths) : this.#healths.pick(this.#nodes)
    node.feels?.(this.#healths.pick(HEALTHS))
    this.#scheduleHealth()
  }

  #scheduleNext(fault: number): void {
    const mean = this.#everyUs[fault] as number
    if (mean === 0) return
    const delayUs = 1 + (this.#prngs[fault] as Prng).exponential(mean)
    this.#world.schedule(delayUs, EventKind.nemesis, -1, fault, 0, undefined)
  }

  /** The turn of one kind of fault. */
  act(fault: number, slot: number): void {
    if (this.#stopped) return
    if (fault === Fault.health || fault === Fault.lull) {
      if (fault === Fault.health) this.#feel()
      else this.#lull()
      return
    }
    if (fault === Fault.churnAtOnce) {
      this.#askForChange(this.#nodes[slot] as SimActor, this.#churnAtOnce, this.#churnAtOnce.below(4) > 0)
      return
    }
    const prng = this.#prngs[fault] as Prng
    if (fault === Fault.crash) this.#crashSome(prng)
    else if (fault === Fault.pause) this.#pause(prng.pick(this.#nodes), prng)
    else if (fault === Fault.partition) this.#partition(prng)
    else if (fault === Fault.churn) this.#askForChange(this.#whomToAsk(prng), prng, false)
    else this.#transfer(prng)
    this.#scheduleNext(fault)
  }

  /** The moments at which a group is at its weakest: an election, a new leader, its first commit. */
  electionSeen(slot: number, stage: ElectionStage): void {
    if (this.#stopped) return
    if (stage === 'asks') {
      this.#maybeStrikeVoter(slot)
      return
    }
    this.#maybeStrike(slot)
    if (stage !== 'leads' || !this.#churnAtOnce.chance(this.#profile.nemesis.churnAtElection)) return
    const delayUs = 1 + this.#churnAtOnce.below(1 + this.#churnAtOnce.pick([0, 0, 1]) * this.#hopUs)
    this.#world.schedule(delayUs, EventKind.nemesis, slot, Fault.churnAtOnce, 0, undefined)
  }

  /** Perhaps one of those whose vote is asked for dies about then, and is back before the election is over. */
  #maybeStrikeVoter(candidate: number): void {
    if (!this.#strikes.chance(this.#profile.nemesis.strike)) return
    const voter = this.#strikes.pick(this.#nodes)
    if (voter.slot === candidate) return
    const delayUs = 1 + this.#strikes.below(4 * this.#hopUs)
    this.#world.schedule(delayUs, EventKind.strike, voter.slot, 1, 0, undefined)
  }

  /** Often at once, so that nothing which the leader has just sent arrives anywhere. */
  #maybeStrike(slot: number): void {
    if (!this.#strikes.chance(this.#profile.nemesis.strike)) return
    const delayUs = 1 + this.#strikes.below(1 + this.#strikes.pick([0, 0, 1, 3]) * this.#hopUs)
    this.#world.schedule(delayUs, EventKind.strike, slot, 0, 0, undefined)
  }

  /** @param brief - the victim dies and is back at once */
  strike(slot: number, brief: boolean): void {
    const node = this.#nodes[slot] as SimActor
    if (this.#stopped || !node.up) return
    this.stats.strikes++
    if (brief) {
      this.#crash(node, this.#strikes, this.#hopUs)
      return
    }
    const kind = this.#strikes.below(10)
    if (kind < 5) this.#crash(node, this.#strikes)
    else if (kind < 9) this.#isolate(slot, this.#strikes)
    else this.#pause(node, this.#strikes)
  }

  /** No fault from now on; what is broken is repaired: everybody up, awake and connected. */
  stop(): void {
    this.#stopped = true
    this.#overload.stop()
    this.#network.unblockAll()
    this.#history.note(this.#world.nowUs, TraceCode.heal, -1, 0, 0, 'for good')
    for (const node of this.#nodes) {
      if (!node.up) node.start()
      else if (node.paused) node.resume()
      for (const peer of this.#nodes) if (peer !== node) this.#hint(peer.slot, node.slot, true)
    }
    if (this.#profile.standing.healthEveryUs > 0) this.#spoilLeader()
  }

  /** Everybody is well but who leads: it is to be seen that another takes over. */
  #spoilLeader(): void {
    const leader = this.#whomToAsk(this.#healths)
    for (const node of this.#nodes) node.feels?.(node === leader ? 'unfit' : 'good')
  }

  // ---- processes

  #crashSome(prng: Prng): void {
    const victims = prng.chance(this.#profile.nemesis.massCrash) ? prng.between(2, this.#nodes.length) : 1
    const order = prng.shuffle(this.#nodes.slice())
    for (const node of order.slice(0, victims)) this.#crash(node, prng)
  }

  #crash(node: SimActor, prng: Prng, meanDownUs = this.#profile.nemesis.downUs): void {
    if (!node.up) return
    this.stats.crashes++
    node.crash()
    for (const peer of this.#nodes) if (peer !== node) this.#hint(peer.slot, node.slot, false)
    const downUs = 1 + prng.exponential(meanDownUs)
    this.#world.schedule(downUs, EventKind.restart, node.slot, node.boot, 0, undefined)
  }

  /** A write of the node failed. Somebody makes room, or replaces the disk, and starts it again. */
  diskFailed(slot: number): void {
    this.stats.diskFailures++
    this.#crash(this.#nodes[slot] as SimActor, this.#failures)
  }

  restart(slot: number, boot: number): void {
    const node = this.#nodes[slot] as SimActor
    if (this.#stopped || node.up || node.boot !== boot) return
    node.start()
    for (const peer of this.#nodes) if (peer !== node) this.#hint(peer.slot, slot, true)
    if (this.#profile.standing.upgrade > 0) this.#greetAll(slot)
  }

  #pause(node: SimActor, prng: Prng): void {
    if (!node.up || node.paused) return
    this.stats.pauses++
    this.#history.note(this.#world.nowUs, TraceCode.pause, node.slot, 0, 0, undefined)
    node.pause()
    const pauseUs = 1 + prng.exponential(this.#profile.nemesis.pauseUs)
    this.#world.schedule(pauseUs, EventKind.resume, node.slot, node.boot, 0, undefined)
  }

  resume(slot: number, boot: number): void {
    const node = this.#nodes[slot] as SimActor
    if (!node.paused || node.boot !== boot) return
    this.#history.note(this.#world.nowUs, TraceCode.resume, slot, 0, 0, undefined)
    node.resume()
  }

  // ---- network

  #hint(slot: number, peer: number, up: boolean): void {
    if (!this.#profile.network.hints) return
    const node = this.#nodes[slot] as SimActor
    if (!node.up) return
    const delayUs = 1 + this.#hints.exponential(2000)
    this.#world.schedule(delayUs, EventKind.peerHint, slot, node.boot, up ? 1 : 0, (this.#nodes[peer] as SimActor).id)
  }

  #block(from: number, to: number): void {
    if (from === to || this.#network.isBlocked(from, to)) return
    this.#network.block(from, to)
    this.#hint(to, from, false)
    this.#hint(from, to, false)
  }

  /**
   * Cuts a node off; now and then in one direction only. It is alone, or with anybody, or with the smallest majority that it
   * knows: a quorum that is as little as it can be, and everybody else is free to be another.
   */
  #isolate(slot: number, prng: Prng): void {
    const shape = prng.below(4)
    if (prng.below(2) === 0) this.#network.unblockAll()
    this.#cutBegins(slot, shape)
    const others = prng.shuffle(this.#nodes.map((node) => node.slot).filter((other) => other !== slot))
    let inside: number[] = []
    const company = prng.below(3)
    if (company === 1) inside = others.slice(0, prng.below(others.length))
    else if (company === 2) inside = this.#smallestMajority(slot, others)
    for (const from of [slot, ...inside]) {
      for (const to of others) {
        if (inside.includes(to)) continue
        if (shape !== 1) this.#block(from, to)
        if (shape !== 2) this.#block(to, from)
      }
    }
    this.#scheduleHeal(prng)
    this.#insist(slot)
  }

  /** Clients of a leader that was cut off may go on writing, and ask it for a change of members: a long tail that nobody else has. */
  #insist(slot: number): void {
    const node = this.#nodes[slot] as SimActor
    if (node.view.role !== 'leader' || !this.#insistence.chance(this.#profile.nemesis.insistence)) return
    this.#onLeaderCut?.(slot)
    const delayUs = 1 + this.#insistence.below(2 * this.#hopUs)
    this.#world.schedule(delayUs, EventKind.nemesis, slot, Fault.churnAtOnce, 0, undefined)
  }

  /** Others enough to make up a majority, with the node at `slot`, of the voters that it knows. */
  #smallestMajority(slot: number, others: readonly number[]): number[] {
    const { voters } = (this.#nodes[slot] as SimActor).view.log.config(0, this.#panel.decode)
    const known = others.filter((other) => voters.includes((this.#nodes[other] as SimActor).id))
    return known.slice(0, Math.floor(voters.length / 2))
  }

  #partition(prng: Prng): void {
    this.stats.partitions++
    const order = prng.shuffle(this.#nodes.map((node) => node.slot))
    const shape = prng.below(6)
    // A cut on top of another makes shapes that no single one has.
    if (prng.below(3) > 0) this.#network.unblockAll()
    if (shape === 0) {
      this.#isolate(order[0] as number, prng)
      return
    }
    this.#cutBegins(-1, shape)
    const half = shape === 1 ? Math.floor(order.length / 2) : prng.between(1, order.length - 1)
    order.forEach((from, i) => {
      order.forEach((to, j) => {
        const sameSide = i < half === j < half
        // 1, 2: two sides. 3: two sides and one node that sees both (T21). 4: a ring. 5: every direction by itself.
        if ((shape === 1 || shape === 2) && !sameSide) this.#block(from, to)
        if (shape === 3 && !sameSide && i !== 0 && j !== 0) this.#block(from, to)
        if (shape === 4 && (j - i + order.length) % order.length !== 1 && (i - j + order.length) % order.length !== 1) {
          this.#block(from, to)
        }
        if (shape === 5 && prng.below(3) === 0) this.#block(from, to)
      })
    })
    this.#scheduleHeal(prng)
  }

  #cutBegins(slot: number, shape: number): void {
    this.#cut++
    this.#history.note(this.#world.nowUs, TraceCode.cut, slot, shape, this.#cut, undefined)
  }

  #scheduleHeal(prng: Prng): void {
    const delayUs = 1 + prng.exponential(this.#profile.nemesis.partitionUs)
    this.#world.schedule(delayUs, EventKind.heal, -1, this.#cut, 0, undefined)
  }

  heal(cut: number): void {
    if (this.#stopped || cut !== this.#cut) return
    this.#history.note(this.#world.nowUs, TraceCode.heal, -1, cut, 0, undefined)
    for (const { slot: from } of this.#nodes) {
      for (const { slot: to } of this.#nodes) if (this.#network.isBlocked(from, to)) this.#hint(to, from, true)
    }
    this.#network.unblockAll()
  }

  // ---- membership and leadership

  /** Whoever leads in the latest term, or anybody. Now and then anybody on purpose: an old leader, a follower, a removed node. */
  #whomToAsk(prng: Prng): SimActor {
    let found: SimActor | undefined
    for (const node of this.#nodes) {
      const { view } = node
      if (
        view.alive &&
        view.role === 'leader' &&
        (found === undefined || found.view.hardState.term < view.hardState.term)
      )
        found = node
    }
    return found === undefined || prng.below(8) === 0 ? prng.pick(this.#nodes) : found
  }

  /** @param oneVoter - a change of exactly one voter, which needs no joint configuration */
  #askForChange(node: SimActor, prng: Prng, oneVoter: boolean): void {
    if (!node.up) return
    const present = node.view.log.config(0, this.#panel.decode)
    const target = this.#drawMembers(present, prng, oneVoter)
    if (this.#tooOld(present, target)) return
    this.stats.changes++
    this.#history.note(this.#world.nowUs, TraceCode.change, node.slot, 0, 0, JSON.stringify(target))
    node.changeMembers(target.voters, target.learners, () => {})
    if (node.view.role === 'leader') this.#maybeStrike(node.slot)
  }

  /** Nobody adds a node of a version that the others may have left behind: it could only halt. */
  #tooOld(present: ClusterConfig, target: { readonly voters: NodeId[]; readonly learners: NodeId[] }): boolean {
    const known = membersOf(present)
    const added = [...target.voters, ...target.learners].filter((id) => !known.includes(id))
    const newest = Math.max(...this.#nodes.map(({ view }) => view.version))
    return this.#nodes.some(({ id, view }) => added.includes(id) && view.version < newest)
  }

  /** A legal membership, most often one step away from the present one, sometimes anything. */
  #drawMembers(config: ClusterConfig, prng: Prng, oneVoter: boolean): { voters: NodeId[]; learners: NodeId[] } {
    const all = this.#nodes.map((node) => node.id)
    const voters = config.voters.slice()
    let learners = config.learners.slice()
    const outside = all.filter((id) => !voters.includes(id) && !learners.includes(id))
    const leave = (id: NodeId): void => void voters.splice(voters.indexOf(id), 1)
    const move = oneVoter ? prng.pick([2, 3]) : prng.below(10)
    if (move === 0 && outside.length > 0) learners.push(prng.pick(outside))
    else if (move === 1 && learners.length > 0) voters.push(...learners.splice(prng.below(learners.length), 1))
    else if ((move === 2 || move === 8) && outside.length > 0) voters.push(prng.pick(outside))
    else if ((move === 3 || move === 9) && voters.length > 1) leave(prng.pick(voters))
    else if (move === 4 && voters.length > 1) {
      const demoted = prng.pick(voters)
      leave(demoted)
      learners.push(demoted)
    } else if (move === 5 && voters.length > 0 && outside.length > 0) {
      leave(prng.pick(voters))
      voters.push(prng.pick(outside))
    } else if (move === 6 || move === 7) {
      const order = prng.shuffle(all.slice())
      const count = prng.between(1, all.length)
      voters.splice(0, voters.length, ...order.slice(0, count))
      learners = order.slice(count).filter(() => prng.below(3) === 0)
    }
    if (voters.length === 0) voters.push(prng.pick(all))
    return { voters: voters.sort(), learners: learners.filter((id) => !voters.includes(id)).sort() }
  }

  #transfer(prng: Prng): void {
    const node = this.#whomToAsk(prng)
    if (!node.up) return
    this.stats.transfers++
    const to = prng.below(2) === 0 ? undefined : prng.pick(this.#nodes).id
    this.#history.note(this.#world.nowUs, TraceCode.transfer, node.slot, 0, 0, to)
    node.transfer(to, () => {})
    // Who hands over and then hears nothing goes on as if it led, and as if it held a lease.
    if (this.#profile.standing.leaseMs > 0 && this.#leavers.below(2) > 0) this.#isolateSoon(node.slot)
  }
}
