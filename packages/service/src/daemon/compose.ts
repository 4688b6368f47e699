/**
 * The composition root: the only place that knows the classes behind `ports.ts`. Builds a peer on an open network, starts its parts in
 * order, and stops them in the reverse order. `run.ts` calls it once it is settled which cluster the peer belongs to.
 */

import { join } from 'node:path'
import type { PeerIdString } from '@quorate/client/api'
import {
  type ClusterConfig,
  createLibp2pTransport,
  type Life,
  openDiskReserve,
  openFlightRecordFiles,
  openRaft,
  openSeenFile,
  openSegmentLog,
  openSnapshotStore,
  peerOf,
  QuarantineNeededError,
  type Raft,
  type RaftLogger
} from '@quorate/raft'
import { allocate } from '../allocator/allocate.ts'
import { QuorateClusterPeer } from '../cluster-peer.ts'
import { folderLayout } from '../config/paths.ts'
import type { IpfsConnectorSection, ServiceConfig } from '../config/schema.ts'
import { raftTiming } from '../config/sections/consensus.ts'
import { Expiry } from '../consensus/expiry.ts'
import { Leadership } from '../consensus/leadership.ts'
import { Membership } from '../consensus/membership.ts'
import { RaftConsensus } from '../consensus/raft-consensus.ts'
import { type Standing, StandingWatch } from '../consensus/standing-watch.ts'
import { HttpApi } from '../http/server.ts'
import { createDiskInformer } from '../informer/disk.ts'
import { createPingInformer, parsePing } from '../informer/ping.ts'
import { createPinqueueInformer } from '../informer/pinqueue.ts'
import { createTagsInformer } from '../informer/tags.ts'
import { meterConnector } from '../metrics/metered-connector.ts'
import { MetricsServer } from '../metrics/server.ts'
import { MetricsExchange } from '../monitor/exchange.ts'
import { createMetricStore } from '../monitor/metric-store.ts'
import { PeerDirectory } from '../peer-directory.ts'
import type { Informer, IpfsConnector, Logger, PinsetChange } from '../ports.ts'
import type { OpResult } from '../state/ops.ts'
import { openPinsetState } from '../state/pinset-state.ts'
import { createTracker } from '../tracker/tracker.ts'
import { stateCaughtUp } from './catch-up.ts'
import { type Group, nameIn, seedOf } from './group-file.ts'
import { answerStrangers } from './introductions.ts'
import type { Network } from './network.ts'
import { PeerRecordKeeper } from './peer-record.ts'
import { Readiness } from './ready.ts'
import { SwarmKeeper } from './swarm.ts'

/** What the others promised (`PeersSeen` of `@quorate/raft`), beside the log. */
const SEEN_FILE = 'peers-seen.json'

/** Below the folder of the consensus data: what led to a halt, for a replay. */
const FLIGHT_RECORDS = 'flight-records'

/** How long a leader that stops may take to hand over. */
const HAND_OVER_MS = 1_000

export interface PeerInit {
  readonly config: ServiceConfig
  readonly network: Network
  readonly group: Group
  /** This start of the data folder, counted. */
  readonly life: Life
  /** The first configuration, of a cluster that is being formed. */
  readonly bootstrap: ClusterConfig | undefined
  /** Whom to reach before the log says who is a member: of a joiner, those that the join named. */
  readonly knownPeers: readonly PeerIdString[]
  /** Whose addresses are written down: asked for what is damaged here, and trusted with nothing else. */
  readonly peerstorePeers: readonly PeerIdString[]
  /** After so long without a leader the start fails; undefined: never. */
  readonly readyTimeoutMs: number | undefined
  readonly version: string
  /** Serve metrics, whatever the configuration says. */
  readonly stats: boolean
  /** Ends the start. */
  readonly signal: AbortSignal
  readonly logger: (component: string) => Logger
  /** The peer cannot go on as it is. Called once, or more often if several things come together. */
  readonly onEnd: (end: PeerEnd) => void
}

/** It was removed, its data is not to be used any more, or its consensus halted. */
export type PeerEnd = Standing | { readonly type: 'halted'; readonly reason: string }

/** A peer that runs. */
export interface Peer {
  readonly raft: Raft<OpResult>
  readonly consensus: RaftConsensus
  /** Multiaddrs of the REST API. */
  readonly apiAddresses: readonly string[]
  /** @throws {StartError} when the peer does not become ready in time */
  waitReady(signal: AbortSignal): Promise<void>
  stop(): Promise<void>
}

/** Builds and starts all parts. What was started is stopped again if one of them fails. */
export async function startPeer(init: PeerInit): Promise<Peer> {
  const { config, network, group, logger, version } = init
  const { id, libp2p, rpc, addressBook } = network
  const { peername } = config.cluster
  const folders = folderLayout(config.folder)
  const stops: (() => Promise<void> | void)[] = []
  const stop = async (): Promise<void> => {
    for (const end of stops.reverse()) {
      try {
        await end()
      } catch (error) {
        logger('cluster').error({ error: String(error) }, 'a part of the peer did not stop in order')
      }
    }
    stops.length = 0
  }

  try {
    // State, and what listens to it. The tracker is made after the state that it reads, so changes go through this.
    let onChange = (_change: PinsetChange): void => undefined
    const state = await openPinsetState({ folder: folders.state, onChange: (change) => onChange(change) })
    stops.push(() => state.close())

    const { connector, counts: ipfsCounts } = meterConnector(
      await createConnector(config, folders.ipfs, logger('ipfs'))
    )
    const ipfs = new SwarmKeeper({ connector, logger: logger('ipfs') }, startDelayOf(config.ipfsConnector))
    const tracker = createTracker(
      {
        peerId: id,
        peername: () => peername,
        connector,
        pinset: state,
        folder: folders.tracker,
        logger: logger('pintracker'),
        ipfsId: () => ipfs.id()
      },
      {
        ...config.pinTracker.stateless,
        recoverIntervalMs: config.cluster.pinRecoverIntervalMs,
        pinTimeoutMs: config.ipfsConnector.pinTimeoutMs,
        unpinTimeoutMs: config.ipfsConnector.unpinTimeoutMs
      }
    )

    // Beside what follows, since it takes the longest. A node that does not start is no reason to withhold the peer: it is tried again,
    // and the tracker waits for it.
    const connecting = connector.start().catch((error: unknown) => {
      logger('ipfs').error({ error: String(error) }, 'the IPFS node did not start, it will be tried again')
    })
    stops.push(() => connector.stop())

    // Consensus.
    const dataFolder = config.consensus.raft.dataFolder
    const name = nameIn(group, id)
    const seenFile = await openSeenFile(join(dataFolder, SEEN_FILE))
    stops.push(() => seenFile.close())
    // A node that is refused while it still repairs its log would wait for help that nobody gives it.
    const starting = new AbortController()
    let standing: StandingWatch | undefined
    const transport = createLibp2pTransport({
      libp2p,
      nodeId: name,
      clusterId: group.clusterId,
      incarnation: group.incarnation,
      life: init.life,
      seen: seenFile.seen,
      onRefused: (peer, reason) => logger('raft').warn({ peer, reason }, 'a peer refuses our messages'),
      onOlderCopy: (_peer, reason) => {
        if (standing === undefined) starting.abort(new QuarantineNeededError('history-lost', reason))
        else standing.onRefused()
      },
      logger: raftLogger(logger('raft'))
    })
    const disk = openDiskReserve({ folder: dataFolder, logger: raftLogger(logger('raft')) })
    const raft = await openRaft<OpResult>(
      {
        storage: openSegmentLog({ folder: dataFolder, seedContext: seedOf(group), reserve: disk }),
        disk,
        snapshots: openSnapshotStore({ folder: dataFolder }),
        transport,
        stateMachine: state,
        flightRecords: openFlightRecordFiles({ folder: join(dataFolder, FLIGHT_RECORDS) }),
        logger: raftLogger(logger('raft'))
      },
      {
        id: name,
        // A node that is damaged repairs itself from its peers first, and may have to wait for them.
        signal: AbortSignal.any([init.signal, starting.signal]),
        knownPeers: [...init.knownPeers, ...init.peerstorePeers],
        options: raftTiming(config.consensus.raft),
        seed: Number.parseInt(network.sessions.session.slice(-8), 16),
        ...(init.bootstrap === undefined ? {} : { bootstrap: init.bootstrap })
      }
    )
    stops.push(() => raft.close({ handOverMs: HAND_OVER_MS }))
    const begunAnew = state.appliedIndex() === 0 && raft.status().lastIndex > 0
    raft.on('halt', ({ reason }) => init.onEnd({ type: 'halted', reason }))
    raft.on('alarm', ({ code, detail, peer }) => {
      // It is refused from now on, and finds out why (`standing-watch.ts`).
      if (code === 'peer-lost-log' && peer !== undefined) transport.condemn(peer, detail)
    })
    raft.on('role', ({ role, term, leader }) =>
      logger('raft').info({ role, term, leader: leader === undefined ? 'none' : peerOf(leader) }, 'role')
    )

    const connected = (): ReadonlySet<PeerIdString> => network.connected()
    const membership = new Membership(
      { raft, sessions: network.sessions, logger: logger('cluster'), records: () => state.peerRecords.list() },
      group.clusterId
    )
    const consensus = new RaftConsensus(
      { raft, rpc, membership, logger: logger('consensus'), connected },
      { id, waitForLeaderTimeoutMs: config.consensus.raft.waitForLeaderTimeoutMs }
    )
    network.setMembershipTest((peer) => consensus.peers().includes(peer) || init.knownPeers.includes(peer))
    membership.start()
    stops.push(() => membership.stop())

    const expiry = new Expiry(
      { raft, consensus, pinset: state, logger: logger('cluster') },
      config.cluster.stateSyncIntervalMs
    )
    expiry.start()
    stops.push(() => expiry.stop())

    const watch = new StandingWatch(
      { raft, rpc, logger: logger('cluster'), connected },
      {
        id,
        clusterId: group.clusterId,
        life: init.life,
        intervalMs: config.cluster.peerWatchIntervalMs,
        onLost: init.onEnd
      }
    )
    standing = watch
    starting.signal.throwIfAborted()
    watch.start()
    stops.push(() => watch.stop())

    // What the peers say of themselves.
    const monitor = createMetricStore({ members: () => consensus.peers() })
    const exchange = new MetricsExchange(
      {
        rpc,
        informers: createInformers(config, connector, ipfs, () => tracker.queuedPinCount()),
        logger: logger('monitor'),
        members: () => consensus.peers(),
        connected,
        put: (peer, { ttlMs, ...metric }) => {
          monitor.put(peer, metric, ttlMs)
          if (metric.name === 'ping' && peer !== id) ipfs.setPeer(peer, parsePing(metric.value)?.ipfsAddresses ?? [])
        }
      },
      id
    )
    raft.on('config', () => ipfs.retain(consensus.peers()))
    const records = new PeerRecordKeeper(
      { libp2p, raft, consensus, state, addressBook, logger: logger('pstoremgr') },
      { id, peername }
    )

    if (init.stats || config.observations.metrics.enableStats) {
      const metrics = new MetricsServer(
        {
          ...{ raft, pinset: state, tracker, monitor, ipfsCounts, connected },
          members: () => consensus.peers(),
          logger: logger('metrics')
        },
        { id, section: config.observations.metrics, diskMetric: config.informer.disk?.metricType }
      )
      await metrics.start()
      stops.push(() => metrics.stop())
      logger('metrics').info({ url: metrics.url }, 'serving metrics')
    }

    // The peer as its clients see it.
    const directory = new PeerDirectory({ libp2p, rpc, consensus, membership, connector }, { id, peername, version })
    const leadership = new Leadership(
      { raft, rpc, consensus, peernameOf: (peer) => directory.label(peer).peername },
      id
    )
    const peer = new QuorateClusterPeer(
      {
        consensus,
        leadership,
        pinset: state,
        tracker,
        connector,
        rpc,
        directory,
        allocate: (request) =>
          allocate({
            ...request,
            allocateBy: config.allocator.balanced.allocateBy,
            monitor,
            members: consensus.peers()
          }),
        logger: logger('cluster')
      },
      {
        id,
        version,
        replication: config.cluster,
        readTimeoutMs: config.consensus.raft.readTimeoutMs,
        followerMode: config.cluster.followerMode
      }
    )
    answerStrangers(
      {
        rpc,
        raft,
        consensus,
        membership,
        sessions: network.sessions,
        seen: seenFile.seen,
        info: (signal) => peer.info({ signal })
      },
      id,
      group.clusterId
    )
    const readiness = new Readiness(
      { raft, connected, logger: logger('cluster') },
      { name, timeoutMs: init.readyTimeoutMs }
    )
    const api =
      config.api.restapi === undefined
        ? undefined
        : new HttpApi({ peer, logger: logger('restapi'), notReady: () => readiness.reason() }, config.api.restapi)

    if (api !== undefined) {
      await api.start()
      stops.push(() => api.stop())
    }
    onChange = (change) => tracker.onChange(change)
    await connecting
    if (begunAnew) await stateCaughtUp(raft, AbortSignal.any([init.signal, starting.signal]))
    await tracker.start()
    stops.push(() => tracker.stop())
    await ipfs.start(() => exchange.refresh('ping'))
    stops.push(() => ipfs.stop())
    await exchange.start()
    stops.push(() => exchange.stop())
    records.start()
    stops.push(() => records.stop())

    return {
      raft,
      consensus,
      apiAddresses: api?.addresses() ?? [],
      waitReady: (signal) => readiness.wait({ signal }),
      stop
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Each kind brings libraries of its own, which the other has no need to load. */
async function createConnector(config: ServiceConfig, folder: string, logger: Logger): Promise<IpfsConnector> {
  const section = config.ipfsConnector
  if (section.kind === 'embedded') {
    const { createEmbeddedConnector } = await import('../ipfs/embedded/embedded-connector.ts')
    return createEmbeddedConnector({
      folder,
      network: section.network,
      listenMultiaddrs: section.listenMultiaddress,
      storageMaxBytes: section.storageMaxBytes,
      logger
    })
  }
  const { createKuboConnector } = await import('../ipfs/kubo/kubo-connector.ts')
  return createKuboConnector({ ...section, logger })
}

const startDelayOf = (section: IpfsConnectorSection): number =>
  section.kind === 'embedded' ? 0 : section.connectSwarmsDelayMs

function createInformers(
  config: ServiceConfig,
  connector: IpfsConnector,
  ipfs: SwarmKeeper,
  queuedPinCount: () => number
): readonly Informer[] {
  const { disk, tags, pinqueue } = config.informer
  return [
    createPingInformer({
      peername: config.cluster.peername,
      ipfsId: () => ipfs.id(),
      ttlMs: 2 * config.cluster.monitorPingIntervalMs
    }),
    ...(disk === undefined ? [] : [createDiskInformer(connector, disk)]),
    ...(tags === undefined ? [] : [createTagsInformer(tags)]),
    ...(pinqueue === undefined ? [] : [createPinqueueInformer({ queuedPinCount }, pinqueue)])
  ]
}

/** The consensus package logs plain sentences. */
const raftLogger = (logger: Logger): RaftLogger => ({
  debug: (message) => logger.debug(message),
  info: (message) => logger.info(message),
  warn: (message) => logger.warn(message),
  error: (message) => logger.error(message)
})
