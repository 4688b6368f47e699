/**
 * What a large pinset costs: three whole peers hold a million pins, and a fourth joins, for which a snapshot is made and sent while
 * clients write at the leader. Printed are the leader's commit latency before and meanwhile, the longest time that an event loop was late
 * meanwhile and the most processor time that it spent in one such time, and the anonymous memory of each voter at rest.
 *
 *   node --conditions=quorate-source test/bench/peers/snapshot.ts [--pins=1000000] [--profile=FOLDER] [--short]
 *
 * The pins are put in by `packages/service/test/bench/probe.ts`, which is loaded into the peers; another peer, which is not there, is to
 * hold their content, so that the IPFS nodes have nothing to do. `--profile` has the peers write CPU profiles. `test/bench/run.ts` calls
 * `runSnapshotBench`.
 */

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { checkout, cleanUp, type Daemon, freePort, initPeers } from '../../e2e/support/daemon.ts'
import { printMachine } from '../support/machine.ts'
import { quantile } from '../support/statistics.ts'
import { settledLeader, statusOf } from './group.ts'
import { type Ack, Writer } from './writer.ts'

export interface SnapshotBenchOptions {
  /** @default 1000000 */
  readonly pins?: number
  /** Writing at rest, for comparison. @default 15 */
  readonly idleSeconds?: number
  /** Folder for CPU profiles of the peers. @default none are taken */
  readonly profileFolder?: string
}

export const shortSnapshot: SnapshotBenchOptions = { pins: 20_000, idleSeconds: 2 }

/** Clients that write at the leader, one write after the other. */
const WRITERS = 4
const PINS_PER_REQUEST = 50_000
/** After so long a request for pins that fails is not made again. */
const FILL_MS = 900_000
/** How long peers have to take in the pins, or a snapshot of them. */
const SETTLE_MS = 600_000
/** Before memory is looked at: garbage is collected, and the state is written out. */
const REST_MS = 5_000
const STATUS_POLL_MS = 50
const MIB = 1024 * 1024

const GOAL_TIMES = 3
const GOAL_BLOCK_MS = 50
const GOAL_MIB = 300

const probe = fileURLToPath(new URL('../../../packages/service/test/bench/probe.ts', import.meta.url))

/** A peer with the probe in it. */
interface ProbedPeer {
  readonly daemon: Daemon
  readonly probePort: number
}

export async function runSnapshotBench(options: SnapshotBenchOptions = {}): Promise<void> {
  const { pins = 1_000_000, idleSeconds = 15, profileFolder } = options
  console.log(
    `snapshot: three whole peers with ${pins.toLocaleString('en')} pins, a fourth joins while ${WRITERS} write`
  )
  const [program, ...words] = checkout.service
  const profiling = profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(profileFolder)}`]
  const programs = { ...checkout, service: [program!, `--import=${probe}`, ...profiling, ...words] }
  const daemons = await initPeers(4, { programs })
  try {
    await printMachine(daemons[0]!.folder)
    const peers = await Promise.all(daemons.map(async (daemon) => ({ daemon, probePort: await freePort() })))
    const [first, second, third, joiner] = peers as [ProbedPeer, ProbedPeer, ProbedPeer, ProbedPeer]
    await start(first).ready()
    for (const peer of [second, third]) await start(peer, ['--bootstrap', first.daemon.address]).ready()
    const three = [first, second, third].map(({ daemon }) => daemon)
    await fill(peers.slice(0, 3), pins)
    const leading = await settledLeader(three, SETTLE_MS)
    const leader = peers.find(({ daemon }) => daemon === leading)!
    await delay(REST_MS)
    await printMemory(peers.slice(0, 3))

    for (const peer of peers.slice(0, 3)) await longestLateness(peer)
    const idle = await latenciesWhile(leader.daemon, () => delay(idleSeconds * 1000))
    const idleBlock = await longestLateness(leader)
    let window = { fromMs: 0, toMs: 0 }
    const during = await latenciesWhile(leader.daemon, async () => {
      start(joiner, ['--bootstrap', first.daemon.address])
      window = await snapshotWindow(leader.daemon, joiner)
    })
    const blocks = await Promise.all([leader, ...peers.filter((peer) => peer !== leader)].map(longestLateness))
    if ((await settledLeader(daemons, SETTLE_MS)) !== leading) {
      console.log(
        '  the leader changed meanwhile: the latencies are those of writes at a peer that did not lead all the time'
      )
    }

    const meanwhile = during.filter(({ atMs, fromMs }) => atMs >= window.fromMs && fromMs <= window.toMs)
    const [before, after] = [idle, meanwhile].map((acks) => acks.map(({ fromMs, atMs }) => atMs - fromMs))
    const seconds = ((window.toMs - window.fromMs) / 1000).toFixed(1)
    printLatencies('at rest', before!)
    printLatencies(`while the snapshot was made and sent, ${seconds} s`, after!)
    const times = quantile(after!, 0.99) / quantile(before!, 0.99)
    console.log(`  p99 is ${times.toFixed(1)} times that at rest; goal: ${GOAL_TIMES}`)
    const [own, follower, other, joining] = blocks.map(inWords)
    console.log(
      `  longest an event loop was late, in ms, and the longest of its own work: ${own} at the leader (${inWords(idleBlock)} at rest; ` +
        `goal: ${GOAL_BLOCK_MS}), ${follower} and ${other} at the followers, ${joining} at the new peer from the beginning of the snapshot on`
    )
    for (const daemon of daemons) await daemon.stop()
  } finally {
    await cleanUp(daemons)
  }
}

const start = ({ daemon, probePort }: ProbedPeer, args: readonly string[] = []): Daemon =>
  daemon.start(args, { QUORATE_BENCH_PROBE: `${probePort}` })

async function ask(peer: ProbedPeer, path: string): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${peer.probePort}${path}`, { method: 'POST' })
  if (!response.ok) throw new Error(`${path} of ${peer.daemon.name}: ${await response.text()}`)
  return response.json()
}

async function fill(peers: readonly ProbedPeer[], pins: number): Promise<void> {
  const daemons = peers.map(({ daemon }) => daemon)
  const fromMs = performance.now()
  let leading = await settledLeader(daemons)
  for (let from = 0; from < pins; ) {
    const count = Math.min(PINS_PER_REQUEST, pins - from)
    try {
      await ask(peers.find(({ daemon }) => daemon === leading)!, `/pins?from=${from}&count=${count}`)
      from += count
    } catch (error) {
      if (performance.now() - fromMs > FILL_MS) throw error
      // It may have stopped leading. To pin the same again changes nothing.
      console.log(`  asked for the same pins once more: ${error instanceof Error ? error.message : String(error)}`)
      leading = await settledLeader(daemons, SETTLE_MS)
    }
  }
  const seconds = (performance.now() - fromMs) / 1000
  console.log(`  ${Math.round(pins / seconds).toLocaleString('en')} pins/s put in, in batches`)
}

interface Lateness {
  readonly longestMs: number
  /** Far less than the other where the thread waited for a processor. */
  readonly longestCpuMs: number
}

/** Since it was asked last. */
const longestLateness = async (peer: ProbedPeer): Promise<Lateness> => (await ask(peer, '/loop')) as Lateness

const inWords = ({ longestMs, longestCpuMs }: Lateness): string =>
  `${longestMs.toFixed(0)} (${longestCpuMs.toFixed(0)})`

async function latenciesWhile(leader: Daemon, work: () => Promise<unknown>): Promise<readonly Ack[]> {
  const writers = Array.from({ length: WRITERS }, () => new Writer(leader, 0))
  try {
    await work()
  } finally {
    await Promise.all(writers.map((writer) => writer.stop()))
  }
  const refusals = writers.flatMap((writer) => writer.refusals)
  if (refusals.length > 0) console.log(`  ${refusals.length} writes were refused, the first with: ${refusals[0]}`)
  return writers.flatMap(({ acks }) => acks)
}

/** From when the leader begins to bring the new peer up to date by a snapshot until that votes. */
async function snapshotWindow(leader: Daemon, joiner: ProbedPeer): Promise<{ fromMs: number; toMs: number }> {
  let fromMs: number | undefined
  const endMs = performance.now() + SETTLE_MS
  while (performance.now() < endMs) {
    const [status] = await statusOf([leader])
    const { id } = joiner.daemon
    const progress = status?.followers.find((follower) => follower.id === id)
    if (progress?.state === 'snapshot' && fromMs === undefined) {
      fromMs = performance.now()
      // Its start does not count: modules are loaded then.
      await longestLateness(joiner)
    }
    if (status?.voters.includes(id) && progress?.state === 'replicate') {
      if (fromMs === undefined) throw new Error('The new peer was brought up to date without a snapshot')
      return { fromMs, toMs: performance.now() }
    }
    await delay(STATUS_POLL_MS)
  }
  throw new Error(`The new peer does not vote after ${SETTLE_MS} ms: ${joiner.daemon.log}`)
}

function printLatencies(when: string, latenciesMs: readonly number[]): void {
  const [p50, p99] = [0.5, 0.99].map((q) => quantile(latenciesMs, q).toFixed(1))
  const longest = Math.max(...latenciesMs).toFixed(0)
  console.log(`  commits at the leader ${when}: ${latenciesMs.length}, p50 ${p50}, p99 ${p99}, longest ${longest} ms`)
}

async function printMemory(peers: readonly ProbedPeer[]): Promise<void> {
  const inMib = (bytes: number): string => `${Math.round(bytes / MIB)} MiB`
  for (const peer of peers) {
    const { daemon } = peer
    const anonymous = await anonymousBytes(daemon.pid!)
    const { heapTotal, heapUsed, external } = (await ask(peer, '/memory')) as NodeJS.MemoryUsage
    console.log(
      `  anonymous memory of ${daemon.name} at rest: ${anonymous === undefined ? 'not known here' : inMib(anonymous)}; goal: ${GOAL_MIB} MiB ` +
        `(JavaScript ${inMib(heapTotal)} with ${inMib(heapUsed)} in use, buffers ${inMib(external)}; the rest is LevelDB, the IPFS node and the program)`
    )
  }
}

/** What of a process lies in memory and in no file; undefined where the system does not tell. */
async function anonymousBytes(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const kib = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]
  return kib === undefined ? undefined : Number(kib) * 1024
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { pins: { type: 'string' }, profile: { type: 'string' }, short: { type: 'boolean' } }
  })
  await runSnapshotBench({
    ...(values.short === true ? shortSnapshot : {}),
    ...(values.pins === undefined ? {} : { pins: Number(values.pins) }),
    ...(values.profile === undefined ? {} : { profileFolder: values.profile })
  })
}
