/**
 * What a node starts from: log, snapshots and state, brought together after whatever the last run was in the middle of. Used by
 * `driver.ts`, and by whoever looks at a folder without starting a node.
 *
 * A snapshot from the leader is taken in three steps: it becomes durable, the log is reset to it, the state is replaced. A crash
 * after the first leaves a snapshot that the log does not reach, after the second a log that begins past the state; both are
 * finished here (T42).
 */

import type { RaftComponents, RaftInit, StoredGroup } from '../api.ts'
import { logFault, SUPPORTED_LEVEL } from '../core/announcements.ts'
import { configFault, decodeConfig, EMPTY_CONFIG, sameConfig } from '../core/members.ts'
import { payloadOf } from '../core/record.ts'
import { type ClusterConfig, EntryKind, type HardState, type Index, type LogBase } from '../core/types.ts'
import { RaftStartError } from '../errors.ts'
import type { LoadedLog } from '../ports.ts'
import { storedChunks } from './snapshotter.ts'

export interface StartingPoint extends Omit<LoadedLog, 'faults'> {
  /** The state machine stands here. */
  readonly appliedIndex: Index
}

/**
 * Loads the log and makes state and snapshots agree with it.
 *
 * @throws {RaftStartError} when they cannot be made to
 */
export async function prepareStart(components: RaftComponents<unknown>, init: RaftInit): Promise<StartingPoint> {
  const loaded = await components.storage.load()
  const [fault] = loaded.faults
  if (fault !== undefined) {
    throw new RaftStartError(
      'log-damaged',
      `${loaded.faults.length} part(s) of the log are damaged, the first from entry ${fault.fromIndex} on in ${fault.file} at byte ${fault.offset}: ${fault.detail}`
    )
  }
  requireKnownLevel(loaded, init)
  const log = await finishInstall(components, await bootstrap(components, init, loaded))
  requireKnownLevel(log, init)
  return { ...log, appliedIndex: await catchUpState(components, log) }
}

type Log = Omit<LoadedLog, 'faults'>

/** A group that was upgraded writes what an older version cannot read (T59). */
function requireKnownLevel({ base, entries }: Log, init: RaftInit): void {
  const fault = logFault(base, entries, init.supportedLevel ?? SUPPORTED_LEVEL)
  if (fault !== undefined) throw new RaftStartError('unknown-level', fault)
}

/** Writes the first configuration of a new group into an empty log. */
async function bootstrap({ storage }: RaftComponents<unknown>, init: RaftInit, log: Log): Promise<Log> {
  const { base, entries, hardState } = log
  const fresh =
    base.index === 0 && entries.length === 0 && hardState.term === 0 && sameConfig(base.config, EMPTY_CONFIG)
  if (init.bootstrap === undefined || !fresh) return log
  const { voters, outgoing, learners } = init.bootstrap
  const config: ClusterConfig = {
    voters: [...voters].sort(),
    outgoing: [...outgoing].sort(),
    learners: [...learners].sort()
  }
  const fault = configFault(config)
  // Checked before it is written: what the log begins with stays.
  if (fault !== undefined) throw new RangeError(`The first configuration cannot be worked with: ${fault}`)
  const first: LogBase = { index: 0, term: 0, chain: 0, config }
  await storage.reset(first)
  return { ...log, base: first }
}

/** A snapshot that the log does not reach was taken from a leader, and the log was to be reset to it. */
async function finishInstall(components: RaftComponents<unknown>, log: Log): Promise<Log> {
  const snapshot = await components.snapshots.latest()
  if (snapshot === undefined || snapshot.base.index <= log.base.index || logHolds(log, snapshot.base)) return log
  const { base } = snapshot
  components.logger?.info(`Finishing the installation of the snapshot at ${base.index}`)
  const hardState: HardState = log.hardState.term < base.term ? { term: base.term, votedFor: undefined } : log.hardState
  if (hardState !== log.hardState) {
    await components.storage.persist({ hardState, truncateFrom: undefined, entries: [] })
  }
  await components.storage.reset(base)
  return { hardState, base, entries: [] }
}

/** Restores the state from a snapshot if the log begins past it. @returns where it stands */
async function catchUpState(components: RaftComponents<unknown>, log: Log): Promise<Index> {
  const { snapshots, stateMachine, logger } = components
  const applied = stateMachine.appliedIndex()
  const lastIndex = log.base.index + log.entries.length
  if (applied > lastIndex) {
    throw new RaftStartError(
      'state-ahead-of-log',
      `the state stands at ${applied}, and the log ends at ${lastIndex}; they do not belong together, or the log is an older copy`
    )
  }
  if (applied >= log.base.index) return applied
  const snapshot = await snapshots.latest()
  if (snapshot === undefined || !logHolds(log, snapshot.base)) {
    throw new RaftStartError(
      'state-behind-log',
      `the state stands at ${applied}, the log begins after ${log.base.index}, and there is no snapshot between`
    )
  }
  logger?.info(`Restoring the state from the snapshot at ${snapshot.base.index}`)
  await stateMachine.restore(snapshot.base.index, storedChunks(snapshots, snapshot))
  return snapshot.base.index
}

/** Whether the log goes on from `base`: it begins there, or holds that very entry. */
function logHolds(log: Log, base: LogBase): boolean {
  if (base.index === log.base.index) return base.term === log.base.term && base.chain === log.base.chain
  const entry = log.entries[base.index - log.base.index - 1]
  return entry !== undefined && entry.term === base.term && entry.chain === base.chain
}

/** What a log that was loaded says of its group: the configuration in force is that of the last config entry (T30). */
export function describeStoredGroup(loaded: LoadedLog): StoredGroup {
  const { hardState, base, entries, faults } = loaded
  const damaged = faults.length > 0
  return { hardState, base, lastIndex: base.index + entries.length, config: configInForce(loaded), damaged }
}

function configInForce({ base, entries }: LoadedLog): ClusterConfig {
  const last = entries.findLast((entry) => entry.kind === EntryKind.config)
  return (last === undefined ? undefined : decodeConfig(payloadOf(last))) ?? base.config
}
