/** A `service.json` as ipfs-cluster-service 1.1.6 writes it in raft mode, with every key that it knows, for tests. */

import type { JsonObject } from '../../src/config/field.ts'

const httpApi = (port: number): JsonObject => ({
  http_listen_multiaddress: `/ip4/127.0.0.1/tcp/${port}`,
  read_timeout: '0s',
  read_header_timeout: '5s',
  write_timeout: '0s',
  idle_timeout: '2m0s',
  max_header_bytes: 4096,
  basic_auth_credentials: null,
  http_log_file: '',
  headers: {},
  cors_allowed_origins: ['*'],
  cors_allowed_methods: ['GET'],
  cors_allowed_headers: [],
  cors_exposed_headers: ['Content-Type', 'X-Stream-Output', 'X-Chunked-Output', 'X-Content-Length'],
  cors_allow_credentials: true,
  cors_max_age: '0s'
})

export const ipfsClusterSecret = '0123456789abcdef'.repeat(4)

/** A fresh copy each time, to be changed at will. */
export function ipfsClusterDocument(): JsonObject {
  return {
    cluster: {
      peername: 'old-peer',
      secret: ipfsClusterSecret,
      leave_on_shutdown: false,
      listen_multiaddress: ['/ip4/0.0.0.0/tcp/9096', '/ip4/0.0.0.0/udp/9096/quic'],
      announce_multiaddress: [],
      no_announce_multiaddress: [],
      enable_relay_hop: true,
      connection_manager: { high_water: 400, low_water: 100, grace_period: '2m0s' },
      resource_manager: { enabled: true, memory_limit_bytes: 0, file_descriptors_limit: 0 },
      pubsub: {
        seen_messages_ttl: '30m0s',
        heartbeat_interval: '10s',
        d_factor: 4,
        history_gossip: 2,
        history_length: 6,
        flood_publish: false
      },
      dial_peer_timeout: '3s',
      state_sync_interval: '5m0s',
      pin_recover_interval: '12m0s',
      replication_factor_min: 2,
      replication_factor_max: 3,
      monitor_ping_interval: '15s',
      peer_watch_interval: '5s',
      mdns_interval: '0s',
      pin_only_on_trusted_peers: false,
      pin_only_on_untrusted_peers: false,
      disable_repinning: true,
      follower_mode: false,
      peerstore_file: 'peerstore',
      peer_addresses: []
    },
    consensus: {
      raft: {
        data_folder: '/var/lib/old/raft',
        init_peerset: ['12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'],
        wait_for_leader_timeout: '15s',
        network_timeout: '10s',
        commit_retries: 1,
        commit_retry_delay: '200ms',
        backups_rotate: 6,
        datastore_namespace: '/r',
        heartbeat_timeout: '1s',
        election_timeout: '1s',
        commit_timeout: '50ms',
        max_append_entries: 64,
        trailing_logs: 10240,
        snapshot_interval: '2m0s',
        snapshot_threshold: 8192,
        leader_lease_timeout: '500ms'
      }
    },
    api: {
      ipfsproxy: {
        listen_multiaddress: '/ip4/127.0.0.1/tcp/9095',
        node_multiaddress: '/ip4/127.0.0.1/tcp/5001',
        node_https: false,
        log_file: '',
        read_timeout: '0s',
        read_header_timeout: '5s',
        write_timeout: '0s',
        idle_timeout: '1m0s',
        max_header_bytes: 4096,
        extract_headers_extra: [],
        extract_headers_path: '/api/v0/version',
        extract_headers_ttl: '5m0s'
      },
      pinsvcapi: httpApi(9097),
      restapi: httpApi(9094)
    },
    ipfs_connector: {
      ipfshttp: {
        node_multiaddress: '/ip4/127.0.0.1/tcp/5001',
        connect_swarms_delay: '30s',
        ipfs_request_timeout: '5m0s',
        pin_timeout: '2m0s',
        unpin_timeout: '3h0m0s',
        repogc_timeout: '24h0m0s',
        informer_trigger_interval: '0s',
        unpin_disable: false
      }
    },
    state: {},
    pin_tracker: {
      stateless: {
        max_pin_queue_size: 1000000,
        concurrent_pins: 10,
        priority_pin_max_age: '24h0m0s',
        priority_pin_max_retries: 5
      }
    },
    monitor: { pubsubmon: { check_interval: '15s' } },
    allocator: { balanced: { allocate_by: ['tag:group', 'freespace'] } },
    informer: {
      disk: { metric_ttl: '30s', metric_type: 'freespace' },
      pinqueue: { metric_ttl: '30s', weight_bucket_size: 100000 },
      tags: { metric_ttl: '30s', tags: { group: 'default' } }
    },
    observations: {
      metrics: { enable_stats: false, prometheus_endpoint: '/ip4/127.0.0.1/tcp/8888', reporting_interval: '30s' },
      tracing: {
        enable_tracing: false,
        jaeger_agent_endpoint: '/ip4/0.0.0.0/udp/6831',
        sampling_prob: 0.3,
        service_name: 'cluster-daemon'
      }
    },
    datastore: { pebble: { pebble_options: { anything: 1 } } }
  }
}
