/**
 * The ways in which the storage of a node can fail, apart from damage inside the log, which `load` answers as a `LogFault`
 * since the entries before it are still of use. Compare `name`, or `code` where there is one.
 */

/** Term and vote cannot be read, or stand lower than they must: the node may have voted in ways it no longer knows (T53). It must not vote. */
export class HardStateLostError extends Error {
  static override readonly name = 'HardStateLostError'
  override readonly name = 'HardStateLostError'
  readonly file: string

  constructor(file: string, detail: string) {
    super(`The term and vote in ${file} are lost: ${detail}. This node must not vote; replace it by a new member`)
    this.file = file
  }
}

/**
 * - `base-damaged`: the file that says where the log begins is missing or damaged, so that nothing in the log can be trusted.
 * - `unsupported-version`: the file was written by a newer version; it is sound, and must not be touched.
 * - `log-faulty`: `load` reported faults; the log takes nothing more until `replace` or `reset` puts another in its place.
 */
export type LogUnusableCode = 'base-damaged' | 'unsupported-version' | 'log-faulty'

/** The log as a whole cannot be used. */
export class LogUnusableError extends Error {
  static override readonly name = 'LogUnusableError'
  override readonly name = 'LogUnusableError'
  readonly code: LogUnusableCode
  readonly file: string

  constructor(code: LogUnusableCode, file: string, detail: string) {
    super(`The log cannot be used because of ${file}: ${detail}`)
    this.code = code
    this.file = file
  }
}

/**
 * A write or a sync failed, or the handle was closed; nothing may be done with this handle any more (T51). The kernel drops
 * pages it could not write, so that a second try would succeed without the data.
 */
export class StorageFailedError extends Error {
  static override readonly name = 'StorageFailedError'
  override readonly name = 'StorageFailedError'

  constructor(what: string, cause?: unknown) {
    super(
      cause === undefined ? what : `${what}: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause === undefined ? undefined : { cause }
    )
  }
}

/** Whether there was no room on the disk, or no more of it for this user: nothing that was written before is in doubt then. */
export function isDiskFull(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && (at.code === 'ENOSPC' || at.code === 'EDQUOT')) return true
  }
  return false
}

/** The caller broke the contract of the storage: a hole in the log, two calls at once, a base beyond the log. A bug, not a state of the disk. */
export class StorageMisuseError extends Error {
  static override readonly name = 'StorageMisuseError'
  override readonly name = 'StorageMisuseError'
}

/** A chunk of a snapshot is missing, cut short, or not what its manifest says. */
export class SnapshotDamagedError extends Error {
  static override readonly name = 'SnapshotDamagedError'
  override readonly name = 'SnapshotDamagedError'
  readonly snapshotId: string
  readonly chunk: number

  constructor(snapshotId: string, chunk: number, detail: string, cause?: unknown) {
    super(`Chunk ${chunk} of snapshot ${snapshotId} is damaged: ${detail}`, cause === undefined ? undefined : { cause })
    this.snapshotId = snapshotId
    this.chunk = chunk
  }
}

/** A snapshot was described, or written, in a way that is not allowed; nothing of it was kept. */
export class SnapshotRefusedError extends Error {
  static override readonly name = 'SnapshotRefusedError'
  override readonly name = 'SnapshotRefusedError'

  constructor(detail: string) {
    super(`The snapshot was refused: ${detail}`)
  }
}
