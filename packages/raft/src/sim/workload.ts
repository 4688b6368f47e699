/**
 * The clients: writes with payloads that exist once, and linearizable reads, sent to whoever is believed to lead and now and then to anybody. They
 * retry nothing, so that every outcome can be judged by itself, except for those that write in sessions (`sessions.ts`). A write goes to one of a few registers, a read asks for one. Called by `simulate.ts`; judged by `ClientPromises` and `Linearizability`.
 */

import type { SimActor } from './actor.ts'
import { registerOf } from './applier.ts'
import { type History, TraceCode } from './history.ts'
import { type Linearizability, type Operation, REGISTERS } from './judges/linearizable.ts'
import type { Prng } from './prng.ts'
import { type SessionProfile, type SessionWrite, SessionWriters } from './sessions.ts'
import type { StandingProfile } from './standing.ts'
import type { Outcome, Settle } from './surroundings.ts'
import type { WorkloadProfile } from './swarm.ts'
import { EventKind, type World } from './world.ts'

export interface WorkloadStats {
  proposed: number
  acknowledged: number
  lost: number
  refused: number
  unknown: number
  reads: number
  readsServed: number
  /** Of them by lease, or meant to be. */
  leaseReads: number
}

const Job = { propose: 0, read: 1, leaseRead: 2, session: 3, again: 4, readAtStart: 5 } as const

export class Workload {
  readonly stats: WorkloadStats = {
    proposed: 0,
    acknowledged: 0,
    lost: 0,
    refused: 0,
    unknown: 0,
    reads: 0,
    readsServed: 0,
    leaseReads: 0
  }
  readonly #world: World
  readonly #history: History
  readonly #nodes: readonly SimActor[]
  readonly #profile: WorkloadProfile
  readonly #standing: StandingProfile | undefined
  readonly #writes: Prng
  readonly #reads: Prng
  #believed = 0
  #serial = 0
  #stopped = false
  readonly #registers: Linearizability
  /** Which register a read asks for. */
  readonly #asked: Prng
  readonly #leaseReads: Prng
  readonly #atStart: Prng
  readonly #insisting: Prng
  readonly #sessions: Prng
  readonly #writers: SessionWriters | undefined

  constructor(
    world: World,
    history: History,
    nodes: readonly SimActor[],
    registers: Linearizability,
    profile: WorkloadProfile,
    prng: Prng,
    standing?: StandingProfile,
    sessions?: SessionProfile
  ) {
    this.#world = world
    this.#history = history
    this.#nodes = nodes
    this.#profile = profile
    this.#standing = standing
    this.#writes = prng.fork('writes')
    this.#reads = prng.fork('reads')
    this.#registers = registers
    this.#asked = prng.fork('registers')
    this.#leaseReads = prng.fork('lease reads')
    this.#atStart = prng.fork('reads at start')
    this.#insisting = prng.fork('insisting')
    this.#sessions = prng.fork('sessions')
    this.#writers = sessions && this.#writersIn(sessions)
  }

  start(): void {
    this.#scheduleNext(Job.propose, this.#profile.meanProposalUs, this.#writes)
    this.#scheduleNext(Job.read, this.#profile.meanReadUs, this.#reads)
    this.#scheduleNext(Job.leaseRead, this.#standing?.meanLeaseReadUs ?? 0, this.#leaseReads)
    if (this.#writers !== undefined) this.#scheduleNext(Job.session, this.#profile.meanProposalUs, this.#sessions)
  }

  #writersIn(profile: SessionProfile): SessionWriters {
    return new SessionWriters({
      profile,
      prng: this.#sessions,
      registers: this.#registers,
      whom: (prng) => this.#whom(prng),
      later: (delayUs, write) => {
        this.#world.schedule(delayUs, EventKind.workload, -1, Job.again, 0, write)
      },
      nextSerial: () => ++this.#serial,
      registerOf
    })
  }

  stop(): void {
    this.#stopped = true
  }

  /** A node took the lead: most clients hear of it. */
  leaderSeen(slot: number): void {
    this.#believed = slot
  }

  /** @param subject - what the job is about, where there are many of its kind */
  act(job: number, subject?: unknown): void {
    if (this.#stopped) return
    if (job === Job.propose) {
      this.#propose()
      this.#scheduleNext(Job.propose, this.#profile.meanProposalUs, this.#writes)
    } else if (job === Job.read) {
      this.#read()
      this.#scheduleNext(Job.read, this.#profile.meanReadUs, this.#reads)
    } else if (job === Job.session) {
      this.#writers?.act()
      this.#scheduleNext(Job.session, this.#profile.meanProposalUs, this.#sessions)
    } else if (job === Job.again) {
      this.#writers?.again(subject as SessionWrite)
    } else if (job === Job.readAtStart) {
      const node = this.#nodes[subject as number] as SimActor
      this.#readFrom(node, this.#atStart.below(REGISTERS), (at, settle) => at.read(settle))
    } else {
      this.#leaseRead()
      this.#scheduleNext(Job.leaseRead, this.#standing?.meanLeaseReadUs ?? 0, this.#leaseReads)
    }
  }

  /** Commands that exist once, each with this many bytes beyond its serial number, as one proposal. */
  write(node: SimActor, extraBytes: readonly number[], settle: (outcome: Outcome) => void): void {
    const calls: Operation[] = []
    const payloads: Uint8Array[] = []
    for (const extra of extraBytes) {
      const serial = ++this.#serial
      const bytes = new Uint8Array(4 + extra)
      bytes[0] = serial
      bytes[1] = serial >>> 8
      bytes[2] = serial >>> 16
      bytes[3] = serial >>> 24
      payloads.push(bytes)
      calls.push(this.#registers.called(registerOf(serial), serial))
    }
    node.propose(payloads, (outcome) => {
      if (outcome.type === 'acknowledged') for (const call of calls) this.#registers.answered(call)
      else if (outcome.type === 'refused') for (const call of calls) call.failed = true
      // The place of the last command went to another one; of those before it nothing is known.
      else if (outcome.type === 'lost') (calls[calls.length - 1] as Operation).failed = true
      settle(outcome)
    })
  }

  #scheduleNext(job: number, mean: number, prng: Prng): void {
    if (mean > 0) this.#world.schedule(1 + prng.exponential(mean), EventKind.workload, -1, job, 0, undefined)
  }

  #whom(prng: Prng): SimActor {
    return (prng.chance(this.#profile.astray) ? prng.pick(this.#nodes) : this.#nodes[this.#believed]) as SimActor
  }

  /** Those who were waiting for the node read from it at once. */
  nodeStarted(slot: number): void {
    if (this.#stopped || this.#profile.readsAtStart === 0) return
    const count = this.#atStart.below(this.#profile.readsAtStart + 1)
    for (let i = 0; i < count; i++) {
      this.#world.schedule(1 + this.#atStart.exponential(10_000), EventKind.workload, slot, Job.readAtStart, 0, slot)
    }
  }

  /** A node's clients write a good deal at once, whether or not it can do anything with it. */
  insist(slot: number): void {
    if (this.#stopped) return
    const count = this.#insisting.pick([5, 20, 80])
    for (let i = 0; i < count; i++) this.#proposeTo(this.#nodes[slot] as SimActor, this.#insisting)
  }

  #propose(): void {
    this.#proposeTo(this.#whom(this.#writes), this.#writes)
  }

  #proposeTo(node: SimActor, prng: Prng): void {
    const count = prng.between(1, this.#profile.maxBatch)
    const extraBytes: number[] = []
    for (let i = 0; i < count; i++) extraBytes.push(prng.below(this.#profile.maxPayloadBytes))
    this.stats.proposed++
    this.write(node, extraBytes, (outcome) => this.#written(outcome))
  }

  #written(outcome: Outcome): void {
    if (outcome.type === 'acknowledged') this.stats.acknowledged++
    else if (outcome.type === 'lost') this.stats.lost++
    else if (outcome.type === 'refused') {
      this.stats.refused++
      const slot = this.#nodes.findIndex((node) => node.id === outcome.leader)
      if (slot >= 0) this.#believed = slot
    } else this.stats.unknown++
  }

  #read(): void {
    this.#readFrom(this.#whom(this.#reads), this.#asked.below(REGISTERS), (node, settle) => node.read(settle))
  }

  /** From anybody who believes that it leads: one that was replaced has clients still. */
  #leaseRead(): void {
    const prng = this.#leaseReads
    const register = prng.below(REGISTERS)
    const leaders = this.#nodes.filter(({ up, view }) => up && view.role === 'leader')
    if (leaders.length === 0) return
    this.stats.leaseReads++
    this.#readFrom(prng.pick(leaders), register, (node, settle) => {
      if (node.leaseRead === undefined) node.read(settle)
      else node.leaseRead(settle)
    })
  }

  #readFrom(node: SimActor, register: number, read: (node: SimActor, settle: Settle) => void): void {
    this.stats.reads++
    this.#history.note(this.#world.nowUs, TraceCode.read, node.slot, 0, 0, undefined)
    const call = this.#registers.called(register, undefined)
    read(node, (outcome) => {
      if (outcome.type !== 'read') return
      this.stats.readsServed++
      this.#registers.answered(call, outcome.registers[register])
    })
  }
}
