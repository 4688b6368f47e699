/**
 * The search over all interleavings, for as long as one likes:
 *
 *   npx node --conditions=quorate-source packages/raft/test/exhaustive/run.ts --max-states=10000000
 *   npx node --conditions=quorate-source packages/raft/test/exhaustive/run.ts --ladder
 *
 * Unless told otherwise: three nodes, two terms, two campaigns, three proposals, a change of members and a crash. Prints the number of distinct states and whether
 * they are all that there are, and of a violation the shortest way to it. With `--ladder` it goes through bounds that it comes to the end of. Exit
 * code 0: no violation; 1: a violation.
 */

import { parseArgs } from 'node:util'
import type { Mutation } from '../../src/core/mutations.ts'
import { LADDER } from './ladder.ts'
import { type SearchInit, search } from './search.ts'
import { startFigure8 } from './starts.ts'

const { values } = parseArgs({
  options: {
    ladder: { type: 'boolean', default: false },
    start: { type: 'string', default: 'empty' },
    voters: { type: 'string', default: '3' },
    depth: { type: 'string', default: '1000' },
    'max-states': { type: 'string', default: '3000000' },
    'max-term': { type: 'string', default: '2' },
    campaigns: { type: 'string', default: '2' },
    proposals: { type: 'string', default: '3' },
    changes: { type: 'string', default: '1' },
    crashes: { type: 'string', default: '1' },
    heartbeats: { type: 'string', default: '0' },
    mutation: { type: 'string', multiple: true, default: [] },
    'consequences-only': { type: 'boolean', default: false },
    levels: { type: 'boolean', default: false }
  }
})

/** Searches, and prints what came of it. */
function run(name: string, init: SearchInit): void {
  const cpuStart = process.cpuUsage()
  const { states, transitions, nodeStates, depth, exhausted, violation } = search(init)
  const { user, system } = process.cpuUsage(cpuStart)
  const far = exhausted ? `exhausted: no way is longer than ${depth} events` : `all ways of ${depth} events`
  const end = exhausted || violation !== undefined ? far : `${far}, NOT exhausted`
  console.log(
    `${name}${states} distinct states, ${transitions} transitions, ${nodeStates} states of a single node, ` +
      `${end}, ${((user + system) / 1e6).toFixed(1)} s of CPU, ${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB`
  )
  if (violation === undefined) return
  for (const [i, event] of violation.events.entries()) console.log(`${String(i + 1).padStart(4)}  ${event}`)
  console.log(`VIOLATION of ${violation.judge}: ${violation.message}`)
  process.exitCode = 1
}

const common = {
  depth: Number(values.depth),
  mutations: new Set(values.mutation as Mutation[]),
  consequencesOnly: values['consequences-only'],
  ...(values.levels ? { onLevel: (level: unknown) => console.log(JSON.stringify(level)) } : {})
}

if (values.ladder) {
  for (const { name, voters, bounds } of LADDER) run(`${name}: `, { ...common, voters, bounds })
} else {
  run('', {
    ...common,
    voters: Number(values.voters),
    bounds: {
      maxTerm: Number(values['max-term']),
      campaigns: Number(values.campaigns),
      proposals: Number(values.proposals),
      changes: Number(values.changes),
      crashes: Number(values.crashes),
      heartbeats: Number(values.heartbeats)
    },
    maxStates: Number(values['max-states']),
    ...(values.start === 'figure-8' ? { disks: startFigure8 } : {})
  })
}
