/**
 * The options that every command has, and how those before the command are told apart: there they have short forms, which
 * after the command may mean something else (`-s` is `--https` before `add`, `--chunker` after it).
 */

import type { Options } from 'yargs'
import { CtlError } from './io.ts'

export const programName = 'quorate-ctl'
export const defaultHost = '/ip4/127.0.0.1/tcp/9094'

interface GlobalOption extends Options {
  /** Other names; those of one letter hold only before the command. */
  readonly alias?: string[]
  readonly type: 'string' | 'boolean'
}

const globals: Readonly<Record<string, GlobalOption>> = {
  host: {
    alias: ['l'],
    type: 'string',
    default: defaultHost,
    describe: 'Multiaddr or URL of the API; several, separated by commas, are tried in order'
  },
  https: { alias: ['s'], type: 'boolean', describe: 'Use HTTPS' },
  'no-check-certificate': { type: 'boolean', describe: 'With HTTPS, take any certificate' },
  encoding: { alias: ['enc'], type: 'string', default: 'text', describe: 'Output as text or json' },
  timeout: { alias: ['t'], type: 'string', default: '0', describe: 'Seconds to wait for a whole answer; 0: no limit' },
  debug: { alias: ['d'], type: 'boolean', describe: 'Log requests to standard error' },
  'basic-auth': {
    type: 'string',
    describe: '<user>[:<password>]; turns HTTPS on, see --force-http [environment: CLUSTER_CREDENTIALS]'
  },
  'force-http': { alias: ['f'], type: 'boolean', describe: 'Send credentials without HTTPS' },
  help: { alias: ['h'], type: 'boolean', describe: 'Show help' },
  version: { alias: ['v'], type: 'boolean', describe: 'Show the version of this program' }
}

/** @param short - with their short forms, as before a command */
export function globalOptions({ short }: { readonly short: boolean }): Record<string, Options> {
  const group = 'Global options:'
  return Object.fromEntries(
    Object.entries(globals).map(([name, option]) => {
      const alias = (option.alias ?? []).filter((other) => short || other.length > 1 || other === 'h')
      return [name, { ...option, alias, group }]
    })
  )
}

function findGlobal(name: string): [string, GlobalOption] | undefined {
  return Object.entries(globals).find(([long, { alias }]) => long === name || alias?.includes(name))
}

/**
 * Splits a command line before its command and writes the options there in their long form.
 *
 * @throws {CtlError} when one of them is not known or lacks its value
 */
export function expandLeadingFlags(words: readonly string[]): { flags: string[]; rest: string[] } {
  const flags: string[] = []
  let at = 0
  for (; at < words.length; at++) {
    const word = words[at] as string
    if (!word.startsWith('-') || word === '-') break
    if (word === '--') {
      at++
      break
    }
    const [, name = '', value] = /^--?([^=]*)(?:=(.*))?$/s.exec(word) ?? []
    const found = findGlobal(name)
    if (found === undefined) throw new CtlError(`unknown global option ${word}; options of a command come after it`)
    const [long, { type }] = found
    if (type === 'boolean') flags.push(value === undefined ? `--${long}` : `--${long}=${value}`)
    else {
      const given = value ?? words[++at]
      if (given === undefined) throw new CtlError(`option ${word} needs a value`)
      flags.push(`--${long}=${given}`)
    }
  }
  return { flags, rest: words.slice(at) }
}
