/**
 * Every call that one peer can make to another, and who may make it: the whole table on one page. A method that is not here does
 * not exist. Requests and answers are CBOR, checked against the schemas below on arrival, at both ends.
 *
 * `open`: any peer that holds the cluster's secret, since a joiner is not a member yet. `member`: members of the configuration in force.
 */

import {
  type PeerInfo,
  type PinInfo,
  type RaftPeer,
  raftProgressStates,
  raftRoles,
  raftVoices,
  type TrackerStatus,
  trackerStatuses
} from '@quorate/client/api'
import { z } from 'zod'
import { MAX_PEERNAME_CHARACTERS } from '../config/sections/cluster.ts'

export type TrustLevel = 'open' | 'member'

const peerId = z.string().min(1).max(128)
const cid = z.string().min(1).max(256)
const multiaddrs = z.array(z.string().max(1024)).max(256)
const nothing = z.null()
const peername = z.string().max(MAX_PEERNAME_CHARACTERS)

const status = z.enum(trackerStatuses as [TrackerStatus, ...TrackerStatus[]])

const pinInfo = z
  .object({
    cid,
    name: z.string(),
    peer: peerId,
    allocations: z.array(peerId),
    origins: z.array(z.string()),
    createdMs: z.number(),
    metadata: z.record(z.string(), z.string()),
    peername: z.string(),
    ipfsPeerId: z.string().optional(),
    ipfsPeerAddresses: z.array(z.string()),
    status,
    timestampMs: z.number(),
    error: z.string(),
    attemptCount: z.number(),
    priorityPin: z.boolean()
  })
  .transform((info): PinInfo => ({ ...info, ipfsPeerId: info.ipfsPeerId }))

const ipfsId = z.object({ id: z.string().optional(), addresses: z.array(z.string()), error: z.string() })

const peerInfo = z
  .object({
    id: peerId,
    addresses: z.array(z.string()),
    clusterPeers: z.array(peerId),
    clusterPeersAddresses: z.array(z.string()),
    version: z.string(),
    commit: z.string(),
    rpcProtocolVersion: z.string(),
    error: z.string(),
    ipfs: ipfsId,
    peername: z.string()
  })
  .transform((info): PeerInfo => ({ ...info, ipfs: { ...info.ipfs, id: info.ipfs.id } }))

const metric = z.object({
  name: z.string().min(1).max(128),
  value: z.string().max(64 * 1024),
  weight: z.number(),
  partitionable: z.boolean(),
  valid: z.boolean(),
  ttlMs: z.number().int().positive()
})

const index = z.number().int().nonnegative()
const raftPeers = z.array(peerId).max(1024)

const raftPeer = z
  .object({
    id: peerId,
    peername,
    error: z.string().max(4096),
    role: z.enum(raftRoles),
    voice: z.enum(raftVoices),
    term: index,
    leader: peerId.optional(),
    baseIndex: index,
    lastIndex: index,
    durableIndex: index,
    commitIndex: index,
    appliedIndex: index,
    voters: raftPeers,
    learners: raftPeers,
    outgoing: raftPeers,
    followers: z
      .array(
        z.object({
          id: peerId,
          state: z.enum(raftProgressStates),
          matchIndex: index,
          nextIndex: index,
          inflightMessages: index,
          lastContactMs: index.optional()
        })
      )
      .max(1024),
    notes: z.array(z.string().max(1024)).max(64)
  })
  .transform(
    (peer): RaftPeer => ({
      ...peer,
      leader: peer.leader,
      followers: peer.followers.map((follower) => ({ ...follower, lastContactMs: follower.lastContactMs }))
    })
  )

const session = z.string().regex(/^[0-9a-f]{32}$/)

/** A peer's name in the configuration, and its start, as in the hello of `@quorate/raft`. */
const nodeName = z.string().min(1).max(256)
const count = z.number().int().nonnegative()
const life = z.object({
  boot: count,
  bootId: z.string().regex(/^[0-9a-f]{16}$/),
  term: count,
  lastIndex: count.optional()
})

/** Most twins that an answer names. */
export const MAX_TWINS = 64

const twin = z.object({ session, address: z.string().max(1024) })

const member = z.object({ id: peerId, peername, addresses: multiaddrs })

/** What a joiner would be, and what it is. */
const joiner = {
  peername,
  addresses: multiaddrs,
  /** Of the process that asks: it must be the only one with its identity. */
  session,
  /** Names the data folder that it would begin. */
  incarnation: z.string().regex(/^[0-9a-f]{32}$/),
  /** What it has sound data of, if of anything. */
  current: z.object({ clusterId: z.string().max(128), name: nodeName }).optional(),
  /** It was a member, and comes back by itself. */
  returns: z.boolean().optional()
}

const joined = z.object({ clusterId: z.string(), alreadyMember: z.boolean(), peers: z.array(member) })

/** An answer that comes as one value, or as many. */
interface MethodShape<Request extends z.ZodType, Response extends z.ZodType, Kind extends 'unary' | 'stream'> {
  readonly trust: TrustLevel
  readonly kind: Kind
  readonly request: Request
  readonly response: Response
}

const unary = <Q extends z.ZodType, S extends z.ZodType>(
  trust: TrustLevel,
  request: Q,
  response: S
): MethodShape<Q, S, 'unary'> => ({
  trust,
  kind: 'unary',
  request,
  response
})

const stream = <Q extends z.ZodType, S extends z.ZodType>(
  trust: TrustLevel,
  request: Q,
  response: S
): MethodShape<Q, S, 'stream'> => ({
  trust,
  kind: 'stream',
  request,
  response
})

export const rpcMethods = {
  /** Who are you? */
  'Peer.info': unary('open', nothing, peerInfo),
  /** Which of our connections lead to another process with my identity? (`cluster-host/sessions.ts`) */
  'Peer.twins': unary('open', z.object({ session }), z.object({ twins: z.array(twin).max(MAX_TWINS) })),
  /** Am I a member of your cluster, going by your configuration in force; and am I, in this life, who you take me for? */
  'Cluster.membership': unary(
    'open',
    z.object({ name: nodeName, life: life.optional() }).nullable(),
    z.object({
      clusterId: z.string(),
      /** Whether a leader confirmed this just now, which takes a quorum; otherwise it is what the peer last knew. */
      confirmed: z.boolean(),
      member: z.boolean(),
      /** The caller's names in that configuration: one of each life that is still a member. */
      names: z.array(nodeName).max(64),
      /** Whether the caller took part once, in any life that this peer knows of. */
      tookPart: z.boolean(),
      /** Why the caller cannot be the node of its name: its disk holds less than it promised. */
      objection: z.string().max(1024).optional(),
      peers: z.array(member)
    })
  ),
  /** Make me a member. Resolves once the configuration that holds the caller as a learner is committed. */
  'Cluster.join': unary('open', z.object(joiner), joined),
  /** The same, passed on to the leader on behalf of `peer`. */
  'Consensus.join': unary('member', z.object({ peer: peerId, ...joiner }), joined),
  /** Append an operation (`state/ops.ts`); only the leader does it. Answers where it stands and what came of it. */
  'Consensus.propose': unary(
    'member',
    z.object({ op: z.custom<Uint8Array>((value) => value instanceof Uint8Array) }),
    z.object({ index: z.number().int().nonnegative(), result: z.unknown() })
  ),
  'Consensus.addPeer': unary('member', z.object({ peer: peerId }), nothing),
  'Consensus.removePeer': unary('member', z.object({ peer: peerId }), nothing),
  /** Hand leadership to `to`, or to the best voter; only the leader does it. Answers who leads then. */
  'Consensus.transfer': unary('member', z.object({ to: peerId.optional() }), z.object({ leader: peerId })),
  /** How do you stand in the agreement? */
  'Consensus.status': unary('member', nothing, raftPeer),
  'Tracker.status': unary('member', z.object({ cid }), pinInfo),
  'Tracker.statusAll': stream('member', z.object({ filter: z.array(status).optional() }), z.array(pinInfo)),
  'Tracker.recover': unary('member', z.object({ cid }), pinInfo),
  'Tracker.recoverAll': stream('member', nothing, z.array(pinInfo)),
  /** What the caller measures of itself. */
  'Monitor.push': unary('member', z.object({ metrics: z.array(metric).max(64) }), nothing),
  'Ipfs.repoGc': stream('member', nothing, z.array(z.object({ cid })))
} as const

export type RpcMethods = typeof rpcMethods
export type RpcMethod = keyof RpcMethods
export type RpcRequest<M extends RpcMethod> = z.infer<RpcMethods[M]['request']>
export type RpcResponse<M extends RpcMethod> = z.infer<RpcMethods[M]['response']>
export type UnaryMethod = { [M in RpcMethod]: RpcMethods[M]['kind'] extends 'unary' ? M : never }[RpcMethod]
export type StreamMethod = Exclude<RpcMethod, UnaryMethod>
