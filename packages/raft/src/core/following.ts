/**
 * A follower's side of replication (paper §5.3, figure 2 "AppendEntries RPC, receiver implementation"): check that the logs
 * agree, cut what conflicts, append what is new, commit what was verified, and answer once it is durable.
 */

import { entryFault, levelOf } from './announcements.ts'
import { invariant } from './invariants.ts'
import { decodeConfig } from './members.ts'
import type { AppendEntriesRequest } from './messages.ts'
import { isIntact, payloadOf } from './record.ts'
import { heardLeader } from './roles.ts'
import type { CoreState } from './state.ts'
import { type Entry, EntryKind, type Index, type NodeId } from './types.ts'

/** A message of the leader of this node's own term; `raft.ts` has brought the term up. */
export function onAppendEntriesRequest(s: CoreState, from: NodeId, message: AppendEntriesRequest): void {
  heardLeader(s, from)
  if (s.installing !== undefined) {
    // The log is about to be replaced: what was appended now would vanish after it was acknowledged.
    const { index } = s.installing
    s.send(from, {
      type: 'install-snapshot-response',
      term: s.term,
      index,
      outcome: 'fetching',
      readPosition: message.readPosition
    })
    return
  }
  const fault = messageFault(s, message)
  if (fault !== undefined) {
    s.alarm('bad-append', `${from} sent entries that cannot be taken: ${fault}`, from)
    return
  }
  if (!agreesAtPrevious(s, from, message)) {
    refuse(s, from, message)
    return
  }
  takeEntries(s, from, message)
  const matchIndex = message.prevIndex + message.entries.length
  commitVerified(s, message.commitIndex, matchIndex)
  acknowledge(s, from, message, matchIndex)
}

/**
 * Whether this log holds the entry that the message's entries follow, checked for heartbeats too (T11). All at and below the base
 * is committed, so every leader has it. Equal terms with different chains are damage, not a conflict.
 */
function agreesAtPrevious(s: CoreState, from: NodeId, message: AppendEntriesRequest): boolean {
  const { prevIndex, prevTerm, prevChain } = message
  if (prevIndex < s.log.base.index) return true
  if (s.mutations.has('heartbeat-unchecked') && message.entries.length === 0) return prevIndex <= s.log.lastIndex
  if (s.mutations.has('previous-checked-by-index')) return prevIndex <= s.log.lastIndex
  if (s.log.termAt(prevIndex) !== prevTerm) return false
  invariant(
    s.log.chainAt(prevIndex) === prevChain,
    () => `${from} has another history at ${prevIndex} of term ${prevTerm}`
  )
  return true
}

/** Refuses, and says how far the logs could agree, so that the leader needs one question a term, not one an entry (T13). */
function refuse(s: CoreState, to: NodeId, message: AppendEntriesRequest): void {
  const log = s.log
  const hintIndex = Math.max(log.lastIndexWithin(message.prevIndex, message.prevTerm), log.base.index)
  s.send(to, {
    type: 'append-entries-response',
    term: s.term,
    success: false,
    index: message.prevIndex,
    hintIndex,
    hintTerm: log.termAt(hintIndex) ?? 0,
    readPosition: message.readPosition,
    health: s.health,
    priority: s.options.priority
  })
}

/**
 * Appends what is new. What is there already stays, however old the message: only an entry of another term at the same index is
 * a conflict, and only that cuts the log (T15).
 */
function takeEntries(s: CoreState, from: NodeId, message: AppendEntriesRequest): void {
  const log = s.log
  if (
    s.mutations.has('truncate-on-overlap') &&
    message.prevIndex < log.lastIndex &&
    message.prevIndex >= log.commitIndex
  ) {
    s.truncateLog(message.prevIndex + 1)
  }
  for (const entry of message.entries) takeEntry(s, from, entry)
}

function takeEntry(s: CoreState, from: NodeId, entry: Entry): void {
  const log = s.log
  if (entry.index < log.base.index) return
  if (entry.index === log.base.index) {
    invariant(
      log.base.term === entry.term && log.base.chain === entry.chain,
      () => `${from} has another entry ${entry.index} than the one that this log begins after`
    )
    return
  }
  if (entry.index <= log.lastIndex) {
    if (log.termAt(entry.index) === entry.term) {
      invariant(
        log.chainAt(entry.index) === entry.chain,
        () => `${from} has another entry ${entry.index} of term ${entry.term}`
      )
      return
    }
    s.truncateLog(entry.index)
  }
  // Neither skipped nor taken: this version would make another state of the log than the others do (T59).
  const fault = entryFault(entry, s.supportedLevel)
  invariant(fault === undefined, () => `the log of ${from} cannot be followed: ${fault}`)
  log.append(entry)
}

/** What the leader committed is committed here as far as this very message verified the log (T10, T12), never up to a tail it did not. */
function commitVerified(s: CoreState, leaderCommit: Index, matchIndex: Index): void {
  const bound = s.mutations.has('commit-past-match') ? s.log.lastIndex : matchIndex
  if (s.mutations.has('commit-beyond-log')) s.log.commitIndex = Math.max(s.log.commitIndex, leaderCommit)
  s.log.commitIndex = Math.max(s.log.commitIndex, Math.min(leaderCommit, bound))
}

/**
 * How far this node acknowledges. While more waits for its state machine than a leader would take in, only what is applied: the leader's
 * window fills, and so this log stops growing. The heartbeats that come then fetch the rest of the answer as soon as the state has caught
 * up (T28). With nothing committed to apply there is nothing to wait for, so that it never waits for itself.
 */
function digestibleIndex({ log, options }: CoreState): Index {
  if (log.appliedIndex === log.commitIndex) return log.lastIndex
  const waiting = log.lastIndex - log.appliedIndex
  const tooMuch = waiting > options.maxUncommittedEntries || log.unappliedBytes > options.maxUncommittedBytes
  return tooMuch ? log.appliedIndex : log.lastIndex
}

/**
 * Success reaches as far as the message proved and the disk holds (T3, T10). The answer to entries waits for them; one to a
 * heartbeat does not wait, and tells what is durable now, so that a slow disk does not look like a dead node.
 */
function acknowledge(s: CoreState, to: NodeId, message: AppendEntriesRequest, matchIndex: Index): void {
  const unsafe = s.mutations.has('ack-before-durable')
  const heartbeat = message.entries.length === 0 && !unsafe
  const proved = s.mutations.has('heartbeat-proves-all') ? s.log.lastIndex : matchIndex
  const held = heartbeat ? Math.min(proved, s.log.durableIndex) : matchIndex
  const index = Math.min(held, digestibleIndex(s))
  const response = {
    type: 'append-entries-response',
    term: s.term,
    success: true,
    index,
    hintIndex: 0,
    hintTerm: 0,
    readPosition: message.readPosition,
    health: s.health,
    priority: s.options.priority
  } as const
  if (unsafe) s.sendUnsafely(to, response)
  else s.send(to, response, index)
}

/**
 * Why the entries cannot be part of any leader's log; undefined if they can. A damaged message is dropped before it touches
 * anything; the leader sends again. The checksum is computed only for entries that this log does not hold.
 */
function messageFault(s: CoreState, message: AppendEntriesRequest): string | undefined {
  let index = message.prevIndex
  let term = message.prevTerm
  let chain = message.prevChain
  for (const entry of message.entries) {
    if (entry.index !== index + 1) return `entry ${entry.index} follows ${index}`
    if (entry.term < term || entry.term > message.term) {
      return `entry ${entry.index} of term ${entry.term} lies between terms ${term} and ${message.term}`
    }
    const held = s.log.termAt(entry.index) === entry.term || entry.index <= s.log.base.index
    const verified = held && (s.log.chainAt(entry.index) ?? entry.chain) === entry.chain
    if (!verified && !isIntact(entry, chain, s.checksum)) return `entry ${entry.index} fails its checksum`
    if (!held && entry.kind === EntryKind.config && decodeConfig(payloadOf(entry)) === undefined) {
      return `entry ${entry.index} says that it is a configuration and is none`
    }
    if (!held && entry.kind === EntryKind.level && levelOf(entry) === undefined) {
      return `entry ${entry.index} says that it is a feature level and is none`
    }
    index = entry.index
    term = entry.term
    chain = entry.chain
  }
  return undefined
}
