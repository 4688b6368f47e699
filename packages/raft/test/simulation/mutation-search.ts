/**
 * How soon random seeds find each bug that can be put back (`src/core/mutations.ts`), as rows of the table in `docs/simulation.md`:
 *
 *   npx node --conditions=quorate-source packages/raft/test/simulation/mutation-search.ts --seconds=60 [name …]
 *
 * For each bug: the first seed that shows it, the judge that saw it, and the CPU time until then; once with all judges, and once with those of
 * harm alone. Stops at `--seconds` of CPU for each. `mutations.sim.ts` then holds the core to the seeds found.
 */

import { parseArgs } from 'node:util'
import { MUTATIONS, type Mutation, type SimulationReport, simulate } from '@quorate/raft/sim'

interface Found {
  readonly report: SimulationReport | undefined
  readonly seeds: number
  readonly cpuSeconds: number
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

function search(mutation: Mutation, consequencesOnly: boolean, nodes: number, seconds: number): Found {
  const start = cpuSeconds()
  for (let seed = 1; ; seed++) {
    const report = simulate({ seed, nodes, mutations: new Set([mutation]), consequencesOnly })
    const spent = cpuSeconds() - start
    if (report.violation !== undefined) return { report, seeds: seed, cpuSeconds: spent }
    if (spent > seconds) return { report: undefined, seeds: seed, cpuSeconds: spent }
  }
}

const cell = ({ report, seeds, cpuSeconds: spent }: Found): string =>
  report?.violation === undefined
    ? `not in ${seeds} seeds | ${spent.toFixed(0)} s | |`
    : `${report.seed} | ${spent.toFixed(1)} s | ${report.violation.judge} |`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    nodes: { type: 'string', default: '5' },
    'harm-only': { type: 'boolean', default: false }
  }
})
const chosen = positionals.length === 0 ? MUTATIONS : positionals.map((name) => name as Mutation)
for (const mutation of chosen) {
  const nodes = Number(values.nodes)
  const seconds = Number(values.seconds)
  const ruled = values['harm-only'] ? undefined : search(mutation, false, nodes, seconds)
  const harmed = search(mutation, true, nodes, seconds)
  console.log(`| \`${mutation}\` | ${nodes} | ${ruled === undefined ? '' : `${cell(ruled)} `}${cell(harmed)}`)
}
