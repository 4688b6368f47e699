/**
 * How soon random seeds find each bug that can be put back (`src/core/mutations.ts`, `src/sim/full/bugs.ts`):
 *
 *   npx node --conditions=quorate-source packages/raft/test/simulation/mutation-search.ts [--seconds=3] [--write] [name …]
 *
 * For each bug: the first seed that shows it, the judge that saw it, and the CPU time until then; once with all judges, and once with those of
 * harm alone (`--no-harm` leaves that out). Gives up after `--seconds` of CPU for each. `--write` keeps what was found as known seeds, to which `mutations.sim.ts`
 * holds the simulator, and writes the tables of the documentation. The bugs outside of the core are searched for by name, or all with `--driver`.
 */

import { parseArgs } from 'node:util'
import { MUTATIONS, type Mutation, type SimulationReport, simulate } from '@quorate/raft/sim'
import { DRIVER_BUGS, type DriverBug } from '../../src/sim/full/bugs.ts'
import { simulateFull } from '../../src/sim/full/simulate-full.ts'
import { type Finding, type KnownSeed, readKnownSeeds, writeKnownSeeds } from '../traps/known-seeds.ts'
import { writeTables } from '../traps/table.ts'

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

type Run = (seed: number) => SimulationReport | Promise<SimulationReport>

/** @returns the first seed from 1 on that shows a violation; undefined once the time is over */
async function search(run: Run, seconds: number): Promise<Finding | undefined> {
  const start = cpuSeconds()
  for (let seed = 1; cpuSeconds() - start < seconds; seed++) {
    const { violation } = await run(seed)
    if (violation === undefined) continue
    return { seed, judge: violation.judge, cpuSeconds: Math.round(10 * (cpuSeconds() - start)) / 10 }
  }
  return undefined
}

const isDriverBug = (name: string): name is DriverBug => (DRIVER_BUGS as readonly string[]).includes(name)

const runOf =
  (name: string, consequencesOnly: boolean): Run =>
  (seed) =>
    isDriverBug(name)
      ? simulateFull({ seed, bugs: new Set([name]), consequencesOnly })
      : simulate({ seed, mutations: new Set([name as Mutation]), consequencesOnly })

const cell = (finding: Finding | undefined): string =>
  finding === undefined ? 'not found' : `seed ${finding.seed}, ${finding.judge}, ${finding.cpuSeconds.toFixed(1)} s`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    seconds: { type: 'string', default: '3' },
    harm: { type: 'boolean', default: true },
    driver: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false }
  }
})
const all: readonly string[] = values.driver ? DRIVER_BUGS : MUTATIONS
const unknown = positionals.filter((name) => !isDriverBug(name) && !MUTATIONS.includes(name as Mutation))
if (unknown.length > 0) throw new Error(`No bug is called ${unknown.join(', ')}`)
const seconds = Number(values.seconds)
for (const name of positionals.length === 0 ? all : positionals) {
  const before = readKnownSeeds()[name] ?? {}
  const rule = await search(runOf(name, false), seconds)
  const harm = values.harm ? await search(runOf(name, true), seconds) : before.harm
  console.log(`${name.padEnd(32)} ${cell(rule).padEnd(48)} harm: ${cell(harm)}`)
  if (!values.write) continue
  const found: KnownSeed = { ...(rule === undefined ? {} : { rule }), ...(harm === undefined ? {} : { harm }) }
  const known = { ...readKnownSeeds(), [name]: found }
  // In the order of the lists, and without what is in neither any more.
  writeKnownSeeds(
    Object.fromEntries([...MUTATIONS, ...DRIVER_BUGS].flatMap((bug) => (known[bug] ? [[bug, known[bug]]] : [])))
  )
}
if (values.write) writeTables()
