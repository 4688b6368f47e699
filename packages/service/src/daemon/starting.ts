/**
 * How a daemon gets to the data that its peer runs on: looks at what is there, lets `plan.ts` decide, and carries that out. Forms a
 * cluster, joins one, comes back to one, or goes on with what it has. `run.ts` calls it and starts the peer.
 */

import { type ClusterConfig, type DiskPosition, inspectGroup, type NodeId, peerOf } from '@quorate/raft'
import type { RunDaemonOptions } from '../cli/daemon-options.ts'
import type { ServiceConfig } from '../config/schema.ts'
import { StartError } from '../errors.ts'
import type { Logger } from '../ports.ts'
import { askAround } from './ask-around.ts'
import {
  clusterIdOfPeerset,
  DamagedFileError,
  foundingGroup,
  type Group,
  mendGroup,
  nameIn,
  newGroup,
  newIncarnation,
  randomClusterId,
  readMembership,
  seedOf,
  writeGroup,
  writeMembership
} from './group-file.ts'
import { askToJoin, type JoinAnswer } from './join.ts'
import type { Network } from './network.ts'
import { type Plan, planStart } from './plan.ts'
import { rejoin } from './rejoin.ts'
import { moveAside, moveStrayData } from './set-aside.ts'

/** An answer to a join comes after the target has found its leader and committed a change. */
const JOIN_MARGIN_MS = 5_000

/** What a disk without a log holds. */
export const EMPTY_DISK: DiskPosition = { term: 0, lastIndex: 0 }

/** What one run of a daemon has to work with, once its network is open. */
export interface Context {
  readonly config: ServiceConfig
  readonly options: RunDaemonOptions
  readonly network: Network
  /** IDs that the operator wrote addresses of. */
  readonly peerstorePeers: readonly string[]
  readonly logger: (component: string) => Logger
  /** Why the data that is there may not be used, as far as this run of the daemon has learned. */
  readonly lost: string | undefined
  /** Aborts when the daemon is told to stop. */
  readonly stop: AbortSignal
}

/** Looks at what is there, and decides. */
export async function makePlan({
  config,
  options,
  network,
  lost
}: Context): Promise<{ plan: Plan; position: DiskPosition }> {
  const raft = config.consensus.raft
  let damage: string | undefined
  const orDamaged = (error: unknown): undefined => {
    if (!(error instanceof DamagedFileError)) throw error
    damage ??= error.message
  }
  const group = await mendGroup(raft.dataFolder).catch(orDamaged)
  const membership = await readMembership(config.folder).catch(orDamaged)
  if (group !== undefined && peerOf(nameIn(group, network.id)) !== network.id) {
    throw new StartError(
      `the consensus data in ${raft.dataFolder} is that of peer ${peerOf(nameIn(group, network.id))}, and this peer is ${network.id}: move it away, or put its identity.json back`
    )
  }
  const stored = group === undefined ? undefined : await inspect(raft.dataFolder, group)
  const unreadable = typeof stored === 'string' ? stored : undefined
  const position = stored === undefined || typeof stored === 'string' ? EMPTY_DISK : stored
  const plan = planStart({
    self: network.id,
    group,
    lost: lost ?? unreadable ?? (group === undefined ? damage : undefined),
    logIsEmpty: position.lastIndex === 0,
    // Written at the first READY: where it is damaged, this peer was a member.
    membership:
      membership ?? (group && damage !== undefined ? { clusterId: group.clusterId, state: 'member' } : undefined),
    bootstrap: options.bootstrap,
    initPeerset: raft.initPeerset
  })
  return { plan, position }
}

/** @returns how far the disk reaches; or, in words, why nobody can tell any more how this peer voted (T53) */
async function inspect(dataFolder: string, group: Group): Promise<DiskPosition | string> {
  try {
    const stored = await inspectGroup(dataFolder, { seedContext: seedOf(group) })
    return stored === undefined
      ? EMPTY_DISK
      : { term: stored.hardState.term, lastIndex: stored.damaged ? undefined : stored.lastIndex }
  } catch (error) {
    if (error instanceof Error && error.name === 'HardStateLostError') return error.message
    throw error
  }
}

/** What the peer is to run on. */
export interface Start {
  readonly group: Group
  /** Whether the data begins with this start. */
  readonly fresh: boolean
  readonly bootstrap: ClusterConfig | undefined
  readonly knownPeers: readonly string[]
  /** Whether the start fails without a leader. */
  readonly forming: boolean
}

/**
 * Does what was decided.
 *
 * @returns what to run on; or that this peer was removed while it was away
 * @throws {StartError} when it cannot be done; nothing on this peer was changed then
 */
export async function carryOut(plan: Exclude<Plan, { type: 'refuse' }>, context: Context): Promise<Start | 'removed'> {
  const { config, network, logger, stop } = context
  const log = logger('cluster')
  const raft = config.consensus.raft
  switch (plan.type) {
    case 'restart': {
      if (plan.note !== undefined) log.info(plan.note)
      // Data of a cluster that never had a leader: the same first configuration again.
      const { group, forming, voters } = plan
      const names = group.name === undefined ? voters : [group.name]
      const bootstrap = forming && voters !== undefined && names !== undefined ? firstConfig(names) : undefined
      return { group, fresh: false, bootstrap, knownPeers: [], forming }
    }
    case 'form': {
      const alone = plan.voters.length === 1
      const objection = await askAround(network, [...context.peerstorePeers, ...raft.initPeerset], alone, stop)
      if (objection?.type === 'refuse') throw new StartError(objection.reason)
      if (objection !== undefined) return await comeBack({ ...objection, type: 'rejoin' }, context)
      const clusterId = alone ? randomClusterId() : clusterIdOfPeerset(plan.voters)
      const group = alone ? newGroup(clusterId, network.id) : foundingGroup(clusterId)
      await moveStrayData(config, log)
      await writeGroup(raft.dataFolder, group)
      log.info(
        { clusterId, voters: plan.voters },
        alone ? 'forming a new cluster of one peer' : 'forming a cluster of the fixed peerset'
      )
      const bootstrap = firstConfig(alone ? [nameIn(group, network.id)] : plan.voters)
      return { group, fresh: true, bootstrap, knownPeers: [], forming: !alone }
    }
    case 'join': {
      const incarnation = newIncarnation()
      const { current } = plan
      const answer = await askToJoin(
        { libp2p: network.libp2p, rpc: network.rpc, logger: log },
        {
          addresses: plan.addresses,
          peername: config.cluster.peername,
          session: network.sessions.session,
          incarnation,
          current: current && { clusterId: current.clusterId, name: nameIn(current, network.id) },
          dialTimeoutMs: config.cluster.dialPeerTimeoutMs,
          answerTimeoutMs: raft.waitForLeaderTimeoutMs + JOIN_MARGIN_MS,
          signal: stop
        }
      )
      if (answer.alreadyMember && current !== undefined) {
        const knownPeers = await meet(answer, network)
        log.info(
          { clusterId: answer.clusterId },
          'this peer is a member already: --bootstrap is not needed, and nothing was changed'
        )
        return { group: current, fresh: false, bootstrap: undefined, knownPeers, forming: false }
      }
      return await begin(answer, incarnation, context)
    }
    case 'rejoin':
      return await comeBack(plan, context)
  }
}

/** Lets a member that may have forgotten what it promised in again, as a stranger (T34, T35). */
async function comeBack(plan: Extract<Plan, { type: 'rejoin' }>, context: Context): Promise<Start | 'removed'> {
  const { config, network, logger, stop } = context
  const log = logger('cluster')
  const { clusterId, why } = plan
  log.warn(
    { clusterId, why },
    'this peer does not vote as the one that it was: it comes back to its cluster as a learner. To give up that cluster and start anew, stop it and remove raft and membership.json'
  )
  const incarnation = newIncarnation()
  const outcome = await rejoin(network, {
    clusterId,
    request: {
      peername: config.cluster.peername,
      session: network.sessions.session,
      addresses: network.libp2p.getMultiaddrs().map(String),
      incarnation,
      returns: true
    },
    answerTimeoutMs: config.consensus.raft.waitForLeaderTimeoutMs + JOIN_MARGIN_MS,
    logger: log,
    signal: stop
  })
  return outcome.type === 'removed' ? 'removed' : await begin(outcome.answer, incarnation, context)
}

/** Begins a new life of the data folder, as the learner that the members let in. What was there is kept aside. */
async function begin(answer: JoinAnswer, incarnation: string, { config, network, logger }: Context): Promise<Start> {
  const log = logger('cluster')
  const { clusterId } = answer
  const knownPeers = await meet(answer, network)
  await moveAside(config, log)
  const group = newGroup(clusterId, network.id, incarnation)
  await writeMembership(config.folder, { clusterId, state: 'member' })
  await writeGroup(config.consensus.raft.dataFolder, group)
  log.info({ clusterId, peers: knownPeers.length }, 'joining: this peer learns the state, then it votes')
  return { group, fresh: true, bootstrap: undefined, knownPeers, forming: false }
}

/** Learns the addresses of the members. @returns the others' IDs */
async function meet(answer: JoinAnswer, network: Network): Promise<readonly string[]> {
  for (const { id, addresses } of answer.peers) await network.addressBook.learn({ id, addresses })
  return answer.peers.map(({ id }) => id).filter((id) => id !== network.id)
}

const firstConfig = (voters: readonly NodeId[]): ClusterConfig => ({ voters, outgoing: [], learners: [] })
