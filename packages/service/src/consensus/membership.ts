/**
 * Who is a member: joining, promotion, removal. Runs on every peer and acts on the leader.
 *
 * A joiner becomes a learner first and a voter once it has caught up (dissertation §4.2.1), so that adding a peer that is slow or
 * out of reach never costs a quorum. The leader promotes by itself, whichever leader that is by then.
 *
 * A joiner brings a new name with each life of its data folder. A peer that comes back without its data is a learner under a new name beside
 * the voter that it was, and takes that one's place in one joint change once it has caught up: it never votes as the one that it was
 * (T34), and at no moment are there fewer voters than before.
 *
 * `raft-consensus.ts` forwards to the leader; `daemon/join.ts` is the joiner's side.
 */

import { ApiError, LastPeerError, type MultiaddrString, type PeerIdString } from '@quorate/client/api'
import { type MembershipChange, type NodeId, nodeNameOf, peerOf, type Raft } from '@quorate/raft'
import type { Sessions } from '../cluster-host/sessions.ts'
import { IdentityInUseError } from '../errors.ts'
import type { AbortOptions, Logger } from '../ports.ts'
import { encodeOperation, type OpResult, type PeerRecord } from '../state/ops.ts'
import { namesIn, namesOf, peersOf } from './member-names.ts'

/** How often the leader looks whether a learner has caught up. */
const PROMOTION_INTERVAL_MS = 100
/** A learner this close to the leader's log has caught up: a voter could not be told from it. */
const PROMOTION_LAG_ENTRIES = 1_000
/** A learner not heard of for this long is not promoted. */
const PROMOTION_CONTACT_MS = 1_000

export interface MembershipComponents {
  readonly raft: Raft<OpResult>
  readonly logger: Logger
  readonly sessions: Pick<Sessions, 'twinsOf'>
  /** The replicated records of all members. */
  readonly records: () => readonly PeerRecord[]
}

export interface JoinRequest {
  readonly peer: PeerIdString
  readonly peername: string
  readonly addresses: readonly MultiaddrString[]
  /** Of the process that asks. */
  readonly session: string
  /** Names the data folder that the joiner would begin: hex digits, new for each. */
  readonly incarnation: string
  /** What the joiner has sound data of: the cluster, and its own name there. */
  readonly current?: { readonly clusterId: string; readonly name: NodeId } | undefined
  /** The joiner was a member, and comes back: who was removed meanwhile stays out. */
  readonly returns?: boolean | undefined
}

export interface JoinAnswer {
  readonly clusterId: string
  /** The joiner has its data and is a member already: nothing was done. */
  readonly alreadyMember: boolean
  readonly peers: { id: string; peername: string; addresses: string[] }[]
}

const without = (names: readonly NodeId[], peer: PeerIdString): NodeId[] =>
  names.filter((name) => peerOf(name) !== peer)

export class Membership {
  private readonly raft: Raft<OpResult>
  private readonly logger: Logger
  private readonly sessions: Pick<Sessions, 'twinsOf'>
  private readonly records: () => readonly PeerRecord[]
  private readonly clusterId: string
  private timer: NodeJS.Timeout | undefined
  private promoting = false
  /** Changes are made one at a time: each is computed from the configuration that the one before left. */
  private queue: Promise<unknown> = Promise.resolve()

  constructor(components: MembershipComponents, clusterId: string) {
    this.raft = components.raft
    this.logger = components.logger
    this.sessions = components.sessions
    this.records = components.records
    this.clusterId = clusterId
  }

  start(): void {
    this.timer = setInterval(() => void this.promote(), PROMOTION_INTERVAL_MS)
    this.timer.unref()
  }

  stop(): void {
    clearInterval(this.timer)
  }

  /**
   * Leader only: makes the caller a learner, and answers once that is committed.
   *
   * @throws {ApiError} `bad-request` when it returns and was removed
   * @throws {IdentityInUseError} when another process uses its identity
   */
  async join(request: JoinRequest, options: AbortOptions = {}): Promise<JoinAnswer> {
    await this.refuseTwin(request)
    await this.raft.readBarrier(options)
    const { peer, peername, addresses, current } = request
    const names = namesOf(this.raft.status().config, peer)
    const alreadyMember = current?.clusterId === this.clusterId && names.includes(current.name)
    if (!alreadyMember) {
      if (request.returns === true && names.length === 0) {
        throw new ApiError(
          'bad-request',
          `${peer} was removed from cluster ${this.clusterId}: it does not come back by itself`
        )
      }
      await this.propose({ peerId: peer, peername, addresses }, options)
      await this.addLearner(peer, nodeNameOf(peer, request.incarnation), options)
      this.logger.info(
        { peer, peername },
        names.length > 0
          ? 'a member comes back without its data: it is a learner until it has caught up, and then takes its own place'
          : 'a peer joins: it is a learner until it has caught up'
      )
    }
    return { clusterId: this.clusterId, alreadyMember, peers: this.members() }
  }

  /**
   * A joiner whose identity is in use by another process must not take that one's place.
   * @throws {IdentityInUseError}
   */
  async refuseTwin({ peer, session }: Pick<JoinRequest, 'peer' | 'session'>): Promise<void> {
    const [twin] = await this.sessions.twinsOf(peer, session)
    if (twin === undefined) return
    throw new IdentityInUseError(peer, twin.address)
  }

  /** Leader only: the same for a peer whose addresses are known otherwise; promotion follows. */
  async addPeer(peer: PeerIdString, options: AbortOptions = {}): Promise<void> {
    if (namesOf(this.raft.status().config, peer).length === 0) await this.addLearner(peer, peer, options)
  }

  /**
   * Leader only. No-op for a stranger.
   * @throws {LastPeerError}
   */
  async removePeer(peer: PeerIdString, options: AbortOptions = {}): Promise<void> {
    let known = false
    await this.change(options, ({ voters, learners }) => {
      known = [...voters, ...learners].some((name) => peerOf(name) === peer)
      if (!known) return undefined
      const left = without(voters, peer)
      if (left.length === 0) throw new LastPeerError()
      return { voters: left, learners: without(learners, peer) }
    })
    if (!known || this.raft.status().role !== 'leader') return
    await this.raft.propose(encodeOperation({ kind: 'peer-forget', peerId: peer }), options).catch((error: unknown) => {
      this.logger.warn({ peer, error: String(error) }, 'the peer is removed, its address record is not')
    })
  }

  /** All members with what is known of them. */
  members(): { id: string; peername: string; addresses: string[] }[] {
    const records = new Map(this.records().map((record) => [record.peerId, record]))
    return peersOf(namesIn(this.raft.status().config)).map((id) => {
      const record = records.get(id)
      return { id, peername: record?.peername ?? '', addresses: [...(record?.addresses ?? [])] }
    })
  }

  /** A learner that the peer was under another name gives way: it never voted, and its data is gone. */
  private async addLearner(peer: PeerIdString, name: NodeId, options: AbortOptions): Promise<void> {
    await this.change(options, ({ voters, learners }) =>
      voters.includes(name) || learners.includes(name)
        ? undefined
        : { voters: [...voters], learners: [...without(learners, peer), name].sort() }
    )
  }

  private async propose(record: PeerRecord, options: AbortOptions): Promise<void> {
    await this.raft.propose(encodeOperation({ kind: 'peer-record', record }), options)
  }

  /** Makes one change after those before it; `next` may say that there is nothing to do. */
  private change(
    options: AbortOptions,
    next: (config: MembershipChange) => MembershipChange | undefined
  ): Promise<void> {
    const run = async (): Promise<void> => {
      options.signal?.throwIfAborted()
      const { voters, learners } = this.raft.status().config
      const target = next({ voters, learners })
      if (target !== undefined) await this.raft.changeMembers(target, options)
    }
    const done = this.queue.then(run, run)
    this.queue = done.catch(() => undefined)
    return done
  }

  /** Makes voters of the learners that have caught up; one that is the return of a voter takes that one's place in the same change. */
  private async promote(): Promise<void> {
    const status = this.raft.status()
    if (this.promoting || status.role !== 'leader' || status.config.outgoing.length > 0) return
    const ready = status.peers.find(
      (peer) =>
        // Peers that leave are still told of it, and are no learners any more.
        status.config.learners.includes(peer.id) &&
        peer.state === 'replicate' &&
        status.lastIndex - peer.matchIndex < PROMOTION_LAG_ENTRIES &&
        peer.lastContactAgoMs < PROMOTION_CONTACT_MS
    )
    if (ready === undefined) return
    this.promoting = true
    try {
      await this.change({ signal: AbortSignal.timeout(10_000) }, ({ voters, learners }) =>
        learners.includes(ready.id)
          ? {
              voters: [...without(voters, peerOf(ready.id)), ready.id].sort(),
              learners: learners.filter((name) => name !== ready.id)
            }
          : undefined
      )
      this.logger.info({ peer: peerOf(ready.id) }, 'a learner has caught up and votes now')
    } catch (error) {
      this.logger.debug({ peer: peerOf(ready.id), error: String(error) }, 'a learner could not be made a voter yet')
    } finally {
      this.promoting = false
    }
  }
}
