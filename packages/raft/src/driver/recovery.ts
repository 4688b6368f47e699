/**
 * Begins a new group from what one node of a lost one holds, when its majority will not come back (T37). All that stands in the log counts
 * as committed, since it may have been; what others had beyond it is lost. Nothing of the old group is changed: its log is only read, and the
 * new one is of another cluster, so that members of the old that live on and the new group never exchange a message.
 *
 * An operator's tool calls it, offline, on a copy of the state and on an empty storage.
 */

import { FIRST_LEVEL, levelAfter, logFault, SUPPORTED_LEVEL } from '../core/announcements.ts'
import { configFault } from '../core/members.ts'
import { payloadOf } from '../core/record.ts'
import { EntryKind, type Index, type LogBase, type NodeId, type Term } from '../core/types.ts'
import { RaftStartError } from '../errors.ts'
import type { Command, LoadedLog, LogStorage, SnapshotStore, StateMachine } from '../ports.ts'
import { storedChunks } from './snapshotter.ts'

/** Entries applied in one call. */
const SLICE_ENTRIES = 1_000

export interface RecoveryComponents {
  /** The log of the old group; what comes after a fault in it is left out. */
  readonly log: LoadedLog
  /** Of the old group. Read if the state lags behind the log. */
  readonly snapshots: SnapshotStore
  /** Brought up to the end of the log, and made durable. */
  readonly stateMachine: StateMachine<unknown>
  /** Empty and loaded: the log of the new group. Stays open. */
  readonly into: LogStorage
}

/** Where a log ends. Of two members of one group that one holds more whose term is higher, or with equal terms whose index is. */
export interface LogEnd {
  readonly term: Term
  readonly index: Index
}

/** Where a log that was loaded ends, as far as it can be read. */
export function logEnd({ base, entries }: Pick<LoadedLog, 'base' | 'entries'>): LogEnd {
  const { term, index } = entries.at(-1) ?? base
  return { term, index }
}

/**
 * Brings the state up to the end of the log, and writes the beginning of a log whose only voter is `name`.
 *
 * @returns where the new log begins
 * @throws {RaftStartError} when the state does not belong to the log, nothing leads from one to the other, or this version does not know the
 * log's feature level; the new log is empty then
 * @throws {RangeError} when `name` cannot be that of a member
 */
export async function foundFromLog(components: RecoveryComponents, name: NodeId): Promise<LogBase> {
  const { log, stateMachine, into } = components
  const config = { voters: [name], outgoing: [], learners: [] }
  const fault = configFault(config)
  if (fault !== undefined) throw new RangeError(`The configuration cannot be worked with: ${fault}`)
  const unknown = logFault(log.base, log.entries, SUPPORTED_LEVEL)
  if (unknown !== undefined) throw new RaftStartError('unknown-level', unknown)
  const place = await reach(components)
  await stateMachine.flush()
  const level = levelAfter(log.base, log.entries)
  const base: LogBase = level === FIRST_LEVEL ? { ...place, config } : { ...place, level, config }
  const term = Math.max(log.hardState.term, place.term)
  await into.persist({ hardState: { term, votedFor: undefined }, truncateFrom: undefined, entries: [] })
  await into.reset(base)
  return base
}

/** Brings the state as far as it can be brought. @returns where it stands then */
async function reach(components: RecoveryComponents): Promise<Omit<LogBase, 'config'>> {
  const { log, stateMachine } = components
  const applied = stateMachine.appliedIndex()
  const end = logEnd(log)
  const damaged = log.faults.length > 0 || log.baseLost === true
  if (damaged && applied >= end.index && applied > 0) {
    // What was applied was committed: the state knows more than what can be read of the log. The new group needs no entry of the old, and any
    // chain is as good as another to begin with.
    return { index: applied, term: Math.max(log.hardState.term, end.term), chain: 0 }
  }
  if (log.baseLost === true) {
    throw new RaftStartError('log-damaged', 'where the log begins is lost, and there is no state that stands for it')
  }
  await catchUp(components, end.index)
  return { ...end, chain: (log.entries.at(-1) ?? log.base).chain }
}

async function catchUp({ log, snapshots, stateMachine }: RecoveryComponents, lastIndex: Index): Promise<void> {
  const { base, entries } = log
  let applied = stateMachine.appliedIndex()
  if (applied > lastIndex) {
    throw new RaftStartError(
      'state-ahead-of-log',
      `the state stands at ${applied}, and the log ends at ${lastIndex}: they do not belong together, or part of the log is lost`
    )
  }
  if (applied < base.index) {
    const snapshot = await snapshots.latest()
    if (snapshot === undefined || snapshot.base.index < base.index || snapshot.base.index > lastIndex) {
      throw new RaftStartError(
        'state-behind-log',
        `the state stands at ${applied}, the log begins after ${base.index}, and there is no snapshot between`
      )
    }
    applied = snapshot.base.index
    await stateMachine.restore(applied, storedChunks(snapshots, snapshot))
  }
  for (let from = applied - base.index; from < entries.length; from += SLICE_ENTRIES) {
    const slice = entries.slice(from, from + SLICE_ENTRIES)
    const commands: Command[] = slice
      .filter(({ kind }) => kind === EntryKind.command)
      .map((entry) => ({ index: entry.index, payload: payloadOf(entry) }))
    await stateMachine.apply(commands, slice.at(-1)!.index)
  }
}
