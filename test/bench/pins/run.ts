/**
 * Pins per second over HTTP: three peers of a cluster on this machine, each as its users start it, with embedded IPFS nodes on a private
 * network and everything on disk with fsync; a load generator that is no part of this repository sends `POST /pins/{cid}` of content
 * that nobody has, to the leader and to a follower. Load and peers share the processors, so only comparisons on one machine mean anything.
 *
 *   node --conditions=quorate-source test/bench/pins/run.ts [--pins=10000] [--profile=FOLDER]
 *
 * `PINLOAD` names the load generator; the default is `../shared/tools/pinload.mjs` beside the checkout. `--profile` has the peers
 * write CPU profiles. `test/bench/run.ts` calls `runPinsBench`.
 */

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { checkout, cleanUp, type Daemon, initPeers, run } from '../../e2e/support/daemon.ts'
import { printMachine } from '../support/machine.ts'

export interface PinsBenchOptions {
  /** The load generator. @default PINLOAD, or ../shared/tools/pinload.mjs beside the checkout */
  readonly pinload?: string
  /** Pins at each concurrency; a tenth of them at concurrency 1. @default 10000 */
  readonly pins?: number
  /** Folder for CPU profiles of the peers. @default none are taken */
  readonly profileFolder?: string
}

export const shortPins: PinsBenchOptions = { pins: 200 }

export interface PinsFigure {
  readonly at: 'leader' | 'follower'
  readonly concurrency: number
  readonly pinsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly failed: number
}

/** What the load generator prints. */
interface LoadLine {
  readonly pinsPerS: number
  readonly p50ms: number
  readonly p99ms: number
  readonly fail: number
  readonly firstErr?: string
}

const CONCURRENCIES: readonly number[] = [1, 64, 256]
const LOAD_TIMEOUT_MS = 300_000

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** Runs it, prints a table, and answers the figures; undefined, after a line that says why, if it cannot be run here. */
export async function runPinsBench(options: PinsBenchOptions = {}): Promise<readonly PinsFigure[] | undefined> {
  const pinload = resolve(root, options.pinload ?? process.env.PINLOAD ?? '../shared/tools/pinload.mjs')
  if (!existsSync(pinload)) {
    console.log(`skipped pins over HTTP: there is no load generator at ${pinload}`)
    return undefined
  }
  const pins = options.pins ?? 10_000
  const daemons = await startPeers(options.profileFolder)
  try {
    console.log('pins: three peers over libp2p, POST /pins/{cid} answered once committed and applied')
    await printMachine(daemons[0]!.folder)
    const leader = leaderOf(daemons)
    const follower = daemons.find((daemon) => daemon !== leader)!
    const figures: PinsFigure[] = []
    for (const [at, daemon] of [
      ['leader', leader],
      ['follower', follower]
    ] as const) {
      for (const concurrency of CONCURRENCIES) {
        const count = concurrency === 1 ? Math.ceil(pins / 10) : pins
        const line = await load(pinload, daemon, count, concurrency)
        figures.push({
          at,
          concurrency,
          pinsPerSecond: line.pinsPerS,
          p50Ms: line.p50ms,
          p99Ms: line.p99ms,
          failed: line.fail
        })
      }
    }
    if (leaderOf(daemons) !== leader) console.log('      the leader changed meanwhile: the figures are of no use')
    print(figures)
    for (const daemon of daemons) await daemon.stop()
    return figures
  } finally {
    await cleanUp(daemons)
  }
}

async function startPeers(profileFolder: string | undefined): Promise<readonly Daemon[]> {
  const [program, ...words] = checkout.service
  const profiling = profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(profileFolder)}`]
  const programs = { ...checkout, service: [program!, ...profiling, ...words] }
  const daemons = await initPeers(3, { programs })
  try {
    const [first, ...others] = daemons
    await first!.start().ready()
    for (const daemon of others) await daemon.start(['--bootstrap', first!.address]).ready()
    return daemons
  } catch (error) {
    await cleanUp(daemons)
    throw error
  }
}

/** By what each peer said last of whom it follows. */
function leaderOf(daemons: readonly Daemon[]): Daemon {
  const said = daemons[1]!.log.match(/leader[^\w]+(12D3KooW\w+)/g)?.at(-1) ?? ''
  const leader = daemons.find(({ id }) => said.endsWith(id))
  if (leader === undefined) throw new Error(`No peer is known to lead: ${daemons[1]!.log}`)
  return leader
}

async function load(pinload: string, daemon: Daemon, pins: number, concurrency: number): Promise<LoadLine> {
  const words = [pinload, daemon.api, `${pins}`, `${concurrency}`]
  const { code, stdout, stderr } = await run([process.execPath], words, { timeoutMs: LOAD_TIMEOUT_MS })
  if (code !== 0) throw new Error(`${pinload} ended with ${code}: ${stderr}`)
  const line = JSON.parse(stdout) as LoadLine
  if (line.fail > 0) console.log(`      ${line.fail} pins failed, the first with: ${line.firstErr}`)
  return line
}

function print(figures: readonly PinsFigure[]): void {
  console.table(
    figures.map(({ at, concurrency, pinsPerSecond, p50Ms, p99Ms, failed }) => ({
      at,
      concurrency,
      'pins/s': pinsPerSecond,
      'p50 ms': p50Ms,
      'p99 ms': p99Ms,
      failed
    }))
  )
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { pins: { type: 'string' }, profile: { type: 'string' } } })
  await runPinsBench({
    ...(values.pins === undefined ? {} : { pins: Number(values.pins) }),
    ...(values.profile === undefined ? {} : { profileFolder: values.profile })
  })
}
