/**
 * Cores that are driven at random: time, messages that are lost, doubled and late, disks and state machines that take their time,
 * snapshots, changes of the membership. No judges: it is for tests that compare what a core does with what something else does.
 */

import { crc32 } from 'node:zlib'
import { EMPTY_CONFIG } from '../../src/core/members.ts'
import { defaultCoreOptions } from '../../src/core/options.ts'
import { Prng } from '../../src/core/prng.ts'
import { createRaftCore } from '../../src/core/raft.ts'
import type { ClusterConfig, CoreOptions, Effect, Envelope, Input, LogBase, RaftCore } from '../../src/core/types.ts'

type Persist = Extract<Effect, { type: 'persist' }>

interface Node {
  readonly id: string
  readonly core: RaftCore
  readonly writes: Persist[]
  applying: number
  /** A snapshot that it was told to fetch. */
  fetching: LogBase | undefined
  needsSnapshot: boolean
}

export const groupChecksum = (bytes: Uint8Array, seed: number): number => crc32(bytes, seed)

/** Small limits, so that a short run meets them all. */
export const tightOptions: CoreOptions = {
  ...defaultCoreOptions,
  maxAppendBytes: 200,
  maxInflightMessages: 4,
  maxUncommittedEntries: 30,
  maxApplyEntries: 8,
  trailingEntries: 3,
  maxLogBytes: 400
}

export class RandomGroup {
  readonly prng: Prng
  readonly nodes: readonly Node[]
  nowMs = 0
  #messages: (Envelope & { readonly from: string })[] = []
  #ticket = 0
  /** Called with each input before the core gets it, and with its effects after. */
  onStep: (id: string, input: Input, nowMs: number, core: RaftCore, step: () => Effect[]) => void = (
    _id,
    _input,
    _nowMs,
    _core,
    step
  ) => void step()

  constructor(seed: number, options: CoreOptions = tightOptions) {
    this.prng = new Prng(seed)
    const voters: ClusterConfig = { voters: ['a', 'b', 'c'], outgoing: [], learners: [] }
    this.nodes = ['a', 'b', 'c', 'd'].map((id, at) => ({
      id,
      core: createRaftCore({
        id,
        options,
        checksum: groupChecksum,
        seed: seed + at,
        hardState: { term: 0, votedFor: undefined },
        base: { index: 0, term: 0, chain: 0, config: id === 'd' ? EMPTY_CONFIG : voters },
        entries: [],
        appliedIndex: 0
      }),
      writes: [],
      applying: 0,
      fetching: undefined,
      needsSnapshot: false
    }))
  }

  /** One thing that happens. */
  act(): void {
    const node = this.#pick(this.nodes)
    const draw = this.#draw(100)
    if (draw < 22) this.#advance()
    else if (draw < 60) this.#deliver()
    else if (draw < 72) this.#finishWrite(node)
    else if (draw < 80) this.step(node, { type: 'applied', index: node.applying })
    else if (draw < 88) this.#ask(node)
    else if (draw < 91) this.step(node, { type: 'compactable', index: node.core.status(this.nowMs).appliedIndex })
    else if (draw < 94) this.#moveSnapshot(node)
    else if (draw < 95) this.step(node, { type: 'peer-down', peer: this.#pick(this.nodes).id })
    else if (draw < 96) this.step(node, { type: 'peer-up', peer: this.#pick(this.nodes).id, featureLevel: 1 })
    else if (draw < 97) this.step(node, { type: 'health', health: this.#pick(['good', 'degraded', 'unfit']) })
    else if (draw < 98) for (const each of this.nodes) this.#finishWrite(each)
    else for (const each of this.nodes) this.step(each, { type: 'tick' })
  }

  step(node: Node, input: Input): void {
    this.onStep(node.id, input, this.nowMs, node.core, () => {
      const effects: Effect[] = []
      node.core.step(input, this.nowMs, effects)
      for (const effect of effects) this.#carryOut(node, effect)
      return effects
    })
  }

  #carryOut(node: Node, effect: Effect): void {
    if (effect.type === 'send') this.#messages.push({ from: node.id, to: effect.to, message: effect.message })
    else if (effect.type === 'persist') node.writes.push(effect)
    else if (effect.type === 'apply') node.applying = effect.entries.at(-1)!.index
    else if (effect.type === 'need-snapshot') node.needsSnapshot = true
    else if (effect.type === 'install-snapshot') node.fetching = effect.base
  }

  #advance(): void {
    this.nowMs += this.prng.between(0, 60)
    for (const node of this.nodes) if (this.#draw(10) > 0) this.step(node, { type: 'tick' })
  }

  #deliver(): void {
    if (this.#messages.length === 0) return
    const at = this.#draw(Math.min(this.#messages.length, 6))
    const { from, to, message } = this.#messages[at]!
    const draw = this.#draw(20)
    if (draw > 0) this.#messages.splice(at, 1)
    if (draw === 1 || this.#messages.length > 200) return
    this.step(this.nodes.find(({ id }) => id === to)!, { type: 'receive', from, message })
  }

  #finishWrite(node: Node): void {
    const done = node.writes.splice(0, 1 + this.#draw(3))
    const last = done.at(-1)
    if (last === undefined) return
    for (const { release } of done) {
      for (const { to, message } of release) this.#messages.push({ from: node.id, to, message })
    }
    this.step(node, { type: 'persisted', seq: last.seq })
  }

  #ask(node: Node): void {
    const ticket = ++this.#ticket
    const draw = this.#draw(20)
    if (draw < 12) {
      const payloads = Array.from({ length: 1 + this.#draw(3) }, () => new Uint8Array(this.#draw(60)).fill(draw))
      this.step(node, { type: 'propose', ticket, payloads })
    } else if (draw < 16) this.step(node, { type: 'read', ticket })
    else if (draw < 17) this.step(node, { type: 'transfer', ticket, to: this.#pick(['a', 'b', undefined]) })
    else {
      const voters = ['a', 'b', 'c'].filter(() => this.#draw(4) > 0)
      const learners = ['d'].filter(() => this.#draw(2) > 0)
      this.step(node, { type: 'change-members', ticket, change: { voters, learners } })
    }
  }

  #moveSnapshot(node: Node): void {
    const base = node.core.baseAt(node.core.status(this.nowMs).appliedIndex)
    if (node.needsSnapshot && base !== undefined) {
      node.needsSnapshot = false
      this.step(node, { type: 'snapshot-ready', base })
    }
    const { fetching } = node
    if (fetching === undefined) return
    node.fetching = undefined
    if (this.#draw(4) === 0) {
      this.step(node, { type: 'snapshot-failed', index: fetching.index })
      return
    }
    while (node.writes.length > 0) this.#finishWrite(node)
    node.applying = fetching.index
    this.step(node, { type: 'snapshot-installed', base: fetching })
  }

  #draw(below: number): number {
    return Math.floor(this.prng.between(0, below))
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#draw(items.length)]!
  }
}
