/**
 * What is on its way between the nodes. A message may arrive late, several times or never, so that once sent it stays; what is on its way only
 * grows, and a state with more of it can do all that one with less can (the nodes and the past being the same). That is what makes the following
 * sound, each of which a plain search leaves out. Used by `search.ts`.
 *
 * 1. *Answers at once.* A message that leaves its receiver just as it was, and at most makes it send, is delivered at once: the state after it can do all that
 *    the state before it could, so nothing is lost by leaving out the latter. The same if what it makes the receiver send has to wait for a write that is
 *    under way, and nothing else changes: that write then only sends more.
 * 2. *What can do nothing more is forgotten.* Answers to a candidate or a leader that no longer is one in that term, since a node is either only once
 *    in a term; answers of a term that is over. A term counts as the receiver's if it is on its disk, or if no crash is left that could take it back.
 * 3. *What was taken in is forgotten.* An AppendEntries of the receiver's own term whose last entry is on its disk, and which leaves it just as it is: no
 *    other node leads in that term, and that leader's log only grows, so as long as the term lasts the entries stay and it goes on doing nothing.
 *    (It could make the receiver stick to its leader again, that it gave up by granting a pre-vote; but to stick means to ignore candidates, which not hearing them does as well.)
 *    Two things may be left for it to do. In a later term it draws an answer that says so: for that, one from that sender in that term is as good as
 *    all, and it is kept. And if the receiver crashes, it brings back the commit index that was known: so one of each such index is kept while a crash is left.
 *    Before its entries are taken in as well, a commit index that the receiver knows already makes no difference, if no crash is left that could take
 *    it back: the message is replaced by the same with none.
 * 4. *What comes too late is forgotten.* A request of a term that the receiver's disk has left draws one answer a term; that is on its way already, by
 *    the first rule. One of each kind, sender and term is kept for later terms, and none if there is no later term within the bounds.
 *
 * 5. *What a leader knows already is forgotten.* A refusal of what it knows the peer to hold (T13), and all but one of the answers that prove no more than it knows:
 *    while it leads in that term, such an answer says that the logs agree where they do.
 *
 * What forgets relies on rules of the core itself. They hold without a bug put back; with one, nothing that is found is wrong, but some ways to it may be missing.
 */

import type { NodeId, Term } from '../../src/core/types.ts'
import type { Flying, NodeState, Nodes, Outcome } from './nodes.ts'

/** What becomes of a message on its way to a node in this state. */
interface Fate {
  /** It can do nothing more. */
  readonly spent: boolean
  /** What does the same from now on, and takes its place. */
  readonly instead: Flying | undefined
  /** What it makes the node send, if it changes nothing there. */
  readonly answer: Outcome | undefined
  /** The same, if the node sends nothing before a write that is under way has ended, and nothing else there changes. */
  readonly promise: Outcome | undefined
  /** All with the same number do the same from now on; 0: it is not known of any other. */
  readonly kind: number
  /** The lowest of a kind is kept. */
  readonly rank: number
}

const SPENT: Fate = { spent: true, instead: undefined, answer: undefined, promise: undefined, kind: 0, rank: 0 }

export class Network {
  readonly #nodes: Nodes
  readonly #maxTerm: Term
  readonly #plain: boolean
  /** By number of the receiver's state, twice: without crashes left, and with; then by message. */
  readonly #fates: Map<number, Fate>[] = []
  readonly #kinds = new Map<string, number>()
  /** Which messages are in the list under way: by number, the round in which they were put there. */
  #listed = new Uint32Array(1024)
  /** By kind: the pass in which one was met, and where it stands among those that are kept. */
  #met = new Uint32Array(1024)
  #metAt = new Uint32Array(1024)
  #round = 0
  #pass = 0
  #list: number[] = []
  #kept: number[] = []

  constructor(nodes: Nodes, maxTerm: Term, plain: boolean) {
    this.#nodes = nodes
    this.#maxTerm = maxTerm
    this.#plain = plain
  }

  /**
   * What is on its way after a step.
   *
   * @param flying - numbers of messages, before it
   * @param changed - which nodes the step changed, as bits by slot; all, if a crash less is left than before
   * @param group - all nodes after it; taken further by what is delivered at once
   * @param answered - called for each message that is delivered at once, and whether what it draws was not on its way before
   * @returns numbers of messages, in a list that holds until the next call
   */
  after(
    flying: ArrayLike<number>,
    sent: readonly Flying[],
    changed: number,
    group: NodeState[],
    crashes: number,
    answered: (flying: Flying, outcome: Outcome, isNew: boolean) => void
  ): readonly number[] {
    this.#round++
    this.#pass++
    this.#list.length = 0
    this.#kept.length = 0
    for (let i = 0; i < flying.length; i++) this.#put(flying[i]!)
    const old = this.#list.length
    for (const { id, message } of sent) if (!message.type.startsWith('pre-vote')) this.#put(id)
    if (this.#plain) return this.#list
    let touched = changed
    for (let i = old; i < this.#list.length; i++) touched |= 1 << this.#nodes.flyingById(this.#list[i]!).to
    // Answers are put at the end of the list while it is gone through.
    for (let i = 0; i < this.#list.length; i++) {
      const id = this.#list[i]!
      const one = this.#nodes.flyingById(id)
      const receiver = 1 << one.to
      if ((touched & receiver) === 0) {
        if (i < old) {
          // What was kept before is kept for the same reasons as long as nothing changes for its receiver.
          this.#kept.push(id)
          continue
        }
        touched |= receiver
        this.#meet(one.to, group, crashes > 0)
      }
      const fate = this.#fate(one, group[one.to]!, crashes > 0)
      if (fate.promise !== undefined) {
        group[one.to] = fate.promise.next
        for (const answer of fate.promise.sent) this.#put(answer.id)
        answered(one, fate.promise, true)
        // What is kept for the receiver is another question now.
        touched |= receiver
        this.#pass++
        this.#kept.length = 0
        i = -1
        continue
      }
      if (fate.answer !== undefined) {
        const count = this.#list.length
        for (const answer of fate.answer.sent) this.#put(answer.id)
        answered(one, fate.answer, this.#list.length > count)
      }
      if (fate.instead !== undefined) this.#put(fate.instead.id)
      if (!fate.spent) this.#keep(id, fate, group, crashes > 0)
    }
    return this.#kept
  }

  #put(id: number): void {
    if (id >= this.#listed.length) this.#listed = doubled(this.#listed, id)
    if (this.#listed[id] === this.#round) return
    this.#listed[id] = this.#round
    this.#list.push(id)
  }

  #keep(id: number, { kind, rank }: Fate, group: readonly NodeState[], crashes: boolean): void {
    if (kind >= this.#met.length) {
      this.#met = doubled(this.#met, kind)
      this.#metAt = doubled(this.#metAt, kind)
    }
    if (kind === 0 || this.#met[kind] !== this.#pass) {
      this.#met[kind] = this.#pass
      this.#metAt[kind] = this.#kept.length
      this.#kept.push(id)
      return
    }
    const at = this.#metAt[kind]!
    const other = this.#nodes.flyingById(this.#kept[at]!)
    if (rank < this.#fate(other, group[other.to]!, crashes).rank) this.#kept[at] = id
  }

  /** Takes note of the kinds among what is kept for a receiver. */
  #meet(to: number, group: readonly NodeState[], crashes: boolean): void {
    for (const [at, id] of this.#kept.entries()) {
      const one = this.#nodes.flyingById(id)
      if (one.to !== to) continue
      const { kind } = this.#fate(one, group[to]!, crashes)
      if (kind === 0) continue
      if (kind >= this.#met.length) {
        this.#met = doubled(this.#met, kind)
        this.#metAt = doubled(this.#metAt, kind)
      }
      this.#met[kind] = this.#pass
      this.#metAt[kind] = at
    }
  }

  #fate(flying: Flying, node: NodeState, crashes: boolean): Fate {
    const at = 2 * node.id + (crashes ? 1 : 0)
    let known = this.#fates[at]
    if (known === undefined) {
      while (this.#fates.length <= at) this.#fates.push(new Map())
      known = this.#fates[at]!
    }
    let fate = known.get(flying.id)
    if (fate === undefined) {
      fate = this.#decide(flying, node, crashes)
      known.set(flying.id, fate)
    }
    return fate
  }

  #decide(flying: Flying, node: NodeState, crashes: boolean): Fate {
    const { from, to, message } = flying
    const { term: durableTerm } = node.disk.hardState
    const term = crashes ? durableTerm : node.term
    if (message.type.endsWith('-response') || message.type === 'timeout-now') {
      const over = message.term < term || (message.term === term && node.term === term && isOver(flying, node))
      if (over) return SPENT
    }
    const outcome = this.#nodes.receive(node, flying)
    const answer = outcome.next === node ? outcome : undefined
    const promise = answer === undefined && outcome.next.bareId === node.bareId ? outcome : undefined
    const live = { spent: false, instead: undefined, answer, promise, kind: 0, rank: 0 }
    if (node.term !== durableTerm) return live
    if (message.type === 'append-entries-response' && message.term === node.term) {
      const peer = node.peers.get(this.#nodes.ids[from] as NodeId)
      if (answer === undefined || peer === undefined || message.index > peer.matchIndex) return live
      if (!message.success) return { ...live, spent: true }
      return { ...live, kind: this.#kind(`${from}>${to} ${message.term} known`), rank: message.index }
    }
    if (answer === undefined && !(message.type === 'append-entries-request' && message.term === durableTerm))
      return live
    const isLast = node.term >= this.#maxTerm
    if (message.type !== 'append-entries-request' && message.type !== 'vote-request') return live
    if (message.term < durableTerm) {
      if (isLast) return { ...live, spent: true }
      return { ...live, kind: this.#kind(`${from}>${to} ${message.term} ${message.type}`), rank: rankOf(flying) }
    }
    if (message.type !== 'append-entries-request' || message.term !== durableTerm) return live
    const end = message.prevIndex + message.entries.length
    const chain = message.entries.at(-1)?.chain ?? message.prevChain
    const isTaken = end === 0 || (node.disk.entries[end - 1]?.chain === chain && node.log[end - 1]?.chain === chain)
    if (!isTaken) return crashes ? live : { ...live, ...this.#asOld(flying, node, end) }
    const known = Math.min(message.commitIndex, end)
    if (answer === undefined) {
      if (known <= node.commitIndex) return live
      return { ...live, kind: this.#kind(`${from}>${to} ${message.term} tells ${known} ${end}`), rank: rankOf(flying) }
    }
    if (isLast && !crashes) return { ...live, spent: true }
    const commit = crashes ? known : '-'
    return { ...live, kind: this.#kind(`${from}>${to} ${message.term} taken ${commit}`), rank: rankOf(flying) }
  }

  /** The same message with the lowest commit index, if a higher one is known already. */
  #asOld({ from, to, message }: Flying, { commitIndex }: NodeState, end: number): Pick<Fate, 'spent' | 'instead'> {
    if (message.type !== 'append-entries-request' || message.commitIndex === 0)
      return { spent: false, instead: undefined }
    if (Math.min(message.commitIndex, end) > commitIndex) return { spent: false, instead: undefined }
    return { spent: true, instead: this.#nodes.flying(from, to, { ...message, commitIndex: 0 }) }
  }

  #kind(text: string): number {
    let kind = this.#kinds.get(text)
    if (kind === undefined) {
      kind = this.#kinds.size + 1
      this.#kinds.set(text, kind)
    }
    return kind
  }
}

/** Whether an answer of the term that the node is in comes when it no longer asks. */
function isOver({ message }: Flying, { role }: NodeState): boolean {
  if (message.type === 'vote-response') return role !== 'candidate'
  return message.type === 'append-entries-response' && role !== 'leader'
}

function rankOf({ message }: Flying): number {
  if (message.type !== 'append-entries-request') return 0
  return (message.prevIndex * 64 + message.entries.length) * 64 + message.commitIndex
}

function doubled(numbers: Uint32Array, past: number): Uint32Array<ArrayBuffer> {
  const more = new Uint32Array(Math.max(numbers.length, past) * 2)
  more.set(numbers)
  return more
}
