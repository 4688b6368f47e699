/**
 * The search over all interleavings, for as long as one likes:
 *
 *   npx node --conditions=quorate-source packages/raft/test/exhaustive/run.ts --max-states=10000000
 *
 * Unless told otherwise: three nodes, two terms, three proposals, a change of members and a crash. Prints the number of distinct states, and of a violation the shortest way to it. Exit code 0: none; 1: a violation.
 */

import { parseArgs } from 'node:util'
import type { Mutation } from '../../src/core/mutations.ts'
import { search } from './search.ts'
import { startFigure8 } from './starts.ts'

const { values } = parseArgs({
  options: {
    start: { type: 'string', default: 'empty' },
    voters: { type: 'string', default: '3' },
    depth: { type: 'string', default: '40' },
    'max-states': { type: 'string', default: '3000000' },
    'max-term': { type: 'string', default: '2' },
    campaigns: { type: 'string', default: '2' },
    proposals: { type: 'string', default: '3' },
    changes: { type: 'string', default: '1' },
    crashes: { type: 'string', default: '1' },
    duplicates: { type: 'string', default: '0' },
    heartbeats: { type: 'string', default: '0' },
    mutation: { type: 'string', multiple: true, default: [] },
    'consequences-only': { type: 'boolean', default: false }
  }
})

const cpuStart = process.cpuUsage()
const result = search({
  voters: Number(values.voters),
  bounds: {
    maxTerm: Number(values['max-term']),
    campaigns: Number(values.campaigns),
    proposals: Number(values.proposals),
    changes: Number(values.changes),
    crashes: Number(values.crashes),
    duplicates: Number(values.duplicates),
    heartbeats: Number(values.heartbeats)
  },
  depth: Number(values.depth),
  maxStates: Number(values['max-states']),
  mutations: new Set(values.mutation as Mutation[]),
  consequencesOnly: values['consequences-only'],
  ...(values.start === 'figure-8' ? { disks: startFigure8 } : {})
})
const { user, system } = process.cpuUsage(cpuStart)
const { states, transitions, nodeStates, depth, exhausted, violation } = result
console.log(
  `${states} distinct states, ${transitions} transitions, ${nodeStates} states of a single node, all ways of ${depth} events` +
    `${exhausted ? ' (there are no longer ones)' : ''}, ${((user + system) / 1e6).toFixed(1)} s of CPU`
)
if (violation !== undefined) {
  for (const [i, event] of violation.events.entries()) console.log(`${String(i + 1).padStart(4)}  ${event}`)
  console.log(`VIOLATION of ${violation.judge}: ${violation.message}`)
  process.exitCode = 1
}
