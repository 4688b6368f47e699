/**
 * The options and operands of one command, read by yargs and then checked one by one as a command asks for them: what it gets is
 * of the right type, or there is an error that names the option, the value and what would be right.
 */

import yargs, { type Argv, type Options } from 'yargs'
import { CtlError, type Io } from './io.ts'

export interface ParseInit {
  readonly options: Readonly<Record<string, Options>>
  /** First lines of the help. */
  readonly usage: string
  readonly io: Io
  /** Listed in the help: name and description. */
  readonly commands?: readonly (readonly [string, string])[]
}

export class Arguments {
  readonly operands: readonly string[]
  readonly #values: Readonly<Record<string, unknown>>
  readonly #parser: Argv

  private constructor(values: Readonly<Record<string, unknown>>, parser: Argv) {
    this.operands = (values._ as unknown[]).map(String)
    this.#values = values
    this.#parser = parser
  }

  /** @throws {CtlError} on an unknown option, or one without the value that it needs */
  static async parse(words: readonly string[], init: ParseInit): Promise<Arguments> {
    const parser = yargs()
      .scriptName('')
      .locale('en')
      .parserConfiguration({
        'boolean-negation': false,
        'camel-case-expansion': false,
        'dot-notation': false,
        'greedy-arrays': false,
        'parse-numbers': false,
        'parse-positional-numbers': false
      })
      .help(false)
      .version(false)
      .usage(init.usage)
      .wrap(Math.max(40, Math.min(init.io.columns, 120)))
      .options(withRequiredValues(init.options))
      .strictOptions()
      .exitProcess(false)
      .fail(false)
    for (const [name, describe] of init.commands ?? []) parser.command(name, describe)
    let values: Record<string, unknown>
    try {
      // Commands are there for the help alone; their names are gone from the words by now.
      values = await parser.parseAsync(words)
    } catch (error) {
      throw new CtlError(error instanceof Error ? error.message : String(error), { cause: error })
    }
    return new Arguments(values, parser)
  }

  async help(): Promise<string> {
    return await this.#parser.getHelp()
  }

  /** Of an option given twice the last counts. Absent: `''`. */
  text(name: string): string {
    const value = this.#last(name)
    return typeof value === 'string' ? value : ''
  }

  flag(name: string): boolean {
    return this.#last(name) === true
  }

  has(name: string): boolean {
    return this.#values[name] !== undefined
  }

  /** Absent: 0. @throws {CtlError} */
  integer(name: string): number {
    const text = this.text(name)
    if (text === '') return 0
    const value = /^[-+]?\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (Number.isNaN(value)) throw new CtlError(`option --${name} must be an integer, not ${JSON.stringify(text)}`)
    return value
  }

  /** All values of an option that may be given again and again. */
  all(name: string): string[] {
    const value = this.#values[name]
    return (Array.isArray(value) ? value : value === undefined ? [] : [value]).map(String)
  }

  /** Runs `parse` on the text of an option; what it throws is told with the name of the option. @throws {CtlError} */
  parsed<T>(name: string, parse: (text: string) => T): T {
    return parseOption(`--${name}`, this.text(name), parse)
  }

  #last(name: string): unknown {
    const value = this.#values[name]
    return Array.isArray(value) ? value.at(-1) : value
  }
}

/** @throws {CtlError} */
export function parseOption<T>(name: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (error) {
    if (error instanceof CtlError) throw error
    throw new CtlError(error instanceof Error ? error.message : String(error), {
      doing: `parsing ${name}`,
      cause: error
    })
  }
}

function withRequiredValues(options: Readonly<Record<string, Options>>): Record<string, Options> {
  return Object.fromEntries(
    Object.entries(options).map(([name, option]) => [
      name,
      option.type === 'boolean' ? option : { ...option, requiresArg: true }
    ])
  )
}
