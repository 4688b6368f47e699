/**
 * A node's state machine and the clients who wait for it: applies committed entries in batches, flushes the state, and answers proposals and
 * reads once the state has come to them. The state is an index and a digest of every command in order, which is all that judges need.
 *
 * Called by `node.ts`, as the real driver calls its applier; everything takes time, and a crash forgets all but the last flush.
 */

import { payloadOf } from '../core/record.ts'
import { type Entry, EntryKind, type Index, type Term } from '../core/types.ts'
import { SessionTable } from '../sessions/session-table.ts'
import type { StateImage } from './disk.ts'
import { TraceCode } from './history.ts'
import { REGISTERS } from './judges/linearizable.ts'
import type { SimNode } from './node.ts'
import { mix32, type Prng } from './prng.ts'
import { serialOf, sessionPart } from './sessions.ts'
import type { NodeSurroundings, Settle } from './surroundings.ts'
import { EventKind } from './world.ts'

interface PendingProposal {
  readonly last: Index
  readonly term: Term
  readonly settle: Settle
}

interface PendingRead {
  readonly index: Index
  readonly settle: Settle
}

/** States are compared at multiples of this index, in the seeds that compare. */
const DIGEST_EVERY_ENTRIES = 8

/** A state breaks at one batch in so many. */
const BREAKS_ONE_IN = 30

/** Which register a command writes its serial number to. */
export function registerOf(serial: number): number {
  return serial % REGISTERS
}

export class SimApplier {
  /** The state, in memory. */
  state: StateImage
  readonly #node: SimNode
  readonly #prng: Prng
  readonly #around: NodeSurroundings
  readonly #queue: Entry[] = []
  /** Entries of the batch under way; 0 if none is. */
  #applying = 0
  #flushing = false
  #flushedIndex: Index = 0
  /** Of the state, in the seeds whose clients have sessions. */
  #sessions: SessionTable | undefined
  /** Of the batch under way: indexes of commands that were refused by their session. */
  readonly #refused = new Set<Index>()
  #proposals: PendingProposal[] = []
  #reads: PendingRead[] = []
  readonly #breaks: Prng
  #broke = false

  constructor(node: SimNode, prng: Prng, around: NodeSurroundings) {
    this.#node = node
    this.#prng = prng
    this.#around = around
    this.state = node.disk.image.state
    this.#breaks = prng.fork('breaks')
  }

  /** The node starts: the state is that of the last flush. */
  started(): void {
    this.state = this.#node.disk.image.state
    this.#flushedIndex = this.state.index
    this.#loadSessions()
  }

  #loadSessions(): void {
    this.#node.view.broken = this.state.broken === true
    const { sessions } = this.#around.profile.workload
    this.#sessions = sessions && SessionTable.of(this.state.sessions ?? [], sessions.limits)
  }

  /** The node died; answers those who wait in vain. */
  crashed(): readonly { readonly settle: Settle }[] {
    const waiting = [...this.#proposals, ...this.#reads]
    this.#queue.length = 0
    this.#applying = 0
    this.#flushing = false
    this.#proposals = []
    this.#reads = []
    return waiting
  }

  /** The state as it is written: with what is kept of sessions, which is not put together at every step. */
  stored(): StateImage {
    return this.#sessions === undefined ? this.state : { ...this.state, sessions: [...this.#sessions.rows()] }
  }

  enqueue(entries: readonly Entry[]): void {
    for (const entry of entries) this.#queue.push(entry)
  }

  /** Begins the next batch if none is under way and something waits. */
  beginApply(): void {
    if (this.#applying > 0 || this.#queue.length === 0) return
    this.#applying = 1 + this.#prng.below(this.#queue.length)
    if (this.#around.profile.node.digests) {
      const untilDigest = DIGEST_EVERY_ENTRIES - (this.state.index % DIGEST_EVERY_ENTRIES)
      this.#applying = Math.min(this.#applying, untilDigest)
    }
    const delayUs = 1 + this.#prng.exponential(this.#around.profile.node.meanApplyUs)
    this.#around.world.schedule(delayUs, EventKind.applyDone, this.#node.slot, this.#node.boot, 0, undefined)
  }

  finishApply(): void {
    const { world, history, panel } = this.#around
    const batch = this.#queue.splice(0, this.#applying)
    this.#applying = 0
    // A snapshot may have replaced the state, and emptied the queue, while this batch was under way.
    if (batch.length > 0) {
      let { index, digest } = this.state
      const registers = this.state.registers.slice()
      for (const entry of batch) {
        index = entry.index
        digest = mix32(digest ^ entry.index)
        if (entry.kind !== EntryKind.command) continue
        const payload = payloadOf(entry)
        const serial = serialOf(payload)
        digest = mix32(digest ^ serial)
        if (this.#applies(index, payload)) registers[registerOf(serial)] = serial
        else digest = mix32(digest)
      }
      const broken = this.#breaksNow() || this.state.broken === true
      this.state = { index, digest, registers, broken }
      this.#node.view.broken = broken
      history.note(world.nowUs, TraceCode.applied, this.#node.slot, index, digest, undefined)
      panel.stateStands(this.#node.view, this.state)
      this.#settleProposals(batch)
      this.#refused.clear()
      this.#serveReads()
      this.#node.step({ type: 'applied', index, digest: this.#reported })
      this.#maybeFlush()
    }
    this.beginApply()
  }

  /** Memory or a disk fails, or the application is not as deterministic as it should be: once, on one node. */
  #breaksNow(): boolean {
    if (this.#broke || this.#around.profile.node.brokenSlot !== this.#node.slot) return false
    this.#broke = this.#breaks.below(BREAKS_ONE_IN) === 0
    return this.#broke
  }

  /** The digest as the node sees it, where it tells it. */
  get #reported(): number | undefined {
    const { index, digest, broken } = this.state
    if (!this.#around.profile.node.digests || index % DIGEST_EVERY_ENTRIES !== 0) return undefined
    return (broken === true ? ~digest : digest) >>> 0
  }

  /** Whether the command writes to a register: it may open a session, be there already, or come too late (T44). */
  #applies(index: Index, payload: Uint8Array): boolean {
    const table = this.#sessions
    if (table === undefined) return true
    const { mutations, panel } = this.#around
    const part = sessionPart(payload)
    if (part === undefined) return true
    if (part === 'opens') {
      table.open(index)
      return false
    }
    const admission = table.admit(index, part)
    if (admission.type === 'refused') this.#refused.add(index)
    if (admission.type === 'new') table.record(part, payload.subarray(0, 4))
    const again = admission.type === 'repeated' && mutations.has('session-ignored')
    if (admission.type !== 'new' && !again) return false
    panel.effects.tookEffect(this.#node.slot, part, index)
    return true
  }

  /** The state was replaced by a snapshot's, which is durable. */
  restored(state: StateImage): void {
    this.#queue.length = 0
    this.state = state
    this.#flushedIndex = state.index
    this.#loadSessions()
    this.#around.panel.stateStands(this.#node.view, state)
    this.#settleProposals(undefined)
    this.#serveReads()
  }

  /** A proposal stands in the log up to `last`: answered when the state is there. */
  proposed(last: Index, term: Term, settle: Settle): void {
    this.#proposals.push({ last, term, settle })
  }

  /** A read may be served from `index` on. */
  readable(index: Index, settle: Settle): void {
    this.#reads.push({ index, settle })
    this.#serveReads()
  }

  /** @param batch - what was applied last; undefined if the state jumped */
  #settleProposals(batch: readonly Entry[] | undefined): void {
    const { panel, history, world } = this.#around
    if (!this.#proposals.some(({ last }) => last <= this.state.index)) return
    const waiting: PendingProposal[] = []
    const reached: PendingProposal[] = []
    for (const proposal of this.#proposals) (proposal.last <= this.state.index ? reached : waiting).push(proposal)
    this.#proposals = waiting
    const { slot } = this.#node
    for (const { last, term, settle } of reached) {
      const entry = batch?.[last - (batch[0] as Entry).index]
      if (entry === undefined) settle({ type: 'unknown' })
      else if (entry.term !== term) settle({ type: 'lost' })
      else {
        history.note(world.nowUs, TraceCode.acknowledged, slot, last, term, undefined)
        panel.promises.acknowledged(slot, last, entry.chain)
        settle(this.#refused.has(last) ? { type: 'expired' } : { type: 'acknowledged', index: last, term })
      }
    }
  }

  #serveReads(): void {
    if (!this.#reads.some(({ index }) => index <= this.state.index)) return
    const { promises } = this.#around.panel
    const waiting: PendingRead[] = []
    for (const read of this.#reads) {
      if (read.index > this.state.index) {
        waiting.push(read)
        continue
      }
      if (this.state.broken === true) {
        // What the client is shown is no answer that could be judged.
        read.settle({ type: 'unknown' })
        continue
      }
      promises.readServed(this.state.index)
      read.settle({ type: 'read', index: this.state.index, registers: this.state.registers })
    }
    this.#reads = waiting
  }

  #maybeFlush(): void {
    const { world, profile } = this.#around
    if (this.#flushing || this.state.index - this.#flushedIndex < profile.node.flushEveryEntries) return
    this.#flushing = true
    this.#flushedIndex = this.state.index
    const delayUs = 1 + this.#prng.exponential(profile.disk.meanWriteUs)
    world.schedule(delayUs, EventKind.flushDone, this.#node.slot, this.#node.boot, 0, this.stored())
  }

  finishFlush(index: Index): void {
    this.#flushing = false
    this.#node.step({ type: 'compactable', index })
    this.#maybeFlush()
  }
}
