/**
 * The command `npm run test:simulation`: runs seeds and prints what a person needs, above all how to replay a failure.
 *
 *   npm run test:simulation -- --seed=7                 one seed, verbosely
 *   npm run test:simulation -- --seed=1 --seeds=1000    a thousand from 1 on
 *   npm run test:simulation -- --seeds=1000 --mutation=no-own-term-barrier
 *   npm run test:simulation -- --full --seeds=100       the real driver, storage and codec
 *   npm run test:simulation -- --seeds=300 --pace=reference    a figure of speed that can be compared
 *
 * Exit code 0: no violation; 1: a violation; 2: the command line is wrong.
 */

import { parseArgs } from 'node:util'
import {
  DISK_FAULT_FAMILIES,
  DRIVER_BUGS,
  type DriverBug,
  FAULT_FAMILIES,
  type FaultFamily,
  type FullSimulationInit,
  MUTATIONS,
  type Mutation,
  PACES,
  type Pace,
  type SimulationReport,
  shrink,
  shrinkFull,
  simulate,
  simulateFull
} from '@quorate/raft/sim'

const usage = `Usage: npm run test:simulation -- [options]
  --seed=N             first seed (default 1)
  --seeds=K            how many seeds (default 1)
  --nodes=N            first voters, 1 to 9 (default 5)
  --full               run the real driver, storage and codec, on disks that fail in more ways
  --faults-ms=N        how long faults go on, in virtual milliseconds (default 20000, with --full 6000)
  --mutation=NAME      a bug to put back, can be repeated: ${MUTATIONS.join(', ')};
                       with --full also: ${DRIVER_BUGS.join(', ')}
  --consequences-only  judge harm done alone, not the rules that prevent it
  --without=FAMILY     leave something out of the world, can be repeated: ${FAULT_FAMILIES.join(', ')};
                       with --full also: ${DISK_FAULT_FAMILIES.join(', ')}
  --pace=NAME          drawn: by the seed (default); reference: election timeout 450 ms, heartbeat 75 ms, 20 requests a second
  --shrink             make the first violation small, and print how to replay that
  --keep-going         do not stop at the first violation
  --events=N           how many events to print before a violation (default 60)`

const fail = (message: string): never => {
  console.error(`${message}\n${usage}`)
  process.exit(2)
}

interface Command {
  readonly init: Omit<FullSimulationInit, 'seed'>
  readonly full: boolean
  readonly firstSeed: number
  readonly seedCount: number
  readonly keepGoing: boolean
  readonly shrinks: boolean
  readonly eventCount: number
}

function parse(argv: readonly string[]): Command {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string', default: '1' },
      full: { type: 'boolean', default: false },
      nodes: { type: 'string', default: '5' },
      'faults-ms': { type: 'string' },
      mutation: { type: 'string', multiple: true, default: [] },
      'consequences-only': { type: 'boolean', default: false },
      without: { type: 'string', multiple: true, default: [] },
      pace: { type: 'string', default: 'drawn' },
      shrink: { type: 'boolean', default: false },
      'keep-going': { type: 'boolean', default: false },
      events: { type: 'string', default: '60' }
    }
  })
  const whole = (name: string, text: string, low: number, high: number): number => {
    const value = Number(text)
    if (!Number.isInteger(value) || value < low || value > high) {
      fail(`--${name} is ${JSON.stringify(text)}, but must be a whole number from ${low} to ${high}`)
    }
    return value
  }
  const { full } = values
  const isDriverBug = (name: string): boolean => full && DRIVER_BUGS.includes(name as DriverBug)
  const families: readonly string[] = full ? [...FAULT_FAMILIES, ...DISK_FAULT_FAMILIES] : FAULT_FAMILIES
  for (const name of values.mutation) {
    if (!MUTATIONS.includes(name as Mutation) && !isDriverBug(name))
      fail(`--mutation is ${JSON.stringify(name)}, which is none of the known ones`)
  }
  for (const family of values.without) {
    if (!families.includes(family)) fail(`--without is ${JSON.stringify(family)}, which is none of the known ones`)
  }
  const { pace } = values
  if (!PACES.includes(pace as Pace)) fail(`--pace is ${JSON.stringify(pace)}, and must be one of ${PACES.join(', ')}`)
  const faultsMs = values['faults-ms']
  return {
    init: {
      nodes: whole('nodes', values.nodes, 1, 9),
      mutations: new Set(values.mutation.filter((name) => !isDriverBug(name)) as Mutation[]),
      bugs: new Set(values.mutation.filter(isDriverBug) as DriverBug[]),
      consequencesOnly: values['consequences-only'],
      without: values.without as FaultFamily[],
      pace: pace as Pace,
      ...(faultsMs === undefined ? {} : { faultsMs: whole('faults-ms', faultsMs, 1, 86_400_000) })
    },
    full,
    firstSeed: whole('seed', values.seed, 0, 0xffff_ffff),
    seedCount: whole('seeds', values.seeds, 1, 100_000_000),
    keepGoing: values['keep-going'],
    shrinks: values.shrink,
    eventCount: whole('events', values.events, 0, 400)
  }
}

function printViolation(report: SimulationReport, eventCount: number): void {
  const { violation } = report
  if (violation === undefined) return
  for (const line of violation.lastEvents.slice(violation.lastEvents.length - eventCount)) console.log(line)
  console.log(`seed ${report.seed}: VIOLATION of ${violation.judge} at ${violation.atMs.toFixed(3)} ms`)
  console.log(`  ${violation.message}`)
  console.log(`  replay: ${report.replay}`)
}

const run = (command: Command, seed: number): SimulationReport | Promise<SimulationReport> =>
  command.full ? simulateFull({ ...command.init, seed }) : simulate(coreInit(command, seed))

const coreInit = ({ init }: Command, seed: number) => ({
  ...init,
  seed,
  without: (init.without ?? []) as FaultFamily[]
})

/** Prints the smallest world found in which the same judge objects. */
async function printShrunk(command: Command, seed: number): Promise<void> {
  const shrunk = command.full ? await shrinkFull({ ...command.init, seed }) : shrink(coreInit(command, seed))
  if (shrunk === undefined) return
  console.log(`\nThe same in a smaller world, after ${shrunk.runs} runs:`)
  printViolation(shrunk.report, command.eventCount)
}

async function main(): Promise<void> {
  const command = parse(process.argv.slice(2))
  const { firstSeed, seedCount } = command
  const startCpu = process.cpuUsage()
  const found: SimulationReport[] = []
  const sums = { simulatedMs: 0, events: 0, terms: 0, committed: 0, acknowledged: 0, reads: 0, crashes: 0 }
  let runs = 0
  for (let seed = firstSeed; seed < firstSeed + seedCount; seed++) {
    const report = await run(command, seed)
    runs++
    sums.simulatedMs += report.simulatedMs
    sums.events += report.events
    sums.terms += report.terms
    sums.committed += report.committed
    sums.acknowledged += report.workload.acknowledged
    sums.reads += report.workload.readsServed
    sums.crashes += report.nemesis.crashes
    if (seedCount === 1) console.log(JSON.stringify({ ...report, violation: undefined }, undefined, 2))
    if (report.violation === undefined) continue
    found.push(report)
    printViolation(report, command.keepGoing ? 0 : command.eventCount)
    if (command.shrinks) await printShrunk(command, seed)
    if (!command.keepGoing) break
  }
  const cpu = process.cpuUsage(startCpu)
  const cpuMinutes = (cpu.user + cpu.system) / 60e6
  const hours = sums.simulatedMs / 3_600_000
  console.log(
    `${runs} seeds, ${found.length} with a violation; ${sums.events} events, ${sums.terms} terms, ${sums.committed} entries committed, ` +
      `${sums.acknowledged} writes acknowledged, ${sums.reads} reads served, ${sums.crashes} crashes`
  )
  const cpuSeconds = cpuMinutes * 60
  console.log(
    `${hours.toFixed(3)} simulated cluster-hours in ${cpuSeconds.toFixed(1)} s of CPU: ${(hours / cpuMinutes).toFixed(1)} hours per CPU minute; ` +
      `${(sums.events / (hours * 3600)).toFixed(0)} events a simulated second, ${((cpuSeconds * 1e6) / sums.events).toFixed(2)} us of CPU an event`
  )
  process.exitCode = found.length > 0 ? 1 : 0
}

try {
  await main()
} catch (error) {
  if (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))
    fail(error.message)
  throw error
}
