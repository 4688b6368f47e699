/**
 * The benchmark of consensus: three processes over libp2p (Noise, Yamux, a private network), each with its log on disk and fsync
 * on, commit entries of 256 bytes at concurrency 1, 64 and 1,024. Beside it, on the same machine and in the same run, the same
 * work by hashicorp/raft with BoltDB over plain TCP, if Go and its harness are there. Only the ratios mean anything elsewhere.
 *
 *   node --conditions=quorate-source test/bench/raft/run.ts [--go=FOLDER] [--entries=30000] [--runs=1]
 *
 * `RAFT_BENCH_GO` names the folder of the harness too; the default is `../shared/tools/raft-bench-go` beside the checkout.
 * `test/bench/run.ts` calls `runRaftBench`.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { CONCURRENCIES, type Figure } from './figures.ts'
import { measureFsync } from './fsync.ts'
import { runGo } from './hashicorp.ts'
import { runPeers } from './peers.ts'

export interface RaftBenchOptions {
  /** Folder of the Go harness. @default RAFT_BENCH_GO, or ../shared/tools/raft-bench-go beside the checkout */
  readonly goFolder?: string
  /** Entries at each concurrency; a thirtieth of them at concurrency 1. @default 30000 */
  readonly entries?: number
  /** The median of so many runs is taken. @default 1 */
  readonly runs?: number
}

export interface RaftBenchReport {
  readonly quorate: readonly Figure[]
  /** Undefined if it could not be run here. */
  readonly hashicorp: readonly Figure[] | undefined
}

const ENTRY_BYTES = 256

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** Runs both, prints a table, and answers the figures. */
export async function runRaftBench(options: RaftBenchOptions = {}): Promise<RaftBenchReport> {
  const goFolder = resolve(root, options.goFolder ?? process.env.RAFT_BENCH_GO ?? '../shared/tools/raft-bench-go')
  const entries = options.entries ?? 30_000
  const folder = await mkdtemp(join(tmpdir(), 'quorate-bench-raft-'))
  try {
    const fsync = await measureFsync(folder)
    const quorateRuns: (readonly Figure[])[] = []
    const goRuns: (readonly Figure[])[] = []
    for (let run = 0; run < (options.runs ?? 1); run++) {
      const go = await runGo({ harness: goFolder, folder: join(folder, `go-${run}`), entries, entryBytes: ENTRY_BYTES })
      if (go !== undefined) goRuns.push(go)
      quorateRuns.push(await runPeers({ folder: join(folder, `quorate-${run}`), entries, entryBytes: ENTRY_BYTES }))
    }
    const quorate = medians(quorateRuns)
    const hashicorp = goRuns.length === 0 ? undefined : medians(goRuns)
    const { p50Ms, p99Ms } = fsync
    console.log(`raft: three processes, entries of ${ENTRY_BYTES} bytes, committed and applied at the leader`)
    console.log(`      ${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}`)
    console.log(
      `      one write of ${ENTRY_BYTES} bytes and fdatasync: p50 ${p50Ms.toFixed(3)} ms, p99 ${p99Ms.toFixed(3)} ms`
    )
    printTable(quorate, hashicorp)
    return { quorate, hashicorp }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** For each concurrency the run whose throughput is the middle one. */
function medians(runs: readonly (readonly Figure[])[]): Figure[] {
  return CONCURRENCIES.map((concurrency) => {
    const figures = runs
      .flatMap((run) => run.filter((figure) => figure.concurrency === concurrency))
      .sort((a, b) => a.entriesPerSecond - b.entriesPerSecond)
    return figures[Math.floor(figures.length / 2)]!
  })
}

function printTable(quorate: readonly Figure[], hashicorp: readonly Figure[] | undefined): void {
  const rows = quorate.map((own) => {
    const other = hashicorp?.find((figure) => figure.concurrency === own.concurrency)
    return {
      concurrency: own.concurrency,
      'quorate entries/s': own.entriesPerSecond,
      'p50 ms': round(own.p50Ms),
      'p99 ms': round(own.p99Ms),
      ...(other === undefined
        ? {}
        : {
            'hashicorp entries/s': other.entriesPerSecond,
            'its p50 ms': round(other.p50Ms),
            'its p99 ms': round(other.p99Ms),
            ratio: round(own.entriesPerSecond / other.entriesPerSecond)
          })
    }
  })
  console.table(rows)
}

const round = (value: number): number => Math.round(value * 100) / 100

if (import.meta.main) {
  const { values } = parseArgs({
    options: { go: { type: 'string' }, entries: { type: 'string' }, runs: { type: 'string' } }
  })
  await runRaftBench({
    ...(values.go === undefined ? {} : { goFolder: values.go }),
    ...(values.entries === undefined ? {} : { entries: Number(values.entries) }),
    ...(values.runs === undefined ? {} : { runs: Number(values.runs) })
  })
}
