/**
 * What a node starts from: log, snapshots and state, brought together after whatever the last run was in the middle of. Used by
 * `driver.ts`, and by whoever looks at a folder without starting a node.
 *
 * A snapshot from the leader is taken in three steps: it becomes durable, the log is reset to it, the state is replaced. A crash
 * after the first leaves a snapshot that the log does not reach, after the second a log that begins past the state; both are
 * finished here (T42). What is damaged is repaired by `healing.ts`.
 */

import type { RaftComponents, RaftInit, StoredGroup } from '../api.ts'
import { logFault, SUPPORTED_LEVEL } from '../core/announcements.ts'
import { configFault, EMPTY_CONFIG, membersOf, sameConfig } from '../core/members.ts'
import { defaultCoreOptions } from '../core/options.ts'
import type { ClusterConfig, HardState, Index, LogBase } from '../core/types.ts'
import { QuarantineNeededError, RaftStartError } from '../errors.ts'
import type { LoadedLog } from '../ports.ts'
import { Connection } from './connection.ts'
import { Healing } from './healing.ts'
import { storedChunks } from './snapshotter.ts'
import { configInForce, type Log, logHolds } from './stored-log.ts'

export interface StartingPoint extends Log {
  /** The state machine stands here. */
  readonly appliedIndex: Index
}

/**
 * Loads the log and makes state and snapshots agree with it, with the help of peers where they are damaged.
 *
 * @param connection - started if peers are needed
 * @throws {RaftStartError} when they cannot be made to agree
 * @throws {QuarantineNeededError} when the node cannot go on under its name
 */
export async function prepareStart(
  components: RaftComponents<unknown>,
  init: RaftInit,
  connection = new Connection(components.transport, { ...defaultCoreOptions, ...init.options })
): Promise<StartingPoint> {
  const loaded = await components.storage.load().catch((error: unknown) => {
    if (!(error instanceof Error) || error.name !== 'HardStateLostError') throw error
    throw new QuarantineNeededError('hard-state-lost', error.message, { cause: error })
  })
  const healing = new Healing(components, init, connection)
  try {
    const { hardState, base, entries } = loaded.faults.length === 0 ? loaded : await healing.healLog(loaded)
    requireKnownLevel(init, { hardState, base, entries })
    const log = await finishInstall(components, await bootstrap(components, init, { hardState, base, entries }))
    const start = await catchUpState(components, init, log, healing)
    requireKnownLevel(init, start)
    return start
  } finally {
    await healing.end()
  }
}

/** A group that was upgraded writes what an older version cannot read (T59). */
function requireKnownLevel(init: RaftInit, { base, entries }: Log): void {
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

/** Restores the state from a snapshot if the log begins past it; if there is none here, or none that can be read, from a peer's. */
async function catchUpState(
  components: RaftComponents<unknown>,
  init: RaftInit,
  log: Log,
  healing: Healing
): Promise<StartingPoint> {
  const { snapshots, stateMachine, logger } = components
  const applied = stateMachine.appliedIndex()
  const lastIndex = log.base.index + log.entries.length
  if (applied > lastIndex) throw stateAhead(init, log, applied)
  if (applied >= log.base.index) return { ...log, appliedIndex: applied }
  const snapshot = await snapshots.latest()
  if (snapshot !== undefined && logHolds(log, snapshot.base)) {
    logger?.info(`Restoring the state from the snapshot at ${snapshot.base.index}`)
    try {
      await stateMachine.restore(snapshot.base.index, storedChunks(snapshots, snapshot))
      return { ...log, appliedIndex: snapshot.base.index }
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'SnapshotDamagedError' || snapshots.discard === undefined)
        throw error
      logger?.warn(`${error.message}; it is discarded`)
      await snapshots.discard(snapshot)
    }
  }
  await healing.fetchSnapshot(log)
  return catchUpState(components, init, await finishInstall(components, log), healing)
}

/** The log lost its end, or it is an older copy, with an older vote: nothing tells what the node promised since. */
function stateAhead(init: RaftInit, log: Log, applied: Index): Error {
  const detail = `the state stands at ${applied}, and the log ends at ${log.base.index + log.entries.length}; they do not belong together, or the log is an older copy`
  const others = membersOf(configInForce(log)).some((id) => id !== init.id)
  return others ? new QuarantineNeededError('history-lost', detail) : new RaftStartError('state-ahead-of-log', detail)
}

/** What a log that was loaded says of its group: the configuration in force is that of the last config entry (T30). */
export function describeStoredGroup(loaded: LoadedLog): StoredGroup {
  const { hardState, base, entries, faults } = loaded
  const damaged = faults.length > 0
  return { hardState, base, lastIndex: base.index + entries.length, config: configInForce(loaded), damaged }
}
