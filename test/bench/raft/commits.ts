/**
 * How fast consensus commits: three processes over libp2p (Noise, Yamux, a private network), each with its log on disk and fsync
 * on, commit entries of 256 bytes at concurrency 1, 64 and 1,024, and in batches. Beside it, in turn and on the same machine, the same
 * work by hashicorp/raft with BoltDB over plain TCP, if its harness is there. Only the ratios mean anything elsewhere. Below stands what one
 * commit at a time costs at the least (`floor.ts`).
 *
 *   node --conditions=quorate-source test/bench/raft/commits.ts [--go=PATH] [--entries=30000] [--runs=3] [--short]
 *
 * `RAFT_BENCH_GO` names the built harness or the folder of its sources too; the default is `../shared/tools/raft-bench-go` beside the
 * checkout. Before it is measured, each group of Quorate commits some thousand entries, since what is measured is how it runs, not how it is
 * compiled; the other is compiled beforehand. `test/bench/run.ts` calls `runCommitsBench`.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { printMachine } from '../support/machine.ts'
import { median, withSpread } from '../support/statistics.ts'
import { runFloor } from './floor.ts'
import { goProgram, runGo } from './hashicorp.ts'
import { BATCHES, COMMON_LOADS, type Figure, type Load } from './loads.ts'
import { runPeers } from './peers.ts'

export interface CommitsBenchOptions {
  /** The harness in Go, built or as a folder of sources. @default RAFT_BENCH_GO, or ../shared/tools/raft-bench-go beside the checkout */
  readonly go?: string
  /** Entries at concurrency 64; others have a share or a multiple of it. @default 30000 */
  readonly entries?: number
  /** How often both are run, in turn. @default 3 */
  readonly runs?: number
}

export const shortCommits: CommitsBenchOptions = { entries: 5_000, runs: 1 }

const ENTRY_BYTES = 256
/** What is to be reached, as a multiple of the other's entries a second; for batches of those at 1,024. */
const GOALS: Readonly<Record<string, number>> = { '1': 2, '64': 2, '1024': 3, [BATCHES.name]: 6 }

const WARM_UP: readonly Load[] = [
  { name: 'many', concurrency: 256, batch: 1, share: 0.5 },
  { name: 'one', concurrency: 1, batch: 1, share: 0.1 }
]

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** Runs both, and prints a table. */
export async function runCommitsBench(options: CommitsBenchOptions = {}): Promise<void> {
  const harness = resolve(root, options.go ?? process.env.RAFT_BENCH_GO ?? '../shared/tools/raft-bench-go')
  const entries = options.entries ?? 30_000
  console.log(`commits: three processes, entries of ${ENTRY_BYTES} bytes, committed and applied at the leader`)
  const folder = await mkdtemp(join(tmpdir(), 'quorate-bench-commits-'))
  try {
    await printMachine(folder)
    const program = await goProgram(harness, folder)
    const own: Figure[][] = []
    const other: Figure[][] = []
    const least: Figure[] = []
    for (let run = 0; run < (options.runs ?? 3); run++) {
      const init = { entries, entryBytes: ENTRY_BYTES }
      if (program !== undefined) other.push(await runGo(program, { ...init, folder: join(folder, `go-${run}`) }))
      const loads = [...COMMON_LOADS, BATCHES]
      own.push(await runPeers({ ...init, folder: join(folder, `quorate-${run}`) }, loads, WARM_UP))
      least.push(await runFloor({ folder: join(folder, `floor-${run}`), rounds: Math.round(entries / 10) }))
    }
    printTable(own, other)
    printFloor(own, other, least)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function printTable(own: readonly (readonly Figure[])[], other: readonly (readonly Figure[])[]): void {
  const values = (runs: readonly (readonly Figure[])[], load: string, key: 'entriesPerSecond' | 'p50Ms' | 'p99Ms') =>
    runs.flatMap((run) => run.filter((figure) => figure.load === load).map((figure) => figure[key]))
  console.table(
    [...COMMON_LOADS, BATCHES].map(({ name }) => {
      const beside = name === BATCHES.name ? '1024' : name
      const rates = values(own, name, 'entriesPerSecond')
      const theirs = values(other, beside, 'entriesPerSecond')
      const p99Ms = values(own, name, 'p99Ms')
      const row = {
        concurrency: name,
        'entries/s': withSpread(rates),
        'p50 ms': withSpread(values(own, name, 'p50Ms'), 2),
        'p99 ms': withSpread(p99Ms, 1)
      }
      if (theirs.length === 0) return row
      const theirP99Ms = values(other, beside, 'p99Ms')
      return {
        ...row,
        'hashicorp entries/s': withSpread(theirs),
        'its p50 ms': withSpread(values(other, beside, 'p50Ms'), 2),
        'its p99 ms': withSpread(theirP99Ms, 1),
        times: withSpread(
          rates.map((rate, run) => rate / theirs[run]!),
          2
        ),
        goal: GOALS[name],
        'p99 as a part of its': Math.round((median(p99Ms) / median(theirP99Ms)) * 1000) / 1000
      }
    })
  )
}

/** What of the time of one commit at a time nothing in Node could spare. */
function printFloor(
  own: readonly (readonly Figure[])[],
  other: readonly (readonly Figure[])[],
  least: readonly Figure[]
): void {
  const one = (runs: readonly (readonly Figure[])[]): number[] =>
    runs.flatMap((run) => run.filter(({ load }) => load === '1').map(({ entriesPerSecond }) => entriesPerSecond))
  const rates = least.map(({ entriesPerSecond }) => entriesPerSecond)
  const parts = one(own).map((rate, run) => rate / rates[run]!)
  const theirs = one(other).map((rate, run) => rates[run]! / rate)
  console.log(
    `  one at a time with nothing but plain TCP and O_DSYNC between three processes of Node (floor.ts): ${withSpread(rates)} a second, ` +
      `p50 ${withSpread(
        least.map(({ p50Ms }) => p50Ms),
        2
      )} ms; Quorate reaches ${withSpread(parts, 2)} of that` +
      (theirs.length === 0 ? '' : `, and that is ${withSpread(theirs, 2)} times hashicorp/raft`)
  )
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      go: { type: 'string' },
      entries: { type: 'string' },
      runs: { type: 'string' },
      short: { type: 'boolean' }
    }
  })
  await runCommitsBench({
    ...(values.short === true ? shortCommits : {}),
    ...(values.go === undefined ? {} : { go: values.go }),
    ...(values.entries === undefined ? {} : { entries: Number(values.entries) }),
    ...(values.runs === undefined ? {} : { runs: Number(values.runs) })
  })
}
