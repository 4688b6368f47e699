/**
 * One line for each thing that a core is told, and that it answers: short enough to read a protocol run as a text. For the transcripts of the
 * tests, and for the last steps of a flight record (`replay.ts`).
 */

import { leaseOf, levelOf } from '../core/announcements.ts'
import { decodeConfig } from '../core/members.ts'
import type { Message } from '../core/messages.ts'
import { payloadOf } from '../core/record.ts'
import { type ClusterConfig, type Effect, type Entry, EntryKind, type Health, type Input } from '../core/types.ts'

export function describeConfig(config: ClusterConfig): string {
  const outgoing = config.outgoing.length > 0 ? ` leaving ${config.outgoing.join(' ')}` : ''
  const learners = config.learners.length > 0 ? ` learners ${config.learners.join(' ')}` : ''
  return `(${config.voters.join(' ')}${outgoing}${learners})`
}

/** Longer commands, and those that are no plain text, are told by their size. */
const SHORT_TEXT = /^[\x20-\x7e]{0,40}$/
/** Longer lists are told by their ends. */
const MAX_LISTED = 16

function describeContent(entry: Entry): string {
  if (entry.kind === EntryKind.noop) return leaseOf(entry) === 0 ? 'noop' : `noop lease ${leaseOf(entry)}`
  const payload = payloadOf(entry)
  if (entry.kind === EntryKind.level) return `level ${levelOf(entry)}`
  if (entry.kind === EntryKind.command) {
    const text = payload.length > 40 ? undefined : String.fromCharCode(...payload)
    return text !== undefined && SHORT_TEXT.test(text) ? text : `${payload.length} bytes`
  }
  const config = decodeConfig(payload)
  return config === undefined ? 'damaged' : describeConfig(config)
}

/** `index/term:content` of each. */
export function describeEntries(entries: readonly Entry[]): string {
  const one = (entry: Entry): string => `${entry.index}/${entry.term}:${describeContent(entry)}`
  if (entries.length <= MAX_LISTED) return entries.map(one).join(' ')
  return `${one(entries[0]!)} … ${one(entries.at(-1)!)} (${entries.length} entries)`
}

/** What is out of the ordinary in how a node stands. */
function describeStanding({ health, priority }: { readonly health: Health; readonly priority: number }): string {
  return `${health === 'good' ? '' : `, ${health}`}${priority === 0 ? '' : `, priority ${priority}`}`
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
        ? `have ${message.index}, term ${term}${read}${describeStanding(message)}`
        : `refuse ${message.index}, try ${message.hintIndex}/${message.hintTerm}, term ${term}${read}${describeStanding(message)}`
    }
    case 'install-snapshot-request':
      return `term ${term}, snapshot at ${message.base.index}/${message.base.term} ${describeConfig(message.base.config)}`
    case 'install-snapshot-response':
      return `snapshot ${message.index} ${message.outcome}, term ${term}`
    case 'timeout-now':
      return `campaign now, term ${term}${message.leaseOver ? '' : ', leases may run'}`
    case 'read-index-request':
      return `read index? ${message.id}, term ${term}`
    case 'read-index-response':
      return `read index ${message.index ?? 'unknown'} for ${message.id}, term ${term}`
    case 'digest-report':
      return `state at ${message.index} is ${message.digest}, term ${term}`
    case 'digest-verdict':
      return `state at ${message.index} ${message.proven ? 'has to be' : 'is here'} ${message.digest}, term ${term}`
  }
}

/** What a core is told, in one line. */
export function describeInput(input: Input): string {
  switch (input.type) {
    case 'receive':
      return `← ${input.from} ${describeMessage(input.message)}`
    case 'propose': {
      const bytes = input.payloads.reduce((sum, payload) => sum + payload.length, 0)
      return `propose ${input.payloads.length} commands, ${bytes} bytes, ticket ${input.ticket}`
    }
    case 'change-members':
      return `change to ${describeConfig({ ...input.change, outgoing: [] })}, ticket ${input.ticket}`
    case 'snapshot-ready':
    case 'snapshot-installed':
      return `${input.type} at ${input.base.index}/${input.base.term}`
    default:
      return describeFields(input)
  }
}

/** What a core answers, in one line. */
export function describeEffect(effect: Effect): string {
  switch (effect.type) {
    case 'send':
      return `→ ${effect.to} ${describeMessage(effect.message)}`
    case 'persist': {
      const { seq, hardState, truncateFrom, entries, release } = effect
      const parts = [`persist ${seq}:`]
      if (hardState !== undefined) parts.push(`term ${hardState.term}, vote ${hardState.votedFor ?? 'none'}`)
      if (truncateFrom !== undefined) parts.push(`cut from ${truncateFrom}`)
      if (entries.length > 0) parts.push(describeEntries(entries))
      for (const { to, message } of release) parts.push(`then → ${to} ${describeMessage(message)}`)
      return parts.join(' ')
    }
    case 'apply':
      return `apply ${describeEntries(effect.entries)}`
    case 'config-changed':
      return `config ${describeConfig(effect.config)} of ${effect.index}${effect.committed ? ', committed' : ''}`
    case 'compact':
    case 'install-snapshot':
      return `${effect.type} ${effect.base.index}/${effect.base.term}`
    default:
      return describeFields(effect)
  }
}

/** The type, then the other fields, which are plain words and numbers. */
function describeFields({ type, ...fields }: { readonly type: string }): string {
  const words = Object.entries(fields).map(([name, value]) => `${name} ${value}`)
  return [type, ...words].join(' ')
}
