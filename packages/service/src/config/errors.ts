/**
 * What can be wrong with what an operator wrote: `service.json`, `identity.json`, `peerstore`, the environment, and the folder itself.
 * The command line prints `message` and exits 1; nothing here is retried.
 */

/** One thing that is wrong in the configuration. */
export interface ConfigProblem {
  /** Where: the key as it stands in the file (`cluster.dial_peer_timeout`), or a variable of the environment. */
  readonly path: string
  /** What stood there, as JSON; secrets are left out. */
  readonly value: string | undefined
  /** What is allowed there, or what to do. */
  readonly reason: string
}

/** The configuration cannot be used. Names every problem at once, so that a file is mended in one go. */
export class ConfigError extends Error {
  static override readonly name = 'ConfigError'
  override readonly name = 'ConfigError'
  readonly code = 'BAD_CONFIG'
  readonly problems: readonly ConfigProblem[]

  /**
   * @param where the file or address that was read
   * @param warnings what would have been a warning had there been no problem: an unknown key may be the very cause of one
   */
  constructor(where: string, problems: readonly ConfigProblem[], warnings: readonly string[] = []) {
    const besides = warnings.length === 0 ? [] : ['and besides:', ...warnings.map((warning) => `  ${warning}`)]
    super([`cannot use the configuration in ${where}:`, ...problems.map(line), ...besides].join('\n'))
    this.problems = problems
  }
}

function line({ path, value, reason }: ConfigProblem): string {
  return `  ${path}: ${value === undefined ? '' : `${value} is not allowed; `}${reason}`
}

/** Codes of {@link ConfigFolderError}. */
export type ConfigFolderErrorCode =
  | 'NO_CONFIG'
  | 'CONFIG_UNREADABLE'
  | 'BAD_IDENTITY'
  | 'NO_IDENTITY'
  | 'LOCKED'
  | 'LOCK_FAILED'
  | 'FOREIGN_RAFT_DATA'

/** The configuration folder, or a file in it other than the contents of `service.json`, cannot be used. */
export class ConfigFolderError extends Error {
  static override readonly name = 'ConfigFolderError'
  override readonly name = 'ConfigFolderError'
  readonly code: ConfigFolderErrorCode

  constructor(code: ConfigFolderErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
