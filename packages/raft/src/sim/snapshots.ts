/**
 * Snapshots of one node, as the driver makes and fetches them: of the state as it stands, or from a peer's disk; either takes a while, and
 * whatever they rest on may be gone by then. Called by `node.ts`.
 */

import type { LogBase, NodeId } from '../core/types.ts'
import type { SnapshotImage } from './disk.ts'
import { TraceCode } from './history.ts'
import { Violation } from './judges/violation.ts'
import type { SimNode } from './node.ts'
import type { Prng } from './prng.ts'
import type { NodeSurroundings } from './surroundings.ts'
import { EventKind } from './world.ts'

export interface Fetch {
  readonly from: number
  readonly base: LogBase
}

export class NodeSnapshots {
  readonly #node: SimNode
  readonly #prng: Prng
  readonly #transfers: Prng
  readonly #around: NodeSurroundings
  #making = false
  #fetch: Fetch | undefined

  /** @param prng - the node's own */
  constructor(node: SimNode, prng: Prng, around: NodeSurroundings) {
    this.#node = node
    this.#prng = prng
    this.#transfers = prng.fork('transfers')
    this.#around = around
  }

  /** The node died. */
  crashed(): void {
    this.#making = false
    this.#fetch = undefined
  }

  made(snapshot: SnapshotImage): void {
    this.#node.disk.saveSnapshot(snapshot)
    this.#node.whenAwake(() => {
      this.#making = false
      this.#node.step({ type: 'snapshot-ready', base: snapshot.base })
    })
  }

  fetched(breaks: boolean, fetch: Fetch): void {
    if (this.#fetch !== fetch) return
    this.#fetch = undefined
    const { network, nodes } = this.#around
    const peer = nodes[fetch.from] as SimNode
    const reachable = peer.core !== undefined && !network.isBlocked(fetch.from, this.#node.slot)
    const found = peer.disk.image.snapshots.find(
      ({ base }) => base.index === fetch.base.index && base.chain === fetch.base.chain
    )
    if (!reachable || found === undefined || breaks) {
      this.#node.view.installing = false
      this.#node.step({ type: 'snapshot-failed', index: fetch.base.index })
      return
    }
    this.#node.disk.enqueue({ type: 'install', snapshot: found })
    this.#node.beginWrite()
  }

  /** Names the newest snapshot if the log continues it; otherwise makes one of the state as it stands. */
  offer(): void {
    if (this.#making || this.#node.core === undefined) return
    const { world, profile, history } = this.#around
    const newest = this.#node.disk.image.snapshots[this.#node.disk.image.snapshots.length - 1]
    let snapshot: SnapshotImage | undefined = newest
    let delayUs = 1
    if (newest === undefined || newest.base.index < this.#node.view.log.base.index) {
      const base = this.#node.core.baseAt(this.#node.applier.state.index)
      if (base === undefined) return
      const { digest, registers, sessions } = this.#node.applier.stored()
      const lost = this.#around.mutations.has('session-not-in-snapshot')
      snapshot = { base, digest, registers, sessions: lost ? undefined : sessions }
      delayUs += this.#prng.exponential(profile.node.meanSnapshotUs)
    }
    if (snapshot === undefined) return
    this.#making = true
    history.note(world.nowUs, TraceCode.snapshot, this.#node.slot, snapshot.base.index, snapshot.base.term, undefined)
    world.schedule(delayUs, EventKind.snapshotDone, this.#node.slot, this.#node.boot, 0, snapshot)
  }

  fetch(from: NodeId, base: LogBase): void {
    const { world, profile, panel } = this.#around
    const slot = panel.slotOf.get(from)
    if (slot === undefined) throw new Violation('send', `n${this.#node.slot} fetches a snapshot from ${from}`)
    const fetch: Fetch = { from: slot, base }
    this.#fetch = fetch
    let delayUs = 1 + this.#prng.exponential(profile.node.meanTransferUs)
    // A transfer that breaks off does so anywhere between its first byte and its last.
    const breaks = this.#transfers.chance(profile.node.transferFailure)
    if (breaks) delayUs = 1 + this.#transfers.below(delayUs)
    world.schedule(delayUs, EventKind.fetchDone, this.#node.slot, this.#node.boot, breaks ? 1 : 0, fetch)
  }
}
