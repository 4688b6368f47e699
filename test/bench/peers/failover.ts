/**
 * How long nobody can write when the leader dies, hangs, or hands over: three whole peers, and clients that write at the two that do not
 * lead, one write after the other. A gap is the longest time without an acknowledgement to any of them, from the last before the fault
 * until each client has written again. A write that a peer answers with an error counts as refused.
 *
 * Beside it stand the longest times without an acknowledgement in the half second before each fault, and in the half second after its gap:
 * what the disk and the machine do by themselves, and whether a second pause follows.
 *
 *   node --conditions=quorate-source test/bench/peers/failover.ts [--short]
 *
 * | fault | |
 * | --- | --- |
 * | kill | `kill -9` of the leader's process; it is started again, and has caught up before the next |
 * | stop | SIGSTOP of the leader's process, for longer than the gap: what connects it stands, and nothing answers |
 * | transfer | the leader is asked to hand over, as for maintenance |
 *
 * `test/bench/run.ts` calls `runFailoverBench`.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { bootstrapCluster, cleanUp, type Daemon, until } from '../../e2e/support/daemon.ts'
import { printMachine } from '../support/machine.ts'
import { printHistogram, quantile } from '../support/statistics.ts'
import { settledLeader } from './group.ts'
import { Writer } from './writer.ts'

export interface FailoverBenchOptions {
  /** @default 50 */
  readonly kills?: number
  /** @default 20 */
  readonly stops?: number
  /** @default 100 */
  readonly transfers?: number
}

export const shortFailover: FailoverBenchOptions = { kills: 2, stops: 1, transfers: 3 }

/** Writing before a fault, so that what precedes it is the usual. */
const STEADY_MS = 500
/** Writing after it, in which a second pause would show. */
const AFTER_MS = 500
/** How long a leader hangs at most. */
const HANG_MS = 10_000
const BOUNDS_MS = [25, 50, 100, 150, 200, 300, 400, 600, 800, 1000, 1500, 2000, 3000]

interface Round {
  readonly gapMs: number
  readonly beforeMs: number
  readonly afterMs: number
  readonly refusals: readonly string[]
}

/** What is to be reached, in ms. */
interface Goals {
  readonly p50Ms?: number
  readonly p99Ms: number
}

export async function runFailoverBench(options: FailoverBenchOptions = {}): Promise<void> {
  const { kills = 50, stops = 20, transfers = 100 } = options
  console.log('failover: three whole peers, a client at each that does not lead; time without an acknowledged write')
  const daemons = await bootstrapCluster(3)
  try {
    await printMachine(daemons[0]!.folder)
    report('kill -9 of the leader', await rounds(kills, daemons, kill), { p50Ms: 150, p99Ms: 400 })
    report('SIGSTOP of the leader', await rounds(stops, daemons, hang), { p99Ms: 2000 })
    report('planned transfer', await rounds(transfers, daemons, transfer), { p99Ms: 50 })
    for (const daemon of daemons) await daemon.stop()
  } finally {
    await cleanUp(daemons)
  }
}

/** Does harm to the leader. @returns what undoes it, once it was measured */
type Fault = (leader: Daemon) => Promise<() => Promise<unknown>>

const kill: Fault = async (leader) => {
  process.kill(leader.pid!, 'SIGKILL')
  return async () => {
    await leader.stop('SIGKILL')
    await leader.start().ready()
  }
}

const hang: Fault = async (leader) => {
  const pid = leader.pid!
  process.kill(pid, 'SIGSTOP')
  return async () => process.kill(pid, 'SIGCONT')
}

const transfer: Fault = async (leader) => {
  await leader.client.peersTransfer()
  return async () => undefined
}

async function rounds(count: number, daemons: readonly Daemon[], fault: Fault): Promise<readonly Round[]> {
  const done: Round[] = []
  while (done.length < count) done.push(await round(daemons, fault))
  return done
}

async function round(daemons: readonly Daemon[], fault: Fault): Promise<Round> {
  const leader = await settledLeader(daemons)
  const writers = daemons.filter((daemon) => daemon !== leader).map((daemon) => new Writer(daemon))
  let repair = async (): Promise<unknown> => undefined
  try {
    await delay(STEADY_MS)
    const faultMs = performance.now()
    repair = await fault(leader)
    // A write that began after the fault tells that there is a leader.
    await until(
      'both clients write again',
      () => writers.every(({ acks }) => (acks.at(-1)?.fromMs ?? 0) > faultMs),
      HANG_MS
    )
    await delay(AFTER_MS)
    await Promise.all(writers.map((writer) => writer.stop()))
    return { ...longestGaps(writers, faultMs), refusals: writers.flatMap(({ refusals }) => refusals) }
  } finally {
    await repair()
    await Promise.all(writers.map((writer) => writer.stop()))
  }
}

function longestGaps(writers: readonly Writer[], faultMs: number): Omit<Round, 'refusals'> {
  const times = writers.flatMap(({ acks }) => acks.map(({ atMs }) => atMs)).sort((a, b) => a - b)
  const overMs = Math.max(...writers.map(({ acks }) => acks.find(({ fromMs }) => fromMs > faultMs)!.atMs))
  /** Of the gaps that end in this span. */
  const longest = (afterMs: number, untilMs: number): number =>
    Math.max(0, ...times.map((atMs, n) => (atMs > afterMs && atMs <= untilMs && n > 0 ? atMs - times[n - 1]! : 0)))
  return {
    beforeMs: longest(0, faultMs),
    gapMs: longest(faultMs, overMs),
    afterMs: longest(overMs, Number.POSITIVE_INFINITY)
  }
}

function report(what: string, all: readonly Round[], goals: Goals): void {
  if (all.length === 0) return
  const gaps = all.map(({ gapMs }) => gapMs)
  const refusals = all.flatMap((one) => one.refusals)
  const goal = goals.p50Ms === undefined ? '' : `p50 ${goals.p50Ms}, `
  console.log(`  ${what}, ${gaps.length} times: ${spread(gaps)}`)
  console.log(`  in the ${STEADY_MS} ms before: ${spread(all.map(({ beforeMs }) => beforeMs))}`)
  console.log(`  in the ${AFTER_MS} ms after: ${spread(all.map(({ afterMs }) => afterMs))}`)
  console.log(`  goal: ${goal}p99 ${goals.p99Ms} ms, no write refused; refused: ${refusals.length}`)
  for (const text of new Set(refusals)) console.log(`    ${text}`)
  printHistogram(gaps, BOUNDS_MS)
}

function spread(gapsMs: readonly number[]): string {
  const values = [0.5, 0.9, 0.99].map((q) => `p${q * 100} ${quantile(gapsMs, q).toFixed(0)}`)
  return `${values.join(', ')}, longest ${Math.max(...gapsMs).toFixed(0)} ms`
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { short: { type: 'boolean' } } })
  await runFailoverBench(values.short === true ? shortFailover : {})
}
