/**
 * The clients: writes with payloads that exist once, and linearizable reads, sent to whoever is believed to lead and now and then to anybody. They
 * retry nothing, so that every outcome can be judged by itself. Called by `simulate.ts`; what they are promised is judged by `ClientPromises`.
 */

import { type History, TraceCode } from './history.ts'
import type { Outcome, SimNode } from './node.ts'
import type { Prng } from './prng.ts'
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
}

const Job = { propose: 0, read: 1 } as const

export class Workload {
  readonly stats: WorkloadStats = {
    proposed: 0,
    acknowledged: 0,
    lost: 0,
    refused: 0,
    unknown: 0,
    reads: 0,
    readsServed: 0
  }
  readonly #world: World
  readonly #history: History
  readonly #nodes: readonly SimNode[]
  readonly #profile: WorkloadProfile
  readonly #writes: Prng
  readonly #reads: Prng
  #believed = 0
  #serial = 0
  #stopped = false
  readonly #settleWrite: (outcome: Outcome) => void
  readonly #settleRead: (outcome: Outcome) => void

  constructor(world: World, history: History, nodes: readonly SimNode[], profile: WorkloadProfile, prng: Prng) {
    this.#world = world
    this.#history = history
    this.#nodes = nodes
    this.#profile = profile
    this.#writes = prng.fork('writes')
    this.#reads = prng.fork('reads')
    this.#settleWrite = (outcome) => {
      if (outcome.type === 'acknowledged') this.stats.acknowledged++
      else if (outcome.type === 'lost') this.stats.lost++
      else if (outcome.type === 'refused') {
        this.stats.refused++
        const slot = this.#nodes.findIndex((node) => node.id === outcome.leader)
        if (slot >= 0) this.#believed = slot
      } else this.stats.unknown++
    }
    this.#settleRead = (outcome) => {
      if (outcome.type === 'read') this.stats.readsServed++
    }
  }

  start(): void {
    this.#scheduleNext(Job.propose, this.#profile.meanProposalUs, this.#writes)
    this.#scheduleNext(Job.read, this.#profile.meanReadUs, this.#reads)
  }

  stop(): void {
    this.#stopped = true
  }

  /** A node took the lead: most clients hear of it. */
  leaderSeen(slot: number): void {
    this.#believed = slot
  }

  act(job: number): void {
    if (this.#stopped) return
    if (job === Job.propose) {
      this.#propose()
      this.#scheduleNext(Job.propose, this.#profile.meanProposalUs, this.#writes)
    } else {
      this.#read()
      this.#scheduleNext(Job.read, this.#profile.meanReadUs, this.#reads)
    }
  }

  /** A payload that exists once. */
  payload(extraBytes: number): Uint8Array {
    const serial = ++this.#serial
    const bytes = new Uint8Array(4 + extraBytes)
    bytes[0] = serial
    bytes[1] = serial >>> 8
    bytes[2] = serial >>> 16
    bytes[3] = serial >>> 24
    return bytes
  }

  #scheduleNext(job: number, mean: number, prng: Prng): void {
    if (mean > 0) this.#world.schedule(1 + prng.exponential(mean), EventKind.workload, -1, job, 0, undefined)
  }

  #whom(prng: Prng): SimNode {
    return (prng.below(6) === 0 ? prng.pick(this.#nodes) : this.#nodes[this.#believed]) as SimNode
  }

  #propose(): void {
    const prng = this.#writes
    const node = this.#whom(prng)
    const count = prng.between(1, this.#profile.maxBatch)
    const payloads: Uint8Array[] = []
    for (let i = 0; i < count; i++) payloads.push(this.payload(prng.below(this.#profile.maxPayloadBytes)))
    this.stats.proposed++
    node.propose(payloads, this.#settleWrite)
  }

  #read(): void {
    const node = this.#whom(this.#reads)
    this.stats.reads++
    this.#history.note(this.#world.nowUs, TraceCode.read, node.slot, 0, 0, undefined)
    node.read(this.#settleRead)
  }
}
