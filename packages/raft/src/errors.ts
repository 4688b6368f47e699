/**
 * The closed set of errors that a running node answers its callers with. Compare `name`, and `code` where there is one, not the
 * class: two copies of this package may be loaded, or the error may have travelled. The errors of the disk are in `storage/errors.ts`.
 */

import type { Index, NodeId, RefusalReason } from './core/types.ts'

/** This node is not the leader. Nothing was appended: ask `leader`, if it is known. */
export class NotLeaderError extends Error {
  static override readonly name = 'NotLeaderError'
  override readonly name = 'NotLeaderError'
  readonly code = 'not-leader'
  readonly leader: NodeId | undefined

  constructor(leader: NodeId | undefined) {
    super(
      leader === undefined ? 'This node does not lead, and knows no leader' : `This node does not lead; ${leader} does`
    )
    this.leader = leader
  }
}

/** The request was not taken; nothing was appended. `code` and `reason` are the same. */
export class ProposalRefusedError extends Error {
  static override readonly name = 'ProposalRefusedError'
  override readonly name = 'ProposalRefusedError'
  readonly code: RefusalReason
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, detail: string) {
    super(`The request was refused (${reason}): ${detail}`)
    this.code = reason
    this.reason = reason
  }
}

/** The entry was appended, and then replaced by another leader's: it will never be applied. */
export class ProposalLostError extends Error {
  static override readonly name = 'ProposalLostError'
  override readonly name = 'ProposalLostError'
  readonly code = 'lost'
  readonly index: Index

  constructor(index: Index, detail: string) {
    super(`The request stood in the log at ${index} and was replaced by another leader: ${detail}`)
    this.index = index
  }
}

/** Whether the request takes effect is not known: the caller stopped waiting, or the node stopped, before it was. */
export class OutcomeUnknownError extends Error {
  static override readonly name = 'OutcomeUnknownError'
  override readonly name = 'OutcomeUnknownError'
  readonly code = 'outcome-unknown'

  constructor(why: string, options?: ErrorOptions) {
    super(`It is not known whether the request takes effect: ${why}`, options)
  }
}

/** No leader confirmed the read in time. Ask again, or read what is here and call it stale. */
export class ReadUnavailableError extends Error {
  static override readonly name = 'ReadUnavailableError'
  override readonly name = 'ReadUnavailableError'
  readonly code = 'read-unavailable'

  constructor(why: string, options?: ErrorOptions) {
    super(`No leader confirmed the read: ${why}`, options)
  }
}

/** Why a node does not start from what its folder holds. */
export type RaftStartCode =
  /** Parts of the log that were durable cannot be read. */
  | 'log-damaged'
  /** The log begins after the state, and there is no snapshot to close the gap. */
  | 'state-behind-log'
  /** The state holds more than the log: they do not belong together, or the log was put back to an older copy. */
  | 'state-ahead-of-log'
  /** The log was written at a feature level that this version does not know: it was upgraded, and went back to an older version. */
  | 'unknown-level'

/** The node was not started: log, snapshots and state do not fit together. Nothing was changed. */
export class RaftStartError extends Error {
  static override readonly name = 'RaftStartError'
  override readonly name = 'RaftStartError'
  readonly code: RaftStartCode

  constructor(code: RaftStartCode, message: string) {
    super(`Cannot start: ${message}`)
    this.code = code
  }
}

/**
 * What of a node's past cannot be had back:
 * - `hard-state-lost`: both copies of term and vote, so that it might vote twice in a term;
 * - `history-lost`: entries that it acknowledged, of which no member of its group has a copy that proves to be its own any more;
 * - `state-lost`: its state stands where neither its log nor a snapshot of any member leads to.
 */
export type QuarantineReason = 'hard-state-lost' | 'history-lost' | 'state-lost'

/**
 * The node can never run again under its name, since it forgot things that others rely on. Nothing was removed. Move its raft data and
 * state aside, give it a new name, and let it join as a learner: to the group it then is a stranger (T53).
 */
export class QuarantineNeededError extends Error {
  static override readonly name = 'QuarantineNeededError'
  override readonly name = 'QuarantineNeededError'
  readonly code = 'quarantine'
  readonly reason: QuarantineReason

  constructor(reason: QuarantineReason, detail: string, options?: ErrorOptions) {
    super(`This node cannot go on under its name (${reason}): ${detail}`, options)
    this.reason = reason
  }
}

/** The peer offered a snapshot, and what came is not one, or not that one. */
export class SnapshotTransferError extends Error {
  static override readonly name = 'SnapshotTransferError'
  override readonly name = 'SnapshotTransferError'

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
  }
}
