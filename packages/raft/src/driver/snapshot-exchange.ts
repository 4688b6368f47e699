/**
 * Snapshots between the core and the parts that have to do with them: one is made ready for a peer, or a leader's takes the place of log and state.
 * The bytes are `snapshotter.ts`'s. Used by `driver.ts`, for the effects `need-snapshot` and `install-snapshot`.
 */

import type { Input, LogBase, NodeId } from '../core/types.ts'
import type { LogStorage, SnapshotStore, StateMachine } from '../ports.ts'
import type { Applier } from './applier.ts'
import type { LogWriter } from './log-writer.ts'
import { messageOf } from './message-of.ts'
import type { Meter } from './metrics.ts'
import { type Snapshotter, storedChunks } from './snapshotter.ts'

export interface SnapshotExchangeInit {
  readonly storage: Pick<LogStorage, 'reset'>
  readonly snapshots: SnapshotStore
  readonly stateMachine: Pick<StateMachine<unknown>, 'restore'>
  readonly snapshotter: Pick<Snapshotter, 'offer' | 'fetch'>
  readonly applier: Pick<Applier<unknown>, 'exclusive'>
  readonly writer: Pick<LogWriter, 'exclusive'>
  readonly meter: Pick<Meter, 'onSnapshotOffered' | 'onSnapshotInstalled' | 'onSnapshotFailed'>
  readonly input: (input: Input) => void
  /** The state was replaced by the one at `base`. */
  readonly onRestored: (base: LogBase) => void
  readonly alarm: (code: string, detail: string) => void
  readonly halt: (reason: string) => void
  readonly isStopped: () => boolean
}

export class SnapshotExchange {
  readonly #init: SnapshotExchangeInit
  /** The core has one installed at a time. */
  #installing: Promise<void> = Promise.resolve()

  constructor(init: SnapshotExchangeInit) {
    this.#init = init
  }

  /** Makes one ready, and tells the core. Never rejects. */
  async offer(): Promise<void> {
    const { snapshotter, meter, input, alarm, isStopped } = this.#init
    try {
      const base = await snapshotter.offer()
      meter.onSnapshotOffered()
      input({ type: 'snapshot-ready', base })
    } catch (error) {
      // The core gives up on the peer's transfer in time, and asks again.
      if (!isStopped()) alarm('snapshot-not-made', messageOf(error))
    }
  }

  /** Fetches the one at `base`, and puts it in the place of log and state. Never rejects: the core is told how it ended. */
  install(from: NodeId, base: LogBase): Promise<void> {
    this.#installing = this.#install(from, base)
    return this.#installing
  }

  /** Resolves when none is being installed. */
  idle(): Promise<void> {
    return this.#installing
  }

  async #install(from: NodeId, base: LogBase): Promise<void> {
    const { storage, snapshots, stateMachine, snapshotter, applier, writer } = this.#init
    const { meter, input, onRestored, alarm, halt, isStopped } = this.#init
    try {
      const manifest = await snapshotter.fetch(from, base)
      await applier.exclusive(async () => {
        // The log first: a state that is older than its log is made whole at the next start, the reverse could not be (T42).
        await writer.exclusive(() => storage.reset(manifest.base))
        await stateMachine.restore(manifest.base.index, storedChunks(snapshots, manifest)).catch((error: unknown) => {
          halt(`The state could not be restored from the snapshot at ${base.index}: ${messageOf(error)}`)
          throw error
        })
      })
      meter.onSnapshotInstalled(manifest.totalBytes)
      onRestored(manifest.base)
      await snapshots.prune()
    } catch (error) {
      if (isStopped()) return
      meter.onSnapshotFailed()
      alarm('snapshot-not-fetched', messageOf(error))
      input({ type: 'snapshot-failed', index: base.index })
    }
  }
}
