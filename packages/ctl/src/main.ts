/**
 * From the words of a command line to its exit code: finds the command, loads its file and no other, reads its options, runs it,
 * and says what went wrong the way `ipfs-cluster-ctl` does.
 *
 * Options before the command are global, and only there have short forms, since commands use some of the same letters.
 */

import { Arguments } from './arguments.ts'
import { type Command, commandGroups, commandTable, findCommand } from './command-table.ts'
import { createContext } from './context.ts'
import { expandLeadingFlags, globalOptions, programName } from './global-options.ts'
import { CtlError, type ExitCode, exitCodes, type Io } from './io.ts'
import { reportFailure } from './report-failure.ts'

/**
 * @param words - without the names of the interpreter and the program
 * @returns see {@link exitCodes}; never rejects
 */
export async function main(words: readonly string[], io: Io): Promise<ExitCode> {
  const format = { json: false }
  try {
    return await run(words, io, format)
  } catch (error) {
    return await reportFailure(error, io, format.json)
  }
}

async function run(words: readonly string[], io: Io, format: { json: boolean }): Promise<ExitCode> {
  const { flags, rest } = expandLeadingFlags(words)
  let [first, ...after] = rest
  const asksHelp = first === 'help' || first === 'h'
  if (asksHelp) [first, ...after] = after
  if (first === undefined) {
    const global = await Arguments.parse(flags, { options: globalOptions({ short: true }), usage: '', io })
    if (global.flag('version')) return await printVersion(io)
    await io.writeOut(await helpFor('', io))
    return exitCodes.ok
  }
  const found = findCommand([first, ...after])
  if (found === undefined) throw unknownCommand(first)
  if (found.type === 'group') {
    const [next] = found.rest
    if (next !== undefined && !next.startsWith('-')) throw unknownCommand(next)
    if (next !== undefined && next !== '--help' && next !== '-h') {
      throw new CtlError(
        `"${found.name}" takes no option ${next}; it needs a command: ${programName} ${found.name} --help`
      )
    }
    await io.writeOut(await helpFor(found.name, io))
    return exitCodes.ok
  }
  const command: Command = await found.entry.load()
  const args = await Arguments.parse([...flags, ...found.rest], {
    options: { ...inGroup('Options:', command.options), ...globalOptions({ short: false }) },
    usage: `${programName} ${found.entry.name} ${command.operands.usage}\n\n${found.entry.describe}`,
    io
  })
  // Known before anything can fail, so that even a bad option is told in the format asked for.
  format.json = args.text('encoding') === 'json'
  if (asksHelp || args.flag('help')) {
    await io.writeOut(`${await args.help()}\n`)
    return exitCodes.ok
  }
  if (args.flag('version')) return await printVersion(io)
  checkOperands(found.entry.name, command, args.operands)
  await command.run(args, createContext(args, io))
  return exitCodes.ok
}

function inGroup(group: string, options: Command['options']): Command['options'] {
  return Object.fromEntries(Object.entries(options).map(([name, option]) => [name, { ...option, group }]))
}

function unknownCommand(word: string): CtlError {
  return new CtlError(`No help topic for '${word}'`, { exitCode: exitCodes.unknownCommand })
}

function checkOperands(name: string, command: Command, operands: readonly string[]): void {
  const { min, max, usage } = command.operands
  if (operands.length >= min && operands.length <= max) return
  const count = operands.length === 0 ? 'none' : `${operands.length}: ${operands.join(' ')}`
  const wanted = max === 0 ? 'no arguments' : `the arguments ${usage}`
  throw new CtlError(`"${name}" takes ${wanted}, but was given ${count}`)
}

/** Overview of everything, or of one group. */
async function helpFor(group: string, io: Io): Promise<string> {
  const prefix = group === '' ? '' : `${group} `
  const describe = group === '' ? 'Command line client of a Quorate peer.' : (commandGroups.get(group) ?? '')
  const args = await Arguments.parse([], {
    options: globalOptions({ short: true }),
    usage: `${programName} [global options] ${prefix}<command> [options] [arguments]\n\n${describe}`,
    io,
    commands: commandTable
      .filter(({ name, hidden }) => hidden !== true && name.startsWith(prefix))
      .map(({ name, describe }) => [name, describe])
  })
  return `${await args.help()}\n`
}

async function printVersion(io: Io): Promise<ExitCode> {
  const { readFileSync } = await import('node:fs')
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  await io.writeOut(`${programName} version ${(manifest as { version: string }).version}\n`)
  return exitCodes.ok
}
