/**
 * `npm run replay -- <file>`: runs a flight record that a node left behind, and prints its last steps, whether they are as recorded, and the
 * halt they led to. With `--last=<count>` more or fewer of them. Ends with 1 if this version does something else than the node did.
 *
 * To look on with a debugger: `node --inspect-brk --conditions=quorate-source <this file> <file>`, and a breakpoint in a rule of the core.
 */

import { parseArgs } from 'node:util'
import { replayFlightRecord } from '../../src/sim/replay.ts'

const { values, positionals } = parseArgs({
  options: { last: { type: 'string', default: '40' } },
  allowPositionals: true
})
const [file, ...more] = positionals
const lastSteps = Number(values.last)
if (file === undefined || more.length > 0 || !Number.isSafeInteger(lastSteps) || lastSteps < 0) {
  console.error('usage: npm run replay -- [--last=<count>] <flight record>')
  process.exit(2)
}

const { node, reason, steps, spanMs, differsAt, halted, transcript } = await replayFlightRecord(file, { lastSteps })
for (const line of transcript) console.log(line)
console.log()
console.log(`node ${node}, recorded because of: ${reason}`)
console.log(
  `${steps} steps over ${(spanMs / 1000).toFixed(1)} s${halted === undefined ? '' : `, then it halts: ${halted}`}`
)
console.log(
  differsAt === undefined ? 'every step is as it was recorded' : `step ${differsAt} is not as it was recorded`
)
if (differsAt !== undefined) process.exitCode = 1
