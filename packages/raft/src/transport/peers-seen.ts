/**
 * What a node remembers of its peers' promises, to know one by it whose disk was put back to an older copy (T35): of each name its
 * last start, the highest term it spoke in, and how much of the log it acknowledged. The transport asks at each hello, and notes each
 * message; the application keeps the table on disk, from time to time and without a sync (`seen-file.ts`), since all it does is to
 * make a rollback visible also where every peer was restarted since.
 *
 * A start is new if its count is higher than any seen, or it is the very start seen last. Two starts with one count are a copy that
 * was put back: the random id tells them apart. Where the count is higher the disk has to hold the term seen, since no term
 * falls; and the entries acknowledged in that same term, since within a term nothing acknowledged is cut. In a later term it may be.
 */

import type { Message } from '../core/messages.ts'
import type { Index, NodeId, Term } from '../core/types.ts'
import type { Life } from './hello.ts'
import { peerOf } from './node-name.ts'

/** Names remembered; the one that was met longest ago is forgotten first. */
const MAX_NAMES = 1024

/** What was seen of one name. */
export interface Seen {
  boot: number
  bootId: string
  /** Highest term of a message that leaves only when that term is on disk. */
  term: Term
  /** The log was acknowledged to this node, as leader of `matchTerm`, up to `matchIndex`. `matchTerm <= term`. */
  matchTerm: Term
  matchIndex: Index
  /** Why nothing more is taken from this name; undefined: it is in good standing. */
  lost: string | undefined
}

export class PeersSeen {
  readonly #seen = new Map<NodeId, Seen>()
  /** Rises with each change that is worth to be written. */
  changeCount = 0

  constructor(records: Iterable<readonly [NodeId, Seen]> = []) {
    for (const [name, seen] of records) this.#seen.set(name, { ...seen })
  }

  /** @returns why a node of this name, started so, cannot be the one seen before; undefined if it can */
  objection(name: NodeId, life: Life): string | undefined {
    const seen = this.#seen.get(name)
    if (seen === undefined) return undefined
    if (seen.lost !== undefined) return seen.lost
    if (life.bootId === seen.bootId) return undefined
    const older = 'its data was put back to an older copy, or it runs twice'
    if (life.boot <= seen.boot) return `start ${life.boot} of ${name} comes after start ${seen.boot} was seen: ${older}`
    if (life.term < seen.term) return `${name} has term ${life.term} on disk, and spoke in term ${seen.term}: ${older}`
    if (life.lastIndex !== undefined && life.term === seen.matchTerm && life.lastIndex < seen.matchIndex) {
      return `${name} has ${life.lastIndex} entries on disk, and acknowledged ${seen.matchIndex} in term ${seen.matchTerm}: ${older}`
    }
    return undefined
  }

  /** A hello to which there is no objection. @returns the record, for `heard` */
  met(name: NodeId, life: Life): Seen {
    const known = this.#seen.get(name)
    const record = known ?? { boot: 0, bootId: '', term: 0, matchTerm: 0, matchIndex: 0, lost: undefined }
    if (record.bootId !== life.bootId) this.changeCount++
    record.boot = life.boot
    record.bootId = life.bootId
    record.term = Math.max(record.term, life.term)
    // To the end of the line.
    this.#seen.delete(name)
    this.#seen.set(name, record)
    for (const oldest of this.#seen.keys()) {
      if (this.#seen.size <= MAX_NAMES) break
      this.#seen.delete(oldest)
    }
    return record
  }

  /** Takes note of what a message promises. */
  heard(record: Seen, message: Message): void {
    switch (message.type) {
      case 'append-entries-response':
        if (message.success && (message.term > record.matchTerm || message.index > record.matchIndex)) {
          if (message.term < record.matchTerm) return
          record.matchTerm = message.term
          record.matchIndex = message.index
          this.changeCount++
        }
        break
      case 'vote-response':
      case 'append-entries-request':
      case 'install-snapshot-response':
        break
      default:
        // A pre-vote names a term that nobody is in yet; the others say nothing that this table lacks.
        return
    }
    if (message.term > record.term) {
      record.term = message.term
      this.changeCount++
    }
  }

  /** Takes nothing more from this name: a leader saw that it does not hold what it acknowledged. */
  condemn(name: NodeId, why: string): void {
    const record = this.#seen.get(name) ?? this.met(name, { boot: 0, bootId: '', term: 0, lastIndex: 0 })
    record.lost = why
    this.changeCount++
  }

  /** Whether any life of this peer was met, or spoke. */
  knowsPeer(peer: string): boolean {
    for (const name of this.#seen.keys()) if (peerOf(name) === peer) return true
    return false
  }

  entries(): IterableIterator<[NodeId, Seen]> {
    return this.#seen.entries()
  }
}
