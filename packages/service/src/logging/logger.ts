/**
 * The log of a peer: one pino logger, a child of it for each component, lines for people on stderr, or JSON with `QUORATE_LOG_FORMAT=json`.
 * Made once by the daemon; the parts get children and know only `Logger` of `ports.ts`.
 *
 * Secrets do not belong in a log call. As a second line of defence, fields with the names of our secrets are blanked.
 */

import { type DestinationStream, pino } from 'pino'
import type { Logger } from '../ports.ts'
import { type LogLevels, parseLogLevels } from './levels.ts'
import { formatLine } from './line-format.ts'

export interface LoggingInit {
  /** As `--loglevel`: `info,raft:debug`. @default 'info' */
  readonly levels?: string | undefined
  /** `text` for people, `json` for machines. @default 'text' */
  readonly format?: 'text' | 'json' | undefined
  /** Where lines go, one call for each. @default stderr */
  readonly write?: ((line: string) => void) | undefined
}

export interface Logging {
  /** The log of a component, at the level that was asked for it. */
  logger(component: string): Logger
}

const secretNames = [
  'secret',
  'privateKey',
  'private_key',
  'password',
  'authorization',
  'basicAuthCredentials',
  'basic_auth_credentials'
]

/** @throws {RangeError} when the levels cannot be read */
export function createLogging(init: LoggingInit = {}): Logging {
  const levels: LogLevels = parseLogLevels(init.levels ?? '')
  const write = init.write ?? writeToStderr()
  const destination: DestinationStream =
    init.format === 'json' ? { write } : { write: (record) => write(formatLine(record)) }
  const root = pino(
    {
      // The children decide; the root lets everything through.
      level: 'debug',
      base: null,
      redact: { paths: secretNames.flatMap((name) => [name, `*.${name}`]), censor: '[hidden]' }
    },
    destination
  )
  return {
    logger(component) {
      return root.child({ component }, { level: levels.components.get(component) ?? levels.base })
    }
  }
}

/** The format that the environment asks for. */
export function logFormat(env: Readonly<Record<string, string | undefined>>): 'text' | 'json' {
  return env.QUORATE_LOG_FORMAT === 'json' ? 'json' : 'text'
}

let guarded = false

function writeToStderr(): (line: string) => void {
  if (!guarded) {
    guarded = true
    // Whoever read our log went away (EPIPE); that is no reason for the peer to stop.
    process.stderr.on('error', () => {})
  }
  return (line) => {
    process.stderr.write(line)
  }
}
