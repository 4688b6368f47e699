/**
 * Runs cases of the damage suite:
 *
 *     node --conditions=quorate-source packages/raft/test/damage/run.ts [--cases=N] [--seed=N] [--treat-as-end]
 *
 * `--treat-as-end` takes a fault for the end of the log, which is the mistake that the suite has to find.
 */

import { parseArgs } from 'node:util'
import { faultsAsEnd, runCases } from './suite.ts'

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    'treat-as-end': { type: 'boolean', default: false }
  }
})
const startedMs = performance.now()
const total = await runCases({
  firstSeed: Number(values.seed),
  cases: Number(values.cases),
  ...(values['treat-as-end'] ? { around: faultsAsEnd } : {})
})
console.log(JSON.stringify(total), `${((performance.now() - startedMs) / total.cases).toFixed(1)} ms a case`)
