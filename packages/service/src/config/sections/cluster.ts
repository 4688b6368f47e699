/** The `cluster` section of `service.json`: this peer among the others. Read by `schema.ts`; the keys are IPFS Cluster's. */

import { hostname } from 'node:os'
import { group, type Values } from '../field.ts'
import { addresses, boolean, duration, hexKey, integer, requiredPath, text } from '../field-types.ts'

/** Longer names are not passed between peers. */
export const MAX_PEERNAME_CHARACTERS = 256

export const clusterShape = {
  peername: text(
    hostname,
    `The name of this peer for people, of up to ${MAX_PEERNAME_CHARACTERS} characters. It need not be unique.`,
    {
      fallbackText: 'the name of the host'
    }
  ),
  secret: hexKey(
    'The key of the private network: peers with another one cannot connect. `init` makes a random one; it must be the same on all peers of a cluster.',
    { fallbackText: 'none; `init` makes one' }
  ),
  leaveOnShutdown: boolean(false, 'Leave the cluster at every orderly stop.'),
  listenMultiaddress: addresses(
    ['/ip4/0.0.0.0/tcp/9096'],
    'Where this peer listens for the others. TCP only: an address of another transport, such as the QUIC entry that IPFS Cluster writes, is passed over.',
    { nonEmpty: true }
  ),
  announceMultiaddress: addresses([], 'Told to the others instead of the addresses that were found.'),
  noAnnounceMultiaddress: addresses([], 'Not told to the others: exact addresses, or `/ipcidr/` masks.'),
  enableRelayHop: boolean(true, 'Relays of circuits.', { inert: true }),
  connectionManager: group({
    highWater: integer(400, 'Most connections in the cluster network.', { min: 1 }),
    lowWater: integer(100, 'Where pruning of connections stops.', { min: 1, inert: true }),
    gracePeriodMs: duration('2m0s', 'How long a new connection is safe from pruning.', { inert: true })
  }),
  resourceManager: group({
    enabled: boolean(true, 'Limits on memory and files of the network.', { inert: true }),
    memoryLimitBytes: integer(0, 'Most memory, in bytes.', { min: 0, inert: true }),
    fileDescriptorsLimit: integer(0, 'Most files.', { min: 0, inert: true })
  }),
  pubsub: group({
    seenMessagesTtlMs: duration('30m0s', 'How long messages are remembered.', { inert: true }),
    heartbeatIntervalMs: duration('10s', 'Between two heartbeats.', { inert: true }),
    dFactor: integer(4, 'Degree of the mesh.', { min: 1, inert: true }),
    historyGossip: integer(2, 'Rounds that are gossiped.', { min: 1, inert: true }),
    historyLength: integer(6, 'Rounds that are remembered.', { min: 1, inert: true }),
    floodPublish: boolean(false, 'Publish to everybody.', { inert: true })
  }),
  dialPeerTimeoutMs: duration('3s', 'How long a dial of a peer may take.'),
  stateSyncIntervalMs: duration('5m0s', 'How often expired pins are looked for.'),
  pinRecoverIntervalMs: duration('12m0s', 'How often pins that failed here are tried again. Also done at the start.'),
  replicationFactorMin: integer(-1, 'Fewest peers that hold a pin that names no number of its own; -1: all peers.', {
    min: -1,
    zeroIsDefault: true
  }),
  replicationFactorMax: integer(-1, 'Most peers that hold a pin that names no number of its own; -1: all peers.', {
    min: -1,
    zeroIsDefault: true
  }),
  monitorPingIntervalMs: duration(
    '15s',
    'How often this peer tells the others that it is alive; it is believed for twice as long.'
  ),
  peerWatchIntervalMs: duration('5s', 'How often this peer looks whether it is still a member.'),
  mdnsIntervalMs: duration(
    '10s',
    'How often peers are looked for on the local network by multicast DNS; `0s` turns that off.',
    {
      zero: true
    }
  ),
  pinOnlyOnTrustedPeers: boolean(false, 'All members are trusted here.', { inert: true }),
  pinOnlyOnUntrustedPeers: boolean(false, 'All members are trusted here.', { inert: true }),
  disableRepinning: boolean(
    true,
    'Leave pins where they are when a peer that holds them fails or is removed. This version always does; pin again to move them.',
    { inert: true }
  ),
  followerMode: boolean(false, 'Refuse writes through this peer.', { omit: true }),
  peerstoreFile: requiredPath('peerstore', 'The file of addresses of other peers.', { omit: true }),
  peerAddresses: addresses(
    [],
    'Addresses of other peers, tried before those of the peerstore file and never forgotten.'
  )
} as const

/** The `cluster` section, read. Times in milliseconds, paths absolute. */
export type ClusterSection = Values<typeof clusterShape>

/** Keys of a single-file identity, from before `identity.json`; `identity.ts` reads them. */
export const legacyIdentityKeys: ReadonlySet<string> = new Set(['id', 'private_key'])

/** What must hold between keys; each says which key is at fault and why. */
export function clusterRules(cluster: ClusterSection): readonly { readonly key: string; readonly reason: string }[] {
  const faults: { key: string; reason: string }[] = []
  const { replicationFactorMin: min, replicationFactorMax: max, peername } = cluster
  if (peername.length > MAX_PEERNAME_CHARACTERS) {
    faults.push({
      key: 'peername',
      reason: `it has ${peername.length} characters, and may have ${MAX_PEERNAME_CHARACTERS}`
    })
  }
  if ((min === -1) !== (max === -1)) {
    faults.push({
      key: 'replication_factor_min',
      reason: `it is ${min} and replication_factor_max is ${max}; either both are -1 or neither is`
    })
  } else if (min > max) {
    faults.push({
      key: 'replication_factor_min',
      reason: `it is ${min}, and must not be above replication_factor_max, ${max}`
    })
  }
  if (cluster.pinOnlyOnTrustedPeers && cluster.pinOnlyOnUntrustedPeers) {
    faults.push({ key: 'pin_only_on_trusted_peers', reason: 'it excludes pin_only_on_untrusted_peers; both are true' })
  }
  return faults
}
