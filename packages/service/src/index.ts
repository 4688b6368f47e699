/**
 * The peer daemon of Quorate, for programs that run one in their own process: `runDaemon` does what `quorate-service daemon` does,
 * `initFolder` what `quorate-service init` does.
 *
 * @packageDocumentation
 */

export type { RunDaemonOptions } from './cli/daemon-options.ts'
export { initFolder } from './config/init.ts'
export { loadConfig } from './config/load.ts'
export type { ServiceConfig } from './config/schema.ts'
export { runDaemon } from './daemon/run.ts'
