/**
 * Log levels, one for all and one for each component that is named: `info,raft:debug,http:error`, as IPFS Cluster's `--loglevel`.
 * Called by `logger.ts`, and by the command line to refuse a bad one before anything starts.
 */

type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal'

export interface LogLevels {
  /** For components that are not named. */
  readonly base: LogLevel
  readonly components: ReadonlyMap<string, LogLevel>
}

/** Our levels, and those of IPFS Cluster's logger that mean one of them. */
const levels: ReadonlyMap<string, LogLevel> = new Map([
  ['debug', 'debug'],
  ['info', 'info'],
  ['warn', 'warn'],
  ['warning', 'warn'],
  ['error', 'error'],
  ['dpanic', 'fatal'],
  ['panic', 'fatal'],
  ['fatal', 'fatal']
])

/**
 * @param text comma list of `level` and `component:level`; empty for the default. Later entries win.
 * @throws {RangeError} naming the entry and what is allowed
 */
export function parseLogLevels(text: string): LogLevels {
  let base: LogLevel = 'info'
  const components = new Map<string, LogLevel>()
  for (const entry of text.split(',').map((part) => part.trim())) {
    if (entry === '') continue
    const at = entry.lastIndexOf(':')
    const component = at < 0 ? undefined : entry.slice(0, at)
    const level = levels.get(entry.slice(at + 1).toLowerCase())
    if (level === undefined || component === '') {
      throw new RangeError(
        `cannot read the log level "${entry}": it must be debug, info, warn, error or fatal, or component:level`
      )
    }
    if (component === undefined || component === '*') base = level
    else components.set(component, level)
  }
  return { base, components }
}
