/**
 * Serves the metrics of a peer to Prometheus, on an address of their own: `observations.metrics` of the configuration. Plain HTTP without
 * credentials, so on loopback unless the operator says otherwise. Made by `daemon/compose.ts`.
 *
 * What is cheap is looked at for every answer. The states of the pins have to be counted, and are every `reporting_interval`.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { TrackerStatus } from '@quorate/client/api'
import type { Raft } from '@quorate/raft'
import type { Registry } from 'prom-client'
import { listenOptions } from '../config/listen-options.ts'
import type { MetricsSection } from '../config/sections/components.ts'
import { StartError } from '../errors.ts'
import type { Logger, PeerMonitor, PinsetReader, PinTracker, Startable } from '../ports.ts'
import type { OpResult } from '../state/ops.ts'
import type { IpfsCounts } from './metered-connector.ts'
import { addProcessMetrics, createRegistry } from './registry.ts'
import type { Observed, PinStates } from './table.ts'

/** Scrapers are few; more connections than this are somebody else's. */
const MAX_CONNECTIONS = 32
/** A request is a line and a few headers. */
const REQUEST_TIMEOUT_MS = 10_000

export interface MetricsServerComponents {
  readonly raft: Pick<Raft<OpResult>, 'metrics'>
  readonly pinset: Pick<PinsetReader, 'count'>
  readonly tracker: Pick<PinTracker, 'statusAll'>
  readonly monitor: Pick<PeerMonitor, 'lastOf'>
  readonly ipfsCounts: () => IpfsCounts
  /** All members, and those there is a connection to. */
  readonly members: () => readonly string[]
  readonly connected: () => ReadonlySet<string>
  readonly logger: Logger
}

export interface MetricsServerInit {
  /** Of this peer. */
  readonly id: string
  readonly section: Pick<MetricsSection, 'prometheusEndpoint' | 'reportingIntervalMs'>
  /** The name of the disk informer's metric, if there is one. */
  readonly diskMetric: string | undefined
  /** Tell of the process too. @default true */
  readonly process?: boolean
}

const counted: ReadonlySet<TrackerStatus> = new Set(['pin_queued', 'pinning', 'pin_error'])

export class MetricsServer implements Startable {
  private readonly parts: MetricsServerComponents
  private readonly init: MetricsServerInit
  private readonly registry: Registry
  private readonly server: Server
  private readonly stopping = new AbortController()
  private pinStates: PinStates = { queued: 0, pinning: 0, error: 0 }
  private timer: NodeJS.Timeout | undefined
  private counting: Promise<void> | undefined
  /** What the answer that is being made tells of. */
  private observed: Observed | undefined

  constructor(components: MetricsServerComponents, init: MetricsServerInit) {
    this.parts = components
    this.init = init
    this.registry = createRegistry(() => (this.observed ??= this.observe()))
    this.server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS })
    this.server.maxConnections = MAX_CONNECTIONS
    this.server.on('request', (request, response) => void this.answer(request, response))
  }

  /** The URL of the metrics, with the real port. */
  get url(): string {
    const address = this.server.address()
    if (address === null || typeof address === 'string') throw new Error('the metrics are not served')
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
    return `http://${host}:${address.port}/metrics`
  }

  /** @throws {StartError} when the address cannot be listened on */
  async start(): Promise<void> {
    const { prometheusEndpoint, reportingIntervalMs } = this.init.section
    const { host, port } = listenOptions(prometheusEndpoint)
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', (error) =>
        reject(
          new StartError(
            `Cannot serve metrics on ${prometheusEndpoint}: ${error.message}. Change observations.metrics.prometheus_endpoint, or turn enable_stats off.`,
            { cause: error }
          )
        )
      )
      this.server.listen({ host, port }, resolve)
    })
    this.server.removeAllListeners('error')
    this.server.on('error', (error) => this.parts.logger.warn({ error: error.message }, 'the metrics server failed'))
    if (this.init.process ?? true) addProcessMetrics(this.registry)
    this.timer = setInterval(() => this.count(), reportingIntervalMs)
    this.timer.unref()
    this.count()
  }

  async stop(): Promise<void> {
    clearInterval(this.timer)
    this.stopping.abort()
    await this.counting
    if (!this.server.listening) return
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    this.server.closeAllConnections()
    await closed
  }

  /** Counts the pins by state, unless that is under way. */
  private count(): void {
    this.counting ??= this.countPins().finally(() => {
      this.counting = undefined
    })
  }

  private async countPins(): Promise<void> {
    const counts = { pin_queued: 0, pinning: 0, pin_error: 0 }
    try {
      for await (const { status } of this.parts.tracker.statusAll(counted, { signal: this.stopping.signal })) {
        if (status === 'pin_queued' || status === 'pinning' || status === 'pin_error') counts[status]++
      }
      this.pinStates = { queued: counts.pin_queued, pinning: counts.pinning, error: counts.pin_error }
    } catch (error) {
      // The tracker has not started, or the peer stops: the next count tells.
      this.parts.logger.debug({ error: String(error) }, 'the states of the pins could not be counted')
    }
  }

  private observe(): Observed {
    const { raft, pinset, monitor, members, connected, ipfsCounts } = this.parts
    const peers = members()
    const there = connected()
    const { id, diskMetric } = this.init
    return {
      raft: raft.metrics(),
      ipfs: ipfsCounts(),
      pins: pinset.count(),
      pinStates: this.pinStates,
      peers: peers.length,
      connectedPeers: peers.filter((peer) => there.has(peer)).length,
      diskWeight: diskMetric === undefined ? undefined : monitor.lastOf(diskMetric, id)?.weight
    }
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume()
    const path = request.url?.split('?', 1)[0]
    if (path !== '/metrics') return plain(response, 404, 'The metrics are at /metrics.\n')
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD')
      return plain(response, 405, 'The metrics are to be read.\n')
    }
    try {
      this.observed = this.observe()
      const text = await this.registry.metrics()
      response.writeHead(200, { 'Content-Type': this.registry.contentType })
      response.end(request.method === 'HEAD' ? undefined : text)
    } catch (error) {
      this.parts.logger.error({ error: String(error) }, 'the metrics could not be gathered')
      plain(response, 500, 'The metrics could not be gathered.\n')
    }
  }
}

function plain(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(text)
}
