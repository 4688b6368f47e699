/**
 * A leader answers a read only once a quorum has answered messages that it sent after the read had arrived (dissertation §6.4; T47, T48): otherwise
 * another may lead already. Messages carry a read position and answers echo it; the first message with a position tells how old its echo is at most.
 * Judges reads of the leader itself. Left out with `consequencesOnly`.
 */

import type { Message } from '../../core/messages.ts'
import { quorumReached } from '../../core/quorum.ts'
import type { ClusterConfig, NodeId } from '../../core/types.ts'
import type { NodeView } from './view.ts'
import { Violation } from './violation.ts'

interface Round {
  /** Position → when the first message that carries it left. */
  readonly sentAt: Map<number, number>
  /** Peer → the highest position that it echoed. */
  readonly echoed: Map<NodeId, number>
}

export class ReadConfirmation {
  readonly #rounds: Round[] = []
  #now = 0

  /** A read arrives anywhere. @returns when */
  asked(): number {
    return ++this.#now
  }

  /** The node begins to lead, or starts. */
  begins(view: NodeView): void {
    this.#rounds[view.slot] = { sentAt: new Map(), echoed: new Map() }
  }

  sends(view: NodeView, message: Message): void {
    if (message.type !== 'append-entries-request' && message.type !== 'install-snapshot-request') return
    const { sentAt } = this.#rounds[view.slot] as Round
    if (!sentAt.has(message.readPosition)) sentAt.set(message.readPosition, ++this.#now)
  }

  receives(view: NodeView, from: NodeId, message: Message): void {
    if (message.type !== 'append-entries-response' && message.type !== 'install-snapshot-response') return
    if (message.term !== view.hardState.term) return
    const { echoed } = this.#rounds[view.slot] as Round
    echoed.set(from, Math.max(echoed.get(from) ?? 0, message.readPosition))
  }

  /** The node says that a read may be served. @param askedAt - when it arrived */
  confirmed(view: NodeView, askedAt: number, config: ClusterConfig): void {
    if (view.role !== 'leader') return
    const { sentAt, echoed } = this.#rounds[view.slot] as Round
    const since = quorumReached(config, (id) =>
      id === view.id ? Number.POSITIVE_INFINITY : (sentAt.get(echoed.get(id) ?? -1) ?? Number.NEGATIVE_INFINITY)
    )
    if (since < askedAt) {
      throw new Violation(
        'read-confirmation',
        `n${view.slot} serves a read in term ${view.hardState.term}, and no quorum answered anything that was sent after it came`
      )
    }
  }
}
