/**
 * What nodes say to each other: plain data, encoded by `../transport/codec.ts`.
 *
 * Every message carries the sender's term (paper §5.1), except that a pre-vote names the term the sender would campaign in.
 */

import type { Entry, Health, Index, LogBase, Term } from './types.ts'

/** Would you vote for me in `term`? Changes nothing on the receiver (dissertation §9.6). */
export interface PreVoteRequest {
  readonly type: 'pre-vote-request'
  /** The term the sender would campaign in: its own plus one. */
  readonly term: Term
  readonly lastIndex: Index
  readonly lastTerm: Term
}

export interface PreVoteResponse {
  readonly type: 'pre-vote-response'
  /** Granted: the term asked for. Refused: the voter's own term, so that a sender that is behind learns it. */
  readonly term: Term
  readonly granted: boolean
}

/** Paper figure 2, RequestVote. */
export interface VoteRequest {
  readonly type: 'vote-request'
  readonly term: Term
  readonly lastIndex: Index
  readonly lastTerm: Term
  /** The leader asked the sender to campaign: stickiness does not hold (dissertation §4.2.3). */
  readonly transfer: boolean
}

export interface VoteResponse {
  readonly type: 'vote-response'
  readonly term: Term
  readonly granted: boolean
}

/** Paper figure 2, AppendEntries. Without entries it is a heartbeat, and checks `prev` all the same (T11). */
export interface AppendEntriesRequest {
  readonly type: 'append-entries-request'
  readonly term: Term
  readonly prevIndex: Index
  readonly prevTerm: Term
  /** The chain of the entry at `prevIndex`: a difference under an equal term is damage, not a conflict. */
  readonly prevChain: number
  readonly entries: readonly Entry[]
  readonly commitIndex: Index
  /** Highest read position of the leader; echoed, so that an answer confirms exactly the reads that came before this message (T47). */
  readonly readPosition: number
}

export interface AppendEntriesResponse {
  readonly type: 'append-entries-response'
  readonly term: Term
  readonly success: boolean
  /**
   * Success: every entry up to here agrees with the leader's and is durable; at most what the request proved (T10).
   * Refused: the `prevIndex` that did not agree.
   */
  readonly index: Index
  /** Refused: the last index that could agree, going by this node's log: its last index, or the end of the last term at or below the leader's (T13). */
  readonly hintIndex: Index
  /** Refused: the term of the entry at `hintIndex`. */
  readonly hintTerm: Term
  readonly readPosition: number
  /** How fit the sender is to lead, and how much it should: what a hand-over goes by. */
  readonly health: Health
  readonly priority: number
}

/** The leader has a snapshot and no longer the log: fetch it from the leader, over the bulk protocol. */
export interface InstallSnapshotRequest {
  readonly type: 'install-snapshot-request'
  readonly term: Term
  readonly base: LogBase
  readonly readPosition: number
}

export interface InstallSnapshotResponse {
  readonly type: 'install-snapshot-response'
  readonly term: Term
  /** The index of the snapshot that was asked for. */
  readonly index: Index
  /** `fetching`: the transfer goes on. `installed`: the state stands at or past `index`. `failed`: try again later. */
  readonly outcome: 'fetching' | 'installed' | 'failed'
  readonly readPosition: number
}

/** Campaign at once (dissertation §3.10). */
export interface TimeoutNow {
  readonly type: 'timeout-now'
  readonly term: Term
  /** No lease of the sender, or of a leader before it, is in force any more: the next leader need not wait for one (T49). */
  readonly leaseOver: boolean
}

/** A follower asks the leader for a read index, for all the reads that wait there. */
export interface ReadIndexRequest {
  readonly type: 'read-index-request'
  readonly term: Term
  /** Of the follower's choice; echoed. */
  readonly id: number
}

export interface ReadIndexResponse {
  readonly type: 'read-index-response'
  readonly term: Term
  readonly id: number
  /** Undefined: the node asked is not the leader, or could not confirm that it still is. */
  readonly index: Index | undefined
}

/** A follower says what stands for its state at an index (`digests.ts`). */
export interface DigestReport {
  readonly type: 'digest-report'
  readonly term: Term
  readonly index: Index
  /** Unsigned 32 bit. */
  readonly digest: number
}

/** The leader says that the receiver's state is another one. */
export interface DigestVerdict {
  readonly type: 'digest-verdict'
  readonly term: Term
  readonly index: Index
  /** Proven: what a majority has there, so that the receiver is wrong. Otherwise what the leader has, which may as well be wrong. */
  readonly digest: number
  readonly proven: boolean
}

export type Message =
  | PreVoteRequest
  | PreVoteResponse
  | VoteRequest
  | VoteResponse
  | AppendEntriesRequest
  | AppendEntriesResponse
  | InstallSnapshotRequest
  | InstallSnapshotResponse
  | TimeoutNow
  | ReadIndexRequest
  | ReadIndexResponse
  | DigestReport
  | DigestVerdict
