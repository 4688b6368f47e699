/**
 * The metrics of `table.ts` as a registry of prom-client, which knows Prometheus' format and adds what it knows of the process. Values
 * are read when they are asked for: nothing is counted here. Used by `server.ts`.
 */

import type { HistogramSnapshot } from '@quorate/raft'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { type MetricSpec, metricTable, type Observed } from './table.ts'

/** @param observe - what is told of; called for each metric */
export function createRegistry(observe: () => Observed): Registry {
  const registry = new Registry()
  for (const spec of metricTable) register(registry, spec, observe)
  return registry
}

/** Adds memory, processor time, event loop and garbage collection, of the process as a whole. */
export function addProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry })
}

function register(registry: Registry, spec: MetricSpec, observe: () => Observed): void {
  const { name, help } = spec
  const registers = [registry]
  if (spec.type === 'histogram') {
    registry.registerMetric(new SnapshotHistogram(name, help, spec.scale, () => spec.snapshot(observe())))
    return
  }
  const labelNames = 'labels' in spec ? spec.labels : []
  const values = 'labels' in spec ? () => spec.readAll(observe()) : () => single(spec.read(observe()))
  if (spec.type === 'gauge') {
    new Gauge({
      ...{ name, help, registers, labelNames },
      collect() {
        this.reset()
        const known = values()
        for (const { labels, value } of known) this.set(labels, value)
        // Without labels a reset leaves a zero behind, which would be a value.
        if (known.length === 0) this.remove({})
      }
    })
  } else {
    new Counter({
      ...{ name, help, registers, labelNames },
      collect() {
        this.reset()
        for (const { labels, value } of values()) this.inc(labels, value)
      }
    })
  }
}

const single = (value: number | undefined): { labels: Record<string, string>; value: number }[] =>
  value === undefined ? [] : [{ labels: {}, value }]

type Values = Awaited<ReturnType<Histogram['get']>>

/** A histogram whose buckets were filled elsewhere. */
class SnapshotHistogram extends Histogram {
  readonly #described: { readonly name: string; readonly help: string }
  readonly #scale: number
  readonly #snapshot: () => HistogramSnapshot

  constructor(name: string, help: string, scale: number, snapshot: () => HistogramSnapshot) {
    super({ name, help, registers: [] })
    this.#described = { name, help }
    this.#scale = scale
    this.#snapshot = snapshot
  }

  override async get(): Promise<Values> {
    const { name } = this.#described
    const { bounds, counts, sum, count } = this.#snapshot()
    let below = 0
    const buckets = bounds.map((bound, at) => {
      below += counts[at] ?? 0
      // To nine digits: 0.064 ms are 0.000064 s, and not 0.00006400000000000001.
      const le = Number((bound * this.#scale).toPrecision(9))
      return { metricName: `${name}_bucket`, labels: { le }, value: below }
    })
    const values = [
      ...buckets,
      { metricName: `${name}_bucket`, labels: { le: '+Inf' }, value: count },
      { metricName: `${name}_sum`, labels: {}, value: sum * this.#scale },
      { metricName: `${name}_count`, labels: {}, value: count }
    ]
    // What the registry asks for; the declared type has an enumeration for the word, and a callback that is never called.
    return { ...this.#described, type: 'histogram', aggregator: 'sum', values } as unknown as Values
  }

  /** What the registry prints of a histogram. */
  async getForPromString(): Promise<Values> {
    return await this.get()
  }
}
