/**
 * What a message promises must be on the sender's disk when it leaves (T3): the vote it grants, the entries it acknowledges, the term in which
 * it asks or leads. A crash right after the message would otherwise break the promise. Pre-votes promise nothing, refusals neither.
 */

import type { Message } from '../../core/messages.ts'
import type { NodeId } from '../../core/types.ts'
import type { NodeView } from './view.ts'
import { Violation } from './violation.ts'

const broken = (view: NodeView, message: Message, what: string): Violation =>
  new Violation('durable-before-send', `n${view.slot} sends ${message.type} of term ${message.term}, but ${what}`)

/** @throws {Violation} when the message leaves too early */
export function durableBeforeSend(view: NodeView, to: NodeId, message: Message): void {
  const { hardState, log } = view.disk
  switch (message.type) {
    case 'vote-response':
      if (
        message.granted &&
        (hardState.term < message.term || (hardState.term === message.term && hardState.votedFor !== to))
      ) {
        throw broken(
          view,
          message,
          `its disk says term ${hardState.term}, vote for ${hardState.votedFor}, not for ${to}`
        )
      }
      return
    case 'vote-request':
      if (hardState.term < message.term || (hardState.term === message.term && hardState.votedFor !== view.id)) {
        throw broken(view, message, `its disk says term ${hardState.term}, vote for ${hardState.votedFor}`)
      }
      // Who lost the election meanwhile may rightly have had its log cut by the winner; answers no longer count.
      if (view.role === 'candidate' && hardState.term === message.term && log.lastIndex < message.lastIndex) {
        throw broken(
          view,
          message,
          `the log it boasts of, up to ${message.lastIndex}, is on disk only to ${log.lastIndex}`
        )
      }
      return
    case 'append-entries-response':
      if (!message.success) return
      if (hardState.term < message.term) throw broken(view, message, `its disk says term ${hardState.term}`)
      // In a later term the log may rightly have been cut since the answer was made.
      if (hardState.term === message.term && log.lastIndex < message.index) {
        throw broken(view, message, `it acknowledges ${message.index}, with ${log.lastIndex} on disk`)
      }
      return
    case 'install-snapshot-response':
      if (message.outcome === 'installed' && hardState.term === message.term && log.lastIndex < message.index) {
        throw broken(view, message, `it acknowledges ${message.index}, with ${log.lastIndex} on disk`)
      }
      return
    case 'append-entries-request':
    case 'install-snapshot-request':
    case 'timeout-now':
      if (hardState.term < message.term) throw broken(view, message, `its disk says term ${hardState.term}`)
      return
    default:
      return
  }
}
