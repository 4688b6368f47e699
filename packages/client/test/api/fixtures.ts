/** Identifiers and objects that several tests use. */

import { defaultPinOptions, type GlobalPinInfo, type PeerInfo, type Pin, type RaftPeer } from '@quorate/client/api'

export const cidV0 = 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG'
export const cidV1 = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
export const peerA = '12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV'
export const peerB = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'
export const ipfsPeer = 'QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ'

export const pin: Pin = {
  ...defaultPinOptions,
  replicationFactorMin: 2,
  replicationFactorMax: 3,
  name: 'a <name> & more',
  expireAtMs: Date.UTC(2030, 0, 2, 3, 4, 5),
  metadata: { zebra: '1', '10': 'ten', '9': 'nine' },
  origins: [`/ip4/10.1.2.3/tcp/4001/p2p/${ipfsPeer}`],
  cid: cidV1,
  type: 'pin',
  allocations: [peerA, peerB],
  maxDepth: -1,
  reference: undefined,
  timestampMs: Date.UTC(2026, 4, 6, 7, 8, 9, 120)
}

export const status: GlobalPinInfo = {
  cid: cidV0,
  name: '',
  allocations: [],
  origins: [],
  createdMs: Date.UTC(2026, 4, 6, 7, 8, 9),
  metadata: {},
  peerMap: {
    [peerB]: {
      peername: 'beta',
      ipfsPeerId: undefined,
      ipfsPeerAddresses: [],
      status: 'pin_error',
      timestampMs: 0,
      error: 'disk full',
      attemptCount: 3,
      priorityPin: false
    },
    [peerA]: {
      peername: 'alpha',
      ipfsPeerId: ipfsPeer,
      ipfsPeerAddresses: ['/ip4/10.1.2.3/tcp/4001'],
      status: 'pinned',
      timestampMs: Date.UTC(2026, 4, 6, 7, 8, 10),
      error: '',
      attemptCount: 0,
      priorityPin: true
    }
  }
}

export const raftPeer: RaftPeer = {
  id: peerA,
  peername: 'alpha',
  error: '',
  role: 'leader',
  voice: 'voter',
  term: 5,
  leader: peerA,
  baseIndex: 100,
  lastIndex: 120,
  durableIndex: 119,
  commitIndex: 118,
  appliedIndex: 117,
  voters: [peerA, peerB],
  learners: [],
  outgoing: [],
  followers: [
    { id: peerB, state: 'replicate', matchIndex: 118, nextIndex: 121, inflightMessages: 2, lastContactMs: 0 },
    { id: ipfsPeer, state: 'probe', matchIndex: 0, nextIndex: 121, inflightMessages: 0, lastContactMs: undefined }
  ],
  notes: ['level: 1']
}

export const peer: PeerInfo = {
  id: peerA,
  addresses: [`/ip4/127.0.0.1/tcp/9096/p2p/${peerA}`],
  clusterPeers: [peerA, peerB],
  clusterPeersAddresses: [`/ip4/127.0.0.1/tcp/9196/p2p/${peerB}`],
  version: '0.1.0',
  commit: '',
  rpcProtocolVersion: '/quorate/rpc/1',
  error: '',
  ipfs: { id: ipfsPeer, addresses: [`/ip4/127.0.0.1/tcp/4001/p2p/${ipfsPeer}`], error: '' },
  peername: 'alpha'
}
