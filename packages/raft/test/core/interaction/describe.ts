/** One line for each thing that happens on a `Stage`: short enough to read a protocol run as a text. */

import { decodeConfig } from '../../../src/core/members.ts'
import type { Message } from '../../../src/core/messages.ts'
import { payloadOf } from '../../../src/core/record.ts'
import { type ClusterConfig, type Entry, EntryKind } from '../../../src/core/types.ts'

export function describeConfig(config: ClusterConfig): string {
  const outgoing = config.outgoing.length > 0 ? ` leaving ${config.outgoing.join(' ')}` : ''
  const learners = config.learners.length > 0 ? ` learners ${config.learners.join(' ')}` : ''
  return `(${config.voters.join(' ')}${outgoing}${learners})`
}

function describeContent(entry: Entry): string {
  if (entry.kind === EntryKind.noop) return 'noop'
  const payload = payloadOf(entry)
  if (entry.kind === EntryKind.command) return String.fromCharCode(...payload)
  const config = decodeConfig(payload)
  return config === undefined ? 'damaged' : describeConfig(config)
}

/** `index/term:content` of each. */
export function describeEntries(entries: readonly Entry[]): string {
  return entries.map((entry) => `${entry.index}/${entry.term}:${describeContent(entry)}`).join(' ')
}

export function describeMessage(message: Message): string {
  const { type, term } = message
  const answer = (granted: boolean): string => (granted ? 'yes' : 'no')
  switch (type) {
    case 'pre-vote-request':
      return `pre-vote? term ${term}, log ${message.lastIndex}/${message.lastTerm}`
    case 'pre-vote-response':
      return `pre-vote ${answer(message.granted)}, term ${term}`
    case 'vote-request':
      return `vote? term ${term}, log ${message.lastIndex}/${message.lastTerm}${message.transfer ? ', handed over' : ''}`
    case 'vote-response':
      return `vote ${answer(message.granted)}, term ${term}`
    case 'append-entries-request': {
      const entries = message.entries.length === 0 ? 'heartbeat' : describeEntries(message.entries)
      const read = message.readPosition > 0 ? `, read ${message.readPosition}` : ''
      return `term ${term}, after ${message.prevIndex}/${message.prevTerm}: ${entries}, commit ${message.commitIndex}${read}`
    }
    case 'append-entries-response': {
      const read = message.readPosition > 0 ? `, read ${message.readPosition}` : ''
      return message.success
        ? `have ${message.index}, term ${term}${read}`
        : `refuse ${message.index}, try ${message.hintIndex}/${message.hintTerm}, term ${term}${read}`
    }
    case 'install-snapshot-request':
      return `term ${term}, snapshot at ${message.base.index}/${message.base.term} ${describeConfig(message.base.config)}`
    case 'install-snapshot-response':
      return `snapshot ${message.index} ${message.outcome}, term ${term}`
    case 'timeout-now':
      return `campaign now, term ${term}`
    case 'read-index-request':
      return `read index? ${message.id}, term ${term}`
    case 'read-index-response':
      return `read index ${message.index ?? 'unknown'} for ${message.id}, term ${term}`
  }
}
