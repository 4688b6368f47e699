/**
 * `quorate-ctl`, the command line client of a Quorate peer, as a function: the words of a command line in, an exit code out.
 *
 * @packageDocumentation
 */

export { BrokenPipeError, CtlError, type ExitCode, exitCodes, type Io } from './io.ts'
export { main } from './main.ts'
