/**
 * Who leads, for people: shows how each member stands in the agreement, and hands leadership over when an operator asks for it
 * (dissertation §3.10). Any peer answers: a hand-over is passed on to the leader, a status is gathered from all.
 *
 * `cluster-peer.ts` calls it; it calls `raft-consensus.ts` to find the leader. People name peer IDs, so the names of Raft's nodes are
 * turned into those here, and nowhere above.
 */

import {
  ApiError,
  type PeerIdString,
  type RaftFollower,
  type RaftPeer,
  type RaftRole,
  type RaftVoice
} from '@quorate/client/api'
import { type ClusterConfig, type CoreStatus, type NodeId, peerOf, type Raft } from '@quorate/raft'
import type { AbortOptions } from '../ports.ts'
import type { PeerRpc } from '../rpc/peer-rpc.ts'
import type { OpResult } from '../state/ops.ts'
import { peersOf } from './member-names.ts'
import type { RaftConsensus } from './raft-consensus.ts'

/** A peer that has not said how it stands by then is listed with an error. */
const STATUS_TIMEOUT_MS = 3_000

export interface LeadershipComponents {
  readonly raft: Raft<OpResult>
  readonly rpc: PeerRpc
  readonly consensus: Pick<RaftConsensus, 'peers' | 'leader' | 'withLeader'>
  /** The name of a member; empty if it is not known. */
  readonly peernameOf: (peer: PeerIdString) => string
}

export class Leadership {
  private readonly parts: LeadershipComponents
  private readonly id: PeerIdString

  /** @param id - of this peer */
  constructor(components: LeadershipComponents, id: PeerIdString) {
    this.parts = components
    this.id = id
    components.rpc.handle('Consensus.transfer', async ({ to }, { signal }) => ({
      leader: await this.transferHere(to, signal)
    }))
    components.rpc.handle('Consensus.status', async () => this.ownStatus())
  }

  /**
   * Hands leadership to a voter, or without `to` to whoever can take over soonest.
   *
   * @returns who leads then
   * @throws {ApiError} `transfer-refused` when `to` leads already or does not vote; `transfer-failed` when it did not take over in time
   * @throws {NoLeaderError} when there is nobody to hand over
   */
  async transfer(to: PeerIdString | undefined, options: AbortOptions = {}): Promise<PeerIdString> {
    let asked: PeerIdString | undefined
    return await this.parts.consensus.withLeader('hand leadership over', options, async (leader, signal) => {
      if (asked !== undefined && leader !== asked) return confirmed(leader, to)
      asked = leader
      if (leader === this.id) return await this.transferHere(to, signal)
      return (await this.parts.rpc.call(leader, 'Consensus.transfer', to === undefined ? {} : { to }, { signal }))
        .leader
    })
  }

  /** Every member, sorted by ID, as it sees itself; one that cannot be asked has `error` set. */
  async *status(options: AbortOptions = {}): AsyncIterable<RaftPeer> {
    yield* await Promise.all(this.parts.consensus.peers().map((peer) => this.statusOf(peer, options)))
  }

  private async statusOf(peer: PeerIdString, options: AbortOptions): Promise<RaftPeer> {
    if (peer === this.id) return this.ownStatus()
    const { rpc, raft, peernameOf } = this.parts
    try {
      const call = { ...options, timeoutMs: STATUS_TIMEOUT_MS }
      return { ...(await rpc.call(peer, 'Consensus.status', null, call)), id: peer }
    } catch (error) {
      options.signal?.throwIfAborted()
      const message = error instanceof Error ? error.message : String(error)
      const voice = voiceOf(raft.status().config, (name) => peerOf(name) === peer)
      return { ...unknownPeer, id: peer, peername: peernameOf(peer), error: message || 'it could not be asked', voice }
    }
  }

  private ownStatus(): RaftPeer {
    return describePeer(this.parts.raft.status(), this.id, this.parts.peernameOf(this.id))
  }

  /** On the leader. @throws {NotLeaderError} on another */
  private async transferHere(to: PeerIdString | undefined, signal: AbortSignal): Promise<PeerIdString> {
    const { raft, consensus } = this.parts
    const { role, config } = raft.status()
    let node: NodeId | undefined
    if (to !== undefined && role === 'leader') {
      if (to === this.id) throw refused(to, 'it leads already')
      const voice = voiceOf(config, (name) => peerOf(name) === to)
      if (voice !== 'voter') throw refused(to, whyNot[voice])
      node = config.voters.find((name) => peerOf(name) === to)
    }
    try {
      await raft.transferLeadership(node, { signal })
    } catch (error) {
      throw translate(error, to)
    }
    return confirmed(consensus.leader(), to)
  }
}

const whyNot: Readonly<Record<Exclude<RaftVoice, 'voter'>, string>> = {
  learner: 'it is a learner',
  leaving: 'it is leaving',
  '': 'it is no member'
}

const refused = (to: PeerIdString, why: string): ApiError =>
  new ApiError('transfer-refused', `cannot hand leadership to ${to}: ${why}`)

/** Who leads, if it is who should. */
function confirmed(leader: PeerIdString | undefined, to: PeerIdString | undefined): PeerIdString {
  if (leader !== undefined && (to === undefined || leader === to)) return leader
  const who = leader === undefined ? 'nobody leads at the moment' : `${leader} leads now`
  throw new ApiError('transfer-failed', `leadership was not handed to ${to ?? 'another peer'}: ${who}`)
}

/** The error of the API for a hand-over that came to nothing; others pass, for `withLeader` to judge. By name, as everywhere. */
function translate(error: unknown, to: PeerIdString | undefined): unknown {
  const { name, reason, message } = error as Error & { reason?: unknown }
  const whom = to ?? 'another peer'
  if (name === 'OutcomeUnknownError') {
    return new ApiError('transfer-failed', `it is not known whether ${whom} leads: ${message}`, { cause: error })
  }
  if (name !== 'ProposalRefusedError' || reason === 'stopped') return error
  const code = reason === 'illegal-change' ? 'transfer-refused' : 'transfer-failed'
  return new ApiError(code, `leadership was not handed to ${whom}: ${message}`, { cause: error })
}

const unknownPeer: Omit<RaftPeer, 'id'> = {
  peername: '',
  error: '',
  role: '',
  voice: '',
  term: 0,
  leader: undefined,
  baseIndex: 0,
  lastIndex: 0,
  durableIndex: 0,
  commitIndex: 0,
  appliedIndex: 0,
  voters: [],
  learners: [],
  outgoing: [],
  followers: [],
  notes: []
}

/**
 * @param isIt - tells the names of the node, or of all lives of a peer: one that comes back is the learner that it is, and no longer the voter
 *   that it was (`member-names.ts`)
 */
function voiceOf({ voters, outgoing, learners }: ClusterConfig, isIt: (name: NodeId) => boolean): RaftVoice {
  if (learners.some(isIt)) return 'learner'
  if (voters.some(isIt)) return 'voter'
  return outgoing.some(isIt) ? 'leaving' : ''
}

/** A node's status in the words of the API. */
function describePeer(status: CoreStatus, id: PeerIdString, peername: string): RaftPeer {
  const role: RaftRole = status.role
  return {
    id,
    peername,
    error: '',
    role,
    voice: voiceOf(status.config, (name) => name === status.id),
    term: status.term,
    leader: status.leader === undefined ? undefined : peerOf(status.leader),
    baseIndex: status.baseIndex,
    lastIndex: status.lastIndex,
    durableIndex: status.durableIndex,
    commitIndex: status.commitIndex,
    appliedIndex: status.appliedIndex,
    voters: peersOf(status.config.voters),
    learners: peersOf(status.config.learners),
    outgoing: peersOf(status.config.outgoing),
    followers: status.peers.map(
      (peer): RaftFollower => ({
        id: peerOf(peer.id),
        state: peer.state,
        matchIndex: peer.matchIndex,
        nextIndex: peer.nextIndex,
        inflightMessages: peer.inflightMessages,
        lastContactMs: Number.isFinite(peer.lastContactAgoMs) ? Math.round(peer.lastContactAgoMs) : undefined
      })
    ),
    notes: notesOf(status)
  }
}

/** What else an operator may want to know; what is as usual is left out. */
function notesOf({ level, supportedLevel, health, priority, leaseRemainingMs }: CoreStatus): string[] {
  const notes = [`feature level: ${level}${supportedLevel === level ? '' : `; its version knows ${supportedLevel}`}`]
  if (health !== 'good') notes.push(`health: ${health}`)
  if (priority !== 0) notes.push(`priority: ${priority}`)
  if (leaseRemainingMs > 0) notes.push(`lease: for another ${Math.round(leaseRemainingMs)} ms`)
  return notes
}
