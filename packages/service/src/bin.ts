#!/usr/bin/env node
/** The program `quorate-service`: the command line of `cli/main.ts` on the streams of this process. */

import { main } from './cli/main.ts'

const exitCode = await main(
  process.argv.slice(2),
  {
    env: process.env,
    stdin: process.stdin,
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text)
  },
  async () => (await import('./daemon/run.ts')).runDaemon
)

process.exitCode = exitCode
// The command is over and everything was closed. Should a handle have been left open all the same, the process must not wait for it.
setTimeout(() => process.exit(exitCode), 1000).unref()
