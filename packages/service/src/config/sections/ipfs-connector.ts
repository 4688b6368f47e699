/**
 * The `ipfs_connector.*` sections of `service.json`: the IPFS node of this peer. Exactly one is there: `ipfshttp`, which is IPFS Cluster's
 * and means a Kubo daemon, or `embedded`, our own. Read by `schema.ts`.
 */

import type { Values } from '../field.ts'
import { address, addresses, boolean, choice, duration, size } from '../field-types.ts'

/** What both kinds of node have: how long its calls may take. */
const limits = {
  connectSwarmsDelayMs: duration(
    '30s',
    'After the start, how long until a Kubo node is connected to the IPFS nodes of the other peers; `0s`: at once. The embedded node is connected at once.',
    { zero: true }
  ),
  ipfsRequestTimeoutMs: duration('5m0s', 'How long a call of the IPFS node may take; `0s`: no limit.', { zero: true }),
  pinTimeoutMs: duration('2m0s', 'How long a pin may make no progress before it fails; `0s`: no limit.', {
    zero: true
  }),
  unpinTimeoutMs: duration('3h0m0s', 'How long an unpin may take; `0s`: no limit.', { zero: true }),
  repogcTimeoutMs: duration('24h0m0s', 'How long a garbage collection may take; `0s`: no limit.', { zero: true }),
  informerTriggerIntervalMs: duration('0s', 'After how many pins metrics are sent at once.', {
    zero: true,
    inert: true
  }),
  unpinDisable: boolean(false, 'Never unpin on the IPFS node.', { omit: true })
} as const

export const embeddedShape = {
  network: choice(
    ['public', 'private'],
    'public',
    '`public`: the node is part of the public IPFS network and finds content there. `private`: it knows only the nodes of this cluster, and dials nobody else.'
  ),
  listenMultiaddress: addresses(['/ip4/0.0.0.0/tcp/4001'], 'Where the node listens for other IPFS nodes.', {
    nonEmpty: true
  }),
  storageMaxBytes: size(
    '10GB',
    'How much the node should hold. What is free of it is what `freespace` reports and pins are allocated by.',
    { key: 'storage_max' }
  ),
  ...limits
} as const

export const ipfshttpShape = {
  nodeMultiaddress: address('/ip4/127.0.0.1/tcp/5001', 'The RPC API of the Kubo daemon.'),
  ...limits
} as const

/** `ipfs_connector.embedded`, read. Times in milliseconds, sizes in bytes. */
export type EmbeddedSection = Values<typeof embeddedShape>
/** `ipfs_connector.ipfshttp`, read. */
export type IpfsHttpSection = Values<typeof ipfshttpShape>
