/**
 * The command line of `quorate-service`: options and commands of `ipfs-cluster-service`, and what each of them calls. Called by `bin.ts`.
 *
 * Each command loads what it needs when it runs: `version`, `--help` and `init` do not wait for the daemon's libraries.
 *
 * Exit codes: 0 done, or declined by the person asked; 1 everything else. The daemon chooses its own.
 */

import yargs, { type Argv } from 'yargs'
import { configFolder } from '../config/paths.ts'
import { parseLogLevels } from '../logging/levels.ts'
import { packageVersion } from '../version.ts'
import type { RunDaemonOptions } from './daemon-options.ts'
import type { CommandIo } from './io.ts'

/** Runs the daemon until it ends; resolves with the exit code. */
export type RunDaemon = (options: RunDaemonOptions) => Promise<number>

/**
 * Runs one command.
 *
 * @param args the arguments after the name of the program
 * @param loadDaemon loads the daemon when it is asked for
 * @returns the exit code
 */
export async function main(
  args: readonly string[],
  io: CommandIo,
  loadDaemon: () => Promise<RunDaemon>
): Promise<number> {
  let exitCode = 0
  const parser = commands(yargs([...args]), io, loadDaemon, (code) => {
    exitCode = code
  })
  try {
    // The callback takes over what yargs would print, and it also tells help and version from a command.
    await parser.parseAsync([...args], {}, (_error: unknown, _parsed: unknown, output: string) => {
      if (output !== '') io.out(`${output}\n`)
    })
  } catch (error) {
    io.err(`${messageOf(error)}\n`)
    return 1
  }
  return exitCode
}

/** Errors say what could not be done and why. A fault of the program says where it is instead. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const isFault = error instanceof TypeError || error instanceof ReferenceError || error.message === ''
  return isFault ? (error.stack ?? String(error)) : error.message
}

/** The arguments cannot be understood. */
class UsageError extends Error {
  override readonly name = 'UsageError'
}

function commands(
  parser: Argv,
  io: CommandIo,
  loadDaemon: () => Promise<RunDaemon>,
  exit: (code: number) => void
): Argv {
  const version = packageVersion()
  const globals = parser
    .scriptName('quorate-service')
    .usage('$0 <command>\n\nA peer that keeps IPFS pins replicated over a group of peers.')
    // `--no-trust` is the name of an option, not the denial of one; a repeated option of one value takes the last.
    .parserConfiguration({ 'boolean-negation': false, 'duplicate-arguments-array': true })
    .exitProcess(false)
    .showHelpOnFail(false)
    .strict()
    .wrap(110)
    .help()
    .alias('help', 'h')
    .version(`quorate-service version ${version}`)
    .option('config', {
      alias: 'c',
      type: 'string',
      requiresArg: true,
      describe: 'configuration folder [default: $QUORATE_PATH, $IPFS_CLUSTER_PATH or ~/.quorate]'
    })
    .option('force', { alias: 'f', type: 'boolean', default: false, describe: 'answer questions with yes' })
    .option('debug', { alias: 'd', type: 'boolean', default: false, describe: 'log everything' })
    .option('loglevel', {
      alias: 'l',
      type: 'string',
      requiresArg: true,
      describe: 'comma list of level and component:level [default: info]'
    })
    .fail((message: string | null, error: Error | undefined) => {
      throw error ?? new UsageError(`${message ?? 'unknown command'}\nSee quorate-service --help`)
    })
  return globals
    .command(
      'init [source-url]',
      'make a configuration and an identity',
      (init) =>
        init
          .positional('source-url', { type: 'string', describe: 'fetch the configuration from here at each start' })
          .option('consensus', { type: 'string', default: 'raft', requiresArg: true, describe: 'raft is the only one' })
          .option('datastore', {
            type: 'string',
            requiresArg: true,
            choices: ['leveldb', 'pebble', 'badger', 'badger3'],
            describe: 'accepted for ipfs-cluster-service; the datastore is LevelDB'
          })
          .option('ipfs', {
            type: 'string',
            default: 'embedded',
            requiresArg: true,
            describe: 'embedded, or the multiaddress of the RPC API of a Kubo daemon'
          })
          .option('custom-secret', {
            alias: 's',
            type: 'boolean',
            default: false,
            describe: 'ask for the secret of the cluster (or set CLUSTER_SECRET)'
          })
          .option('peers', {
            type: 'string',
            requiresArg: true,
            describe: 'comma list of addresses of the other first peers, each ending in /p2p/<peer ID>'
          })
          .option('randomports', { type: 'boolean', default: false, describe: 'listen on ports that are free now' }),
      async (parsed) => {
        const { runInit } = await import('./init-command.ts')
        exit(
          await runInit(
            {
              folder: configFolder(last(parsed.config), io.env),
              sourceUrl: parsed['source-url'],
              consensus: last(parsed.consensus) ?? 'raft',
              customSecret: parsed['custom-secret'],
              peers: list(parsed.peers),
              force: parsed.force,
              randomPorts: parsed.randomports,
              ipfs: last(parsed.ipfs) ?? 'embedded'
            },
            io
          )
        )
      }
    )
    .command(
      'daemon',
      'run the peer',
      (daemon) =>
        daemon
          .option('bootstrap', {
            alias: 'j',
            type: 'string',
            requiresArg: true,
            describe: 'comma list of addresses of members to join through, each ending in /p2p/<peer ID>'
          })
          .option('leave', { alias: 'x', type: 'boolean', default: false, describe: 'leave the cluster at the end' })
          .option('stats', { type: 'boolean', default: false, describe: 'gather metrics' })
          .option('tracing', { type: 'boolean', default: false, hidden: true })
          .option('no-trust', { type: 'boolean', default: false, hidden: true })
          .option('upgrade', { alias: 'u', type: 'boolean', default: false, hidden: true }),
      async (parsed) => {
        const options: RunDaemonOptions = {
          folder: configFolder(last(parsed.config), io.env),
          bootstrap: await checkedBootstrap(list(parsed.bootstrap)),
          leave: parsed.leave,
          stats: parsed.stats,
          loglevel: logLevels(parsed.debug, last(parsed.loglevel), io)
        }
        const runDaemon = await loadDaemon()
        exit(await runDaemon(options))
      }
    )
    .command(
      'recover',
      'make a cluster anew from this peer, when the majority of its voters is lost for good',
      (recover) =>
        recover
          .option('peers', {
            type: 'string',
            requiresArg: true,
            describe: 'comma list of the IDs of the peers that are left, this one among them'
          })
          .option('dry-run', { type: 'boolean', default: false, describe: 'only say what this peer holds' })
          .option('yes', { alias: 'y', type: 'boolean', default: false, describe: 'do not ask' }),
      async (parsed) => {
        const { runRecover } = await import('./recover-command.ts')
        const peers = list(parsed.peers)
        if (peers.length === 0 && !parsed['dry-run']) throw new UsageError('recover needs --peers, or --dry-run')
        exit(
          await runRecover(
            {
              folder: configFolder(last(parsed.config), io.env),
              peers,
              dryRun: parsed['dry-run'],
              yes: parsed.yes || parsed.force
            },
            io
          )
        )
      }
    )
    .command('version', 'print the version', {}, () => {
      io.out(`${version}\n`)
    })
    .command('$0', false, {}, async () => {
      // Nothing was asked for: show what could be, and tell a script that it did nothing.
      io.out(`${await globals.getHelp()}\n`)
      exit(1)
    })
}

function logLevels(debug: boolean, option: string | undefined, { env }: CommandIo): string {
  const levels = debug ? 'debug' : (option ?? env.QUORATE_LOG_LEVEL ?? env.IPFS_CLUSTER_LOG_LEVEL ?? 'info')
  try {
    parseLogLevels(levels)
  } catch (error) {
    throw new UsageError(messageOf(error), { cause: error })
  }
  return levels
}

async function checkedBootstrap(addresses: readonly string[]): Promise<readonly string[]> {
  if (addresses.length === 0) return addresses
  const { peerIdOf } = await import('../config/peer-address.ts')
  const bad = addresses.find((address) => peerIdOf(address) === undefined)
  if (bad === undefined) return addresses
  throw new UsageError(`cannot use --bootstrap ${bad}: it must be a multiaddress that ends in /p2p/<peer ID>`)
}

/** Of an option that was given more than once, the last; yargs then makes a list of it, whatever its types say. */
function last(value: unknown): string | undefined {
  const found: unknown = Array.isArray(value) ? value.at(-1) : value
  return typeof found === 'string' ? found : undefined
}

/** A comma list, perhaps given in several pieces. */
function list(value: unknown): readonly string[] {
  return [value]
    .flat()
    .flatMap((piece) => (typeof piece === 'string' ? piece.split(',') : []))
    .map((item) => item.trim())
    .filter((item) => item !== '')
}
