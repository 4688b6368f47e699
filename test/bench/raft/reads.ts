/**
 * Linearizable reads through a follower, by 256 readers in a process of their own that asks it over libp2p (Noise, the private network):
 * each read takes a barrier of its own, and all barriers of one turn share a question to the leader. Beside it, in turn and on the same
 * machine, linearizable range reads through a follower of etcd over gRPC without encryption, if etcd and a client for it are there; of
 * several numbers of connections the one counts that suits etcd best. The third figure, of readers within the follower's own
 * process, leaves the network between reader and follower out, and is compared with nothing.
 *
 *   ETCD_BIN=PATH ETCD_READ_BENCH=PATH node --conditions=quorate-source test/bench/raft/reads.ts [--seconds=5] [--runs=3] [--short]
 *
 * `etcd.ts` tells how the client of etcd is called and what it has to print. `test/bench/run.ts` calls `runReadsBench`.
 */

import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { ReadResult } from '../../../packages/raft/test/bench/peer.ts'
import { printMachine } from '../support/machine.ts'
import { withSpread } from '../support/statistics.ts'
import { type EtcdFigure, readFromEtcd } from './etcd.ts'
import { BenchPeer, withGroup } from './peers.ts'

export interface ReadsBenchOptions {
  /** Of each measurement. @default 5 */
  readonly seconds?: number
  /** How often both are run, in turn. @default 3 */
  readonly runs?: number
}

export const shortReads: ReadsBenchOptions = { seconds: 1, runs: 1 }

const READERS = 256
const VALUE_BYTES = 256
/** What is to be reached, as a multiple of etcd's reads. */
const GOAL = 2

/** Runs both, and prints a table. */
export async function runReadsBench(options: ReadsBenchOptions = {}): Promise<void> {
  const { seconds = 5, runs = 3 } = options
  console.log(`reads: linearizable, of ${VALUE_BYTES} bytes, by ${READERS} readers through a follower of three`)
  const folder = await mkdtemp(join(tmpdir(), 'quorate-bench-reads-'))
  const etcd: EtcdFigure[] = []
  const remote: ReadResult[] = []
  const local: ReadResult[] = []
  try {
    await printMachine(folder)
    const program = programAt('ETCD_BIN')
    const client = programAt('ETCD_READ_BENCH')
    for (let run = 0; run < runs; run++) {
      if (program !== undefined && client !== undefined) {
        const init = { readers: READERS, valueBytes: VALUE_BYTES, seconds, program, client }
        const figures = await readFromEtcd({ ...init, folder: join(folder, `etcd-${run}`) })
        etcd.push(figures.reduce((best, figure) => (figure.readsPerSecond > best.readsPerSecond ? figure : best)))
      }
      await withGroup(join(folder, `quorate-${run}`), async ({ followers, addresses, secret }) => {
        const reader = new BenchPeer()
        try {
          await reader.ask({ type: 'open', secret }, 'opened')
          const at = addresses[0]!
          remote.push((await reader.ask({ type: 'read', readers: READERS, seconds, at }, 'reads')).result)
        } finally {
          await reader.stop()
        }
        local.push((await followers[0]!.ask({ type: 'read', readers: READERS, seconds }, 'reads')).result)
      })
    }
    const base = etcd.map(({ readsPerSecond }) => readsPerSecond)
    const connections = [...new Set(etcd.map((figure) => figure.connections))].sort((a, b) => a - b).join(' or ')
    console.table([
      ...(etcd.length === 0 ? [] : [rowOf(`etcd, gRPC over ${connections} connections`, etcd, [])]),
      { ...rowOf('quorate, calls over libp2p', remote, base), goal: GOAL },
      rowOf('quorate, within the follower', local, [])
    ])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function rowOf(what: string, figures: readonly ReadResult[], base: readonly number[]): Record<string, string> {
  const rates = figures.map(({ readsPerSecond }) => readsPerSecond)
  return {
    what,
    'reads/s': withSpread(rates),
    'p50 ms': withSpread(
      figures.map(({ p50Ms }) => p50Ms),
      2
    ),
    'p99 ms': withSpread(
      figures.map(({ p99Ms }) => p99Ms),
      1
    ),
    ...(base.length === 0
      ? {}
      : {
          'times etcd': withSpread(
            rates.map((rate, run) => rate / base[run]!),
            2
          )
        })
  }
}

/** The program that a variable of the environment names; undefined, after a line that says why, if it cannot be run. */
function programAt(variable: string): string | undefined {
  const path = process.env[variable]
  if (path !== undefined && existsSync(path)) return path
  console.log(`  skipped etcd: ${variable} ${path === undefined ? 'is not set' : `names ${path}, which is not there`}`)
  return undefined
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { seconds: { type: 'string' }, runs: { type: 'string' }, short: { type: 'boolean' } }
  })
  await runReadsBench({
    ...(values.short === true ? shortReads : {}),
    ...(values.seconds === undefined ? {} : { seconds: Number(values.seconds) }),
    ...(values.runs === undefined ? {} : { runs: Number(values.runs) })
  })
}
