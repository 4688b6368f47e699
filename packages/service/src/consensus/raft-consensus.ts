/**
 * Agreement on the pinset over `@quorate/raft` (step 5 of `docs/life-of-a-pin.md`): takes an operation at any peer, finds the leader,
 * and answers once the entry is committed and applied on this peer, so that whoever wrote here reads here what it wrote.
 *
 * `cluster-peer.ts` calls it; membership is in `membership.ts`. A write is tried again across changes of leader until its deadline,
 * under one number of this daemon's session (`write-session.ts`): it takes effect once, and is answered by what its first try did.
 */

import { setTimeout as delay } from 'node:timers/promises'
import {
  type CidString,
  ConsensusUnavailableError,
  NoLeaderError,
  type PeerIdString,
  type Pin,
  PinNotFoundError
} from '@quorate/client/api'
import { peerOf, type Raft, type SessionCommand } from '@quorate/raft'
import type { AbortOptions, Consensus, Logger } from '../ports.ts'
import type { PeerRpc } from '../rpc/peer-rpc.ts'
import { encodeOperation, type Operation, type OpResult } from '../state/ops.ts'
import { beginDeadline } from './deadline.ts'
import { namesIn, peersOf } from './member-names.ts'
import type { Membership } from './membership.ts'
import { describeQuorum } from './quorum-report.ts'
import { WriteSession } from './write-session.ts'

/** Between tries while there is no leader, or the one known does not answer. */
const RETRY_FIRST_MS = 10
const RETRY_LONGEST_MS = 250

export interface RaftConsensusComponents {
  readonly raft: Raft<OpResult>
  readonly rpc: PeerRpc
  readonly membership: Membership
  readonly logger: Logger
  /** Members there is a connection to, this peer included. */
  readonly connected: () => ReadonlySet<PeerIdString>
}

export interface RaftConsensusInit {
  readonly id: PeerIdString
  /** How long a write looks for a leader, from `raft.wait_for_leader_timeout`. */
  readonly waitForLeaderTimeoutMs: number
}

/** A leader that was asked has not answered, and another leads. Does not leave this file: the write is tried again. */
class LeaderReplacedError extends Error {
  static override readonly name = 'LeaderReplacedError'
  override readonly name = LeaderReplacedError.name

  constructor(asked: PeerIdString, now: PeerIdString) {
    super(`${asked} was asked and has not answered, and ${now} leads now`)
  }
}

/** The session of a write is not known any more, and nothing came of the write. Does not leave this file: it begins anew in another session. */
class SessionEndedError extends Error {
  static override readonly name = 'SessionEndedError'
  override readonly name = SessionEndedError.name
}

/** What went wrong with one try, for the next. */
type Verdict = 'try-again' | 'outcome-unknown' | 'final'

/** By name and code, since the error may have come over the network or from another copy of a package. */
export function judgeFailure(error: unknown): Verdict {
  if (!(error instanceof Error)) return 'final'
  const { code, remoteName, reason } = error as Error & { code?: unknown; remoteName?: unknown; reason?: unknown }
  switch (error.name === 'RpcRemoteError' ? remoteName : error.name) {
    case 'NotLeaderError':
    case 'ProposalLostError':
    case 'ConsensusUnavailableError':
    case 'NoLeaderError':
    case 'SessionEndedError':
      return 'try-again'
    case 'ProposalRefusedError': {
      const why = error.name === 'RpcRemoteError' ? code : reason
      return why === 'too-large' || why === 'illegal-change' ? 'final' : 'try-again'
    }
    case 'RpcUnreachableError':
      return code === 'dial-failed' ? 'try-again' : 'outcome-unknown'
    case 'RpcRefusedError':
      return code === 'too-large' ? 'final' : 'try-again'
    case 'RpcTimeoutError':
    case 'OutcomeUnknownError':
    case 'LeaderReplacedError':
    // Also of a write that is committed, and not applied here in time.
    case 'ReadUnavailableError':
      return 'outcome-unknown'
    default:
      return 'final'
  }
}

export class RaftConsensus implements Consensus {
  private readonly components: RaftConsensusComponents
  private readonly init: RaftConsensusInit
  private readonly session = new WriteSession()

  constructor(components: RaftConsensusComponents, init: RaftConsensusInit) {
    this.components = components
    this.init = init
    components.rpc.handle('Consensus.propose', async ({ op }, { signal }) => {
      const { index, result } = await components.raft.propose(op, { signal })
      return { index, result }
    })
  }

  async logPin(pin: Pin, options: AbortOptions = {}): Promise<void> {
    const { result } = await this.commit({ kind: 'pin', pin }, options)
    // A pin that was done has nothing to answer.
    if (!result.ok && result.code !== 'RESULT_GONE') throw new Error(`Cannot pin ${pin.cid}: ${result.message}`)
  }

  async logUnpin(cid: CidString, options: AbortOptions = {}): Promise<Pin> {
    const { result } = await this.commit({ kind: 'unpin', cid }, options)
    if (result.ok && result.kind === 'unpin') return result.pin
    if (!result.ok && result.code === 'PIN_NOT_FOUND') throw new PinNotFoundError()
    throw new Error(`Cannot unpin ${cid}: ${result.ok ? 'the operation was applied as another' : result.message}`)
  }

  addPeer(peer: PeerIdString, options: AbortOptions = {}): Promise<void> {
    return this.withLeader('add a peer', options, async (leader, signal) => {
      if (leader === this.init.id) await this.components.membership.addPeer(peer, { signal })
      else {
        await this.askWhileItLeads(leader, signal, (call) =>
          this.components.rpc.call(leader, 'Consensus.addPeer', { peer }, { signal: call })
        )
      }
    })
  }

  removePeer(peer: PeerIdString, options: AbortOptions = {}): Promise<void> {
    return this.withLeader('remove a peer', options, async (leader, signal) => {
      if (leader === this.init.id) await this.components.membership.removePeer(peer, { signal })
      else {
        await this.askWhileItLeads(leader, signal, (call) =>
          this.components.rpc.call(leader, 'Consensus.removePeer', { peer }, { signal: call })
        )
      }
    })
  }

  peers(): readonly PeerIdString[] {
    return peersOf(namesIn(this.components.raft.status().config))
  }

  leader(): PeerIdString | undefined {
    const { raft } = this.components
    const { leader } = raft.status()
    if (leader === undefined) return undefined
    const peer = peerOf(leader)
    // An earlier life of this peer leads no more: there is nobody to ask until another does.
    return peer === this.init.id && leader !== raft.id ? undefined : peer
  }

  async readBarrier(options: AbortOptions = {}): Promise<void> {
    try {
      // The state stands where it has to once this answers: by a lease without asking anybody, if there is one.
      await this.components.raft.leaseRead(() => undefined, options)
    } catch (error) {
      throw new ConsensusUnavailableError(`no quorum could be reached: ${this.quorum()}`, { cause: error })
    }
  }

  /** Who is there and how many it takes, in plain words. */
  quorum(): string {
    return describeQuorum(this.components.raft.status().config, this.components.connected())
  }

  /**
   * Proposes at the leader and waits until the entry is applied here; once, however often it has to be tried. Also for the peer's own
   * records.
   *
   * @throws {ConsensusUnavailableError} when the session expired between a try that nobody knows the outcome of and the next one
   */
  async commit(operation: Operation, options: AbortOptions = {}): Promise<{ index: number; result: OpResult }> {
    let command: SessionCommand | undefined
    /** A try of this number may be in a log. */
    let uncertain = false
    try {
      const answer = await this.withLeader('commit', options, async (leader, signal) => {
        command ??= await this.session.begin(() => this.openSession(leader, signal), signal)
        const stamp = command.stamp()
        let tried: { index: number; result: OpResult }
        try {
          tried = await this.proposeAt(leader, encodeOperation(operation, stamp), signal)
          if (leader !== this.init.id) await this.components.raft.waitApplied(tried.index, { signal })
        } catch (error) {
          if (judgeFailure(error) !== 'try-again') uncertain = true
          throw error
        }
        if (tried.result.ok || tried.result.code !== 'SESSION_EXPIRED') return tried
        this.session.expired(stamp.session)
        if (uncertain) return undefined
        command.end()
        command = undefined
        throw new SessionEndedError(tried.result.message)
      })
      if (answer !== undefined) return answer
      throw new ConsensusUnavailableError(
        'it is not known whether it was done: the session that knew it has ended, after a try without an answer'
      )
    } finally {
      command?.end()
    }
  }

  private async openSession(leader: PeerIdString, signal: AbortSignal): Promise<number> {
    const { index, result } = await this.proposeAt(leader, encodeOperation({ kind: 'session-open' }), signal)
    if (!result.ok) throw new Error(`Cannot open a session: ${result.message}`)
    return index
  }

  /** Answers once the entry is applied at the leader. */
  private async proposeAt(
    leader: PeerIdString,
    op: Uint8Array,
    signal: AbortSignal
  ): Promise<{ index: number; result: OpResult }> {
    const { raft, rpc } = this.components
    if (leader === this.init.id) return await raft.propose(op, { signal })
    const answer = await this.askWhileItLeads(leader, signal, (call) =>
      rpc.call(leader, 'Consensus.propose', { op }, { signal: call })
    )
    return { index: answer.index, result: answer.result as OpResult }
  }

  /**
   * Runs `action` with the leader, again and again while the leader changes or does not answer, until the deadline.
   *
   * @throws {NoLeaderError} at the deadline
   */
  async withLeader<T>(
    what: string,
    options: AbortOptions,
    action: (leader: PeerIdString, signal: AbortSignal) => Promise<T>
  ): Promise<T> {
    const deadline = beginDeadline(this.init.waitForLeaderTimeoutMs, options.signal)
    try {
      return await this.tryUntil(deadline.signal, what, options, action)
    } finally {
      deadline.clear()
    }
  }

  private async tryUntil<T>(
    signal: AbortSignal,
    what: string,
    options: AbortOptions,
    action: (leader: PeerIdString, signal: AbortSignal) => Promise<T>
  ): Promise<T> {
    let unknown = false
    let cause: unknown
    let pauseMs = RETRY_FIRST_MS
    while (!signal.aborted) {
      const leader = this.leader()
      if (leader !== undefined) {
        try {
          return await action(leader, signal)
        } catch (error) {
          const verdict = judgeFailure(error)
          if (verdict === 'final' && !signal.aborted) throw error
          // A try that the deadline ended ends with the deadline's own error, whatever had become of it.
          if (verdict !== 'try-again') unknown = true
          cause = error
        }
      }
      await this.pauseOrNewLeader(pauseMs, signal)
      pauseMs = Math.min(pauseMs * 2, RETRY_LONGEST_MS)
    }
    if (options.signal?.aborted === true) throw options.signal.reason
    throw new NoLeaderError(
      `timed out waiting for leader after ${this.init.waitForLeaderTimeoutMs} ms, cannot ${what}. ${this.quorum()}` +
        (unknown ? ' It may have been done all the same.' : '') +
        (cause instanceof Error ? ` The last try ended with: ${cause.message}` : ''),
      { cause }
    )
  }

  /**
   * Asks a leader, and stops waiting for it once there is another: one that hangs would keep the call to the deadline, though its
   * successor is at work. What it was asked for may be in its successor's log.
   */
  private async askWhileItLeads<T>(
    leader: PeerIdString,
    signal: AbortSignal,
    ask: (signal: AbortSignal) => Promise<T>
  ): Promise<T> {
    const replaced = new AbortController()
    const off = this.components.raft.on('role', ({ leader: now }) => {
      const by = now === undefined ? undefined : peerOf(now)
      if (by !== undefined && by !== leader) replaced.abort(new LeaderReplacedError(leader, by))
    })
    try {
      return await ask(AbortSignal.any([signal, replaced.signal]))
    } finally {
      off()
    }
  }

  /** Waits a little, less if a leader comes up meanwhile. */
  private async pauseOrNewLeader(pauseMs: number, signal: AbortSignal): Promise<void> {
    const before = this.leader()
    const woken = new AbortController()
    const off = this.components.raft.on('role', () => {
      const leader = this.leader()
      if (leader !== undefined && leader !== before) woken.abort()
    })
    await delay(pauseMs, undefined, { signal: AbortSignal.any([signal, woken.signal]) }).catch(() => undefined)
    off()
  }
}
