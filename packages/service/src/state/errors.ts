/** Errors of `state/`. */

/** A snapshot cannot be taken over: it is cut short, damaged, or of a release that this one cannot read. The state is as it was before. */
export class SnapshotUnreadableError extends Error {
  static override readonly name = 'SnapshotUnreadableError'
  override readonly name = 'SnapshotUnreadableError'
}

/** The state on disk is of a release that this one cannot read. Nothing was changed. */
export class StateVersionError extends Error {
  static override readonly name = 'StateVersionError'
  override readonly name = 'StateVersionError'
}
