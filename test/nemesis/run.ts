/**
 * Real daemons under real faults, with clients at work all the while, and a judgement of what the clients saw. By hand:
 * `node --conditions=quorate-source test/nemesis/run.ts --minutes=10 --faults=kill,pause`; `nemesis.e2e.ts` runs a short one.
 *
 * Ends with 0 when the history is linearizable, nothing acknowledged is lost, all peers agree and serve, and everything ended in order. The report, the
 * history and the logs stay in the folder that `--out` names; without `--out`, only after a failure.
 */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { until } from '../e2e/support/daemon.ts'
import { NemesisCluster } from './cluster.ts'
import { SmallDisk } from './disk.ts'
import { type FaultName, faultNames, faultNeeds, faults, forgetful } from './faults.ts'
import { History } from './history.ts'
import { checkRegister } from './linearizability.ts'
import { PeerNetwork } from './network.ts'
import { type NemesisOptions, parseOptions, usage } from './options.ts'
import { Random } from './random.ts'
import type { FaultReport, Report } from './report.ts'
import { bringLoopbackUp, enterSandbox, otherProcesses, sandbox } from './sandbox.ts'
import { Workload } from './workload.ts'

/** After a fault all peers have to serve again within this time: joins and starts give up after 15 s and are then begun anew. */
const RECOVERY_MS = 60_000
/** Undisturbed work before the first fault and after each that was waited for. */
const CALM_MS = 1_000
/** How many faults come together with another. */
const PAIR_SHARE = 0.3
/** For the start and the end of a run, beside its faults; a run that hangs longer ends itself. */
const OVERHEAD_MS = 240_000

const say = (text: string): void => console.log(text)

async function nemesis(options: NemesisOptions, missing: string | undefined): Promise<boolean> {
  if (missing === undefined) await bringLoopbackUp()
  const skipped = await whatIsMissing(options.faults, missing)
  const wanted = options.faults.filter((name) => !skipped.has(name))
  for (const [name, reason] of skipped) say(`no ${name}: ${reason}`)
  if (wanted.length === 0) throw new Error('None of the faults is possible here')
  const { out } = options
  const random = new Random(options.seed)
  const history = new History(join(out, 'history.ndjson'))
  say(`seed ${options.seed}, ${options.peers} peers, faults: ${wanted.join(', ')}`)
  const cluster = await NemesisCluster.create({
    count: options.peers,
    logFolder: out,
    network: wanted.some((name) => faultNeeds[name] === 'network'),
    disks: wanted.some((name) => faultNeeds[name] === 'disk')
  })
  running = cluster
  const failures: string[] = []
  const reports: FaultReport[] = []
  let pinCount = 0
  let codes: Report['exitCodes'] = []
  const workload = new Workload(history, cluster.peers, random)
  try {
    workload.start()
    await delay(CALM_MS)
    const run = { cluster, workload, history, random, options, wanted, reports }
    try {
      await strike(run)
      say('calm: every peer serves, all agree, every register is read at every peer')
      await untilServing(run)
      await workload.stop()
      pinCount = await cluster.agreed(RECOVERY_MS)
      for (const cid of workload.cids()) {
        await Promise.all(cluster.peers.map((peer) => finalRead(workload, peer, cid, failures)))
      }
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
      await workload.stop()
    }
    failures.push(...judge(history))
    codes = await cluster.stop()
    for (const { peer, code } of codes) if (code !== 0) failures.push(`${peer} ended with ${code} after SIGTERM`)
    for (const { peer, code, lastLines } of cluster.unexpectedEnds()) {
      failures.push(`${peer} ended by itself with ${code}:\n${lastLines}`)
    }
  } finally {
    await cluster.remove()
  }
  const left = missing === undefined ? await otherProcesses() : []
  for (const process of left) failures.push(`a process is left: ${process}`)
  const report: Report = {
    seed: options.seed,
    peers: options.peers,
    skipped: Object.fromEntries(skipped),
    operations: history.count,
    ...history.tally(),
    acknowledgedWrites: history.acknowledgedWritesMs().length,
    registers: workload.cids().length,
    pinCount,
    faults: reports,
    exitCodes: codes,
    failures
  }
  await writeFile(join(out, 'report.json'), `${JSON.stringify(report, null, 2)}\n`)
  print(report)
  return failures.length === 0
}

interface Run {
  readonly cluster: NemesisCluster
  readonly workload: Workload
  readonly history: History
  readonly random: Random
  readonly options: NemesisOptions
  readonly wanted: readonly FaultName[]
  readonly reports: FaultReport[]
}

/** One fault after the other, each kind once a round, until rounds or time are used up. With a time to fill, some come in pairs. */
async function strike(run: Run): Promise<void> {
  const { options, random, wanted, history } = run
  const { rounds } = options
  const endMs = history.nowMs + options.minutes * 60_000
  for (let round = 1; rounds === undefined || round <= rounds; round++) {
    const left = random.shuffled(wanted)
    for (let name = left.pop(); name !== undefined; name = left.pop()) {
      if (interrupted || (rounds === undefined && history.nowMs >= endMs)) return
      const names = [name]
      const next = left.at(-1)
      const pair = rounds === undefined && next !== undefined && random.next() < PAIR_SHARE
      // Two cuts of the network would undo each other, and two peers that forget are too many.
      const clash =
        next !== undefined &&
        ((faultNeeds[name] === 'network' && faultNeeds[next] === 'network') ||
          (forgetful.has(name) && forgetful.has(next)))
      if (pair && !clash) names.push(left.pop()!)
      await strikeOnce(run, names)
    }
  }
}

async function strikeOnce(run: Run, names: readonly FaultName[]): Promise<void> {
  const { cluster, random, history, options, reports } = run
  const beganMs = history.nowMs
  const details: string[] = []
  const note = (detail: string): void => {
    details.push(detail)
    history.note('fault', { names, detail })
    say(`${(history.nowMs / 1000).toFixed(1).padStart(6)} s  ${detail}`)
  }
  await Promise.all(names.map((name) => faults[name]({ cluster, random, maxHoldMs: options.maxHoldMs, note })))
  const healedMs = history.nowMs
  history.note('healed', { names })
  // Now and then the next fault finds a cluster that has not recovered from this one.
  const waits = random.next() < 0.75 || names.some((name) => forgetful.has(name))
  if (waits) {
    await untilServing(run)
    await delay(CALM_MS)
  }
  const servingMs = waits ? history.nowMs - CALM_MS : undefined
  const gapMs = longestGap(history.acknowledgedWritesMs(), beganMs, history.nowMs)
  reports.push({
    names,
    details,
    heldMs: Math.round(healedMs - beganMs),
    recoveredAfterMs: servingMs === undefined ? undefined : Math.round(servingMs - healedMs),
    longestWriteGapMs: Math.round(gapMs)
  })
  const recovered = servingMs === undefined ? 'not waited for' : `${Math.round(servingMs - healedMs)} ms later`
  say(`          all serve: ${recovered}; longest write gap ${Math.round(gapMs)} ms`)
}

/** Waits until each peer is READY and takes a write and a linearizable read. A peer that gave up meanwhile is started again. */
async function untilServing({ cluster, workload, history }: Run): Promise<void> {
  await until(
    'every peer serves',
    async () => {
      const started = cluster.startAgain()
      if (started.length > 0) history.note('started again', { peers: started })
      const waiting = cluster.peers.find(({ ready }) => !ready)
      if (waiting !== undefined) throw new Error(`${waiting.name} is not READY`)
      const outcomes = await Promise.all(
        cluster.peers.flatMap((peer) => [workload.write(peer), workload.read(peer, workload.cids().at(-1)!)])
      )
      const failed = outcomes.find(({ kind }) => kind !== 'ok')
      if (failed !== undefined && failed.kind !== 'ok') throw new Error(`a request was answered with ${failed.reason}`)
      return true
    },
    RECOVERY_MS
  )
}

async function finalRead(
  workload: Workload,
  peer: NemesisCluster['peers'][number],
  cid: string,
  failures: string[]
): Promise<void> {
  const outcome = await workload.read(peer, cid)
  if (outcome.kind !== 'ok') failures.push(`${peer.name} cannot read ${cid} at the end: ${outcome.reason}`)
}

/** What the checker says of each register, in words. */
function judge(history: History): string[] {
  const failures: string[] = []
  for (const [key, operations] of history.byKey()) {
    const verdict = checkRegister(operations)
    if (verdict.linearizable) continue
    const { operation, possible } = verdict
    const seen = 'removed' in operation.action ? operation.action.removed : operation.action.value
    const explained = checkRegister(operations, { repeats: true }).linearizable
    failures.push(
      `${key} is not linearizable: operation ${operation.id}, a ${operation.action.kind}, has ${seen ?? 'nothing'}, where ` +
        `${possible.map((value) => value ?? 'nothing').join(', ')} was possible. ` +
        (explained
          ? 'It would be, if an operation may take effect twice.'
          : 'That an operation took effect twice does not explain it.')
    )
  }
  return failures
}

/** Longest time without an acknowledged write that touches `[fromMs, toMs]`. */
function longestGap(ascendingMs: readonly number[], fromMs: number, toMs: number): number {
  let longest = 0
  let last = 0
  for (const ms of [...ascendingMs, toMs]) {
    if (ms >= fromMs && last <= toMs) longest = Math.max(longest, Math.min(ms, toMs) - last)
    last = ms
  }
  return longest
}

/** Faults that cannot be had here, and why. */
async function whatIsMissing(
  names: readonly FaultName[],
  missing: string | undefined
): Promise<ReadonlyMap<FaultName, string>> {
  const reasons = {
    network: missing ?? (await PeerNetwork.missing()),
    disk: missing ?? (await SmallDisk.missing())
  }
  const skipped = new Map<FaultName, string>()
  for (const name of names) {
    const need = faultNeeds[name]
    const reason = need === undefined ? undefined : reasons[need]
    if (reason !== undefined) skipped.set(name, reason)
  }
  return skipped
}

function print(report: Report): void {
  say(
    `\n${report.operations} operations on ${report.registers} registers, ${report.acknowledgedWrites} writes acknowledged`
  )
  for (const counts of [report.outcomes, report.reasons]) {
    say(
      `  ${
        Object.entries(counts)
          .map(([name, count]) => `${name} ${count}`)
          .join(', ') || 'none failed'
      }`
    )
  }
  for (const failure of report.failures) say(`FAILURE: ${failure}`)
  say(
    report.failures.length === 0
      ? 'linearizable, nothing lost, all equal, all in order'
      : `${report.failures.length} failures`
  )
}

/** Set by Ctrl-C: the fault that is there is the last. */
let interrupted = false
/** Whose processes must not outlive this one. */
let running: NemesisCluster | undefined

/** Ends at once, with all that was started. With namespaces that comes by itself. */
function giveUp(reason: string): never {
  console.error(`FAILURE: ${reason}`)
  for (const peer of running?.peers ?? []) peer.signal('SIGKILL')
  process.exit(1)
}

async function main(): Promise<number> {
  const args = process.argv.slice(2)
  const options = parseOptions(args)
  if (typeof options === 'string') {
    console.error(`${options}\n\n${usage}`)
    return 2
  }
  const inside = sandbox()
  if (inside === undefined) {
    const out = resolve(options.out ?? (await mkdtemp('/tmp/quorate-nemesis-report-')))
    await mkdir(out, { recursive: true })
    const seed = options.seed ?? Date.now() % 1_000_000
    const code = await enterSandbox(fileURLToPath(import.meta.url), [...args, `--out=${out}`, `--seed=${seed}`])
    if (code === 0 && options.out === undefined) await rm(out, { recursive: true, force: true })
    else say(`history, logs and report: ${out}`)
    return code
  }
  process.on('SIGINT', () => {
    interrupted = true
  })
  const limitMs =
    OVERHEAD_MS +
    options.minutes * 60_000 +
    (options.rounds ?? 0) * faultNames.length * (RECOVERY_MS + options.maxHoldMs)
  const watchdog = setTimeout(() => giveUp(`the run did not end within ${limitMs} ms`), limitMs)
  process.stdin.on('end', () => giveUp('the process that started the run is gone')).resume()
  try {
    return (await nemesis(options as NemesisOptions, inside.missing)) ? 0 : 1
  } finally {
    clearTimeout(watchdog)
  }
}

process.exit(await main())
