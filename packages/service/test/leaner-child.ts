/** A process for `memory.test.ts`: starts anew as the daemon does, and tells what it is then. */

import { startLeaner } from '../src/memory.ts'

startLeaner()
const { pid, execArgv, argv } = process
console.log(JSON.stringify({ pid, options: execArgv, words: argv.slice(2), marker: process.env.LEANER_MARKER }))
