#!/usr/bin/env node
/** The program `quorate-service`: the command line of `cli/main.ts` on the streams of this process. */

import './threads.ts'
import { main } from './cli/main.ts'
import { startLeaner } from './memory.ts'

const exitCode = await main(
  process.argv.slice(2),
  {
    env: process.env,
    stdin: process.stdin,
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text)
  },
  async () => {
    startLeaner()
    return (await import('./daemon/run.ts')).runDaemon
  }
)

// Everything of ours was closed in order. Timers of libraries may still be pending, and nobody should wait for them: only for what
// was printed.
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((resolve) => stream.write('', resolve))))
process.exit(exitCode)
