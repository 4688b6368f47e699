/**
 * `npm run replay -- <file>`: runs a flight record that a node left behind, and prints its last steps, whether they are as recorded, and the
 * halt they led to. With `--last=<count>` more or fewer of them.
 *
 * Exit code 0: every step is as it was recorded; 1: this version does something else than the node did; 2: the command line is wrong, or the file
 * is no flight record that can be read here.
 *
 * To look on with a debugger: `node --inspect-brk --conditions=quorate-source <this file> <file>`, and a breakpoint in a rule of the core.
 */

import { parseArgs } from 'node:util'
import { FlightRecordError } from '../../src/driver/flight-record.ts'
import { type ReplayReport, replayFlightRecord } from '../../src/sim/replay.ts'

const usage = 'Usage: npm run replay -- [--last=<count>] <flight record>'

const fail = (message: string): never => {
  console.error(message)
  process.exit(2)
}

function parse(): { readonly file: string; readonly lastSteps: number } {
  const { values, positionals } = parseArgs({
    options: { last: { type: 'string', default: '40' } },
    allowPositionals: true
  })
  const [file, ...more] = positionals
  const lastSteps = Number(values.last)
  if (file === undefined || more.length > 0 || !Number.isSafeInteger(lastSteps) || lastSteps < 0) return fail(usage)
  return { file, lastSteps }
}

/** What is wrong with the file; undefined if the error is of another kind. */
function faultOf(error: unknown): string | undefined {
  if (error instanceof FlightRecordError) return error.message
  if (!(error instanceof Error) || !('syscall' in error && 'code' in error)) return undefined
  return error.code === 'ENOENT' ? 'There is no such file' : `It cannot be read: ${error.message}`
}

function print({ node, reason, steps, spanMs, differsAt, halted, transcript }: ReplayReport): void {
  for (const line of transcript) console.log(line)
  console.log()
  console.log(`node ${node}, recorded because of: ${reason}`)
  console.log(
    `${steps} steps over ${(spanMs / 1000).toFixed(1)} s${halted === undefined ? '' : `, then it halts: ${halted}`}`
  )
  console.log(
    differsAt === undefined ? 'every step is as it was recorded' : `step ${differsAt} is not as it was recorded`
  )
}

async function main(): Promise<void> {
  const { file, lastSteps } = parse()
  const report = await replayFlightRecord(file, { lastSteps }).catch((error: unknown) => {
    const fault = faultOf(error)
    if (fault === undefined) throw error
    return fail(`Cannot replay ${file}: ${fault}`)
  })
  print(report)
  if (report.differsAt !== undefined) process.exitCode = 1
}

try {
  await main()
} catch (error) {
  if (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))
    fail(`${error.message}\n${usage}`)
  throw error
}
