/**
 * What the service around a group does for a machine that lost its data (T34, T35): it is a stranger with a new name, is added as a learner, and once it
 * has caught up takes the place of its old name among the voters, by one change. Asks whoever leads, again and again, until it is done.
 *
 * Called by `simulate-full.ts`; stands for the membership of a real service, which decides the same from what peers tell it.
 */

import type { NodeId } from '../../core/types.ts'
import { EventKind, type World } from '../world.ts'
import type { FullNode } from './full-node.ts'

/** So near to the leader's commit index a learner counts as caught up. */
const NEAR_ENTRIES = 10

export class Service {
  readonly #world: World
  readonly #nodes: readonly FullNode[]
  readonly #everyUs: number
  readonly #returning = new Set<number>()
  #asking = false

  constructor(world: World, nodes: readonly FullNode[], electionTimeoutMs: number) {
    this.#world = world
    this.#nodes = nodes
    this.#everyUs = electionTimeoutMs * 1000
  }

  /** Whether every machine stands in the configuration under its present name. */
  get idle(): boolean {
    return this.#returning.size === 0
  }

  start(): void {
    this.#world.schedule(this.#everyUs, EventKind.call, -1, 0, 0, () => {
      this.#look()
      this.start()
    })
  }

  returns(slot: number): void {
    this.#returning.add(slot)
  }

  #look(): void {
    const leader = this.#leader()
    const status = leader?.status()
    if (leader === undefined || status?.role !== 'leader' || this.#asking) return
    const { config, configCommitted, peers, commitIndex } = status
    if (config.outgoing.length > 0 || !configCommitted) return
    for (const slot of this.#returning) {
      const { id } = this.#nodes[slot] as FullNode
      const stale = (name: NodeId): boolean => name !== id && (name === `n${slot}` || name.startsWith(`n${slot}#`))
      const others = config.learners.filter((name) => !stale(name) && name !== id)
      if (config.voters.includes(id)) {
        if (![...config.voters, ...config.learners].some(stale)) {
          this.#returning.delete(slot)
          continue
        }
        this.#change(
          leader,
          config.voters.filter((name) => !stale(name)),
          others
        )
        return
      }
      if (!config.learners.includes(id)) {
        this.#change(leader, config.voters, [...others, id])
        return
      }
      const match = peers.find((peer) => peer.id === id)?.matchIndex ?? 0
      if (match === 0 || match + NEAR_ENTRIES < commitIndex) continue
      this.#change(leader, [...config.voters.filter((name) => !stale(name)), id], others)
      return
    }
  }

  #leader(): FullNode | undefined {
    let found: FullNode | undefined
    for (const node of this.#nodes) {
      if (!node.up || node.view.role !== 'leader') continue
      if (found === undefined || found.view.hardState.term < node.view.hardState.term) found = node
    }
    return found
  }

  #change(leader: FullNode, voters: readonly NodeId[], learners: readonly NodeId[]): void {
    this.#asking = true
    leader.changeMembers([...voters].sort(), [...learners].sort(), () => {
      this.#asking = false
    })
  }
}
