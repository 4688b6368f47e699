/**
 * Every command with its one line of help, and how to load the file that does it. The file of a command is loaded only when it
 * is called.
 */

import type { Options } from 'yargs'
import type { Arguments } from './arguments.ts'
import type { Context } from './context.ts'

export interface Command {
  readonly options: Readonly<Record<string, Options>>
  /** What comes after the options; `usage` as it stands in the help. */
  readonly operands: { readonly usage: string; readonly min: number; readonly max: number }
  /** Throws what `reportFailure` knows how to tell. */
  run(args: Arguments, context: Context): Promise<void>
}

export interface CommandEntry {
  /** The words that call it. */
  readonly name: string
  readonly describe: string
  readonly hidden?: boolean
  load(): Promise<Command>
}

export const commandGroups: ReadonlyMap<string, string> = new Map([
  ['peers', 'The members of the cluster.'],
  ['pin', 'The pinset.'],
  ['ipfs', 'The IPFS nodes of the peers.']
])

export const commandTable: readonly CommandEntry[] = [
  { name: 'id', describe: 'Show the peer that answers', load: async () => (await import('./commands/id.ts')).id },
  {
    name: 'peers ls',
    describe: 'List all members and how they are',
    load: async () => (await import('./commands/peers-ls.ts')).peersLs
  },
  {
    name: 'peers raft',
    describe: 'Show who leads, who votes, and how far each member has come',
    load: async () => (await import('./commands/peers-raft.ts')).peersRaft
  },
  {
    name: 'peers transfer',
    describe: 'Hand leadership to another member, or to the one named',
    load: async () => (await import('./commands/peers-transfer.ts')).peersTransfer
  },
  {
    name: 'peers rm',
    describe: 'Remove a member; a majority of the peers must be up',
    load: async () => (await import('./commands/peers-rm.ts')).peersRm
  },
  {
    name: 'add',
    describe: 'Add files and directories, and pin them',
    load: async () => (await import('./commands/add.ts')).add
  },
  {
    name: 'pin add',
    describe: 'Pin content by CID or path',
    load: async () => (await import('./commands/pin-add.ts')).pinAdd
  },
  {
    name: 'pin rm',
    describe: 'Unpin content by CID or path',
    load: async () => (await import('./commands/pin-rm.ts')).pinRm
  },
  {
    name: 'pin update',
    describe: 'Pin content with the options and on the peers of an existing pin',
    load: async () => (await import('./commands/pin-update.ts')).pinUpdate
  },
  {
    name: 'pin ls',
    describe: 'List the pinset, or show one pin of it',
    load: async () => (await import('./commands/pin-ls.ts')).pinLs
  },
  {
    name: 'status',
    describe: 'Show how the copies of pins are doing on each peer',
    load: async () => (await import('./commands/status.ts')).status
  },
  {
    name: 'recover',
    describe: 'Try again at once what failed',
    load: async () => (await import('./commands/recover.ts')).recover
  },
  {
    name: 'version',
    describe: 'Show the version of the peer',
    load: async () => (await import('./commands/version.ts')).version
  },
  {
    name: 'ipfs gc',
    describe: 'Remove blocks that nothing pins from the IPFS nodes',
    load: async () => (await import('./commands/ipfs-gc.ts')).ipfsGc
  },
  {
    name: 'commands',
    describe: 'List all commands',
    hidden: true,
    load: async () => listCommands
  }
]

export type FoundCommand =
  | { readonly type: 'command'; readonly entry: CommandEntry; readonly rest: readonly string[] }
  | { readonly type: 'group'; readonly name: string; readonly rest: readonly string[] }

/** @returns undefined when the first word begins no command */
export function findCommand(words: readonly string[]): FoundCommand | undefined {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ')
    const entry = commandTable.find((candidate) => candidate.name === name)
    if (entry !== undefined) return { type: 'command', entry, rest: words.slice(entry.name.split(' ').length) }
  }
  const [first = ''] = words
  return commandGroups.has(first) ? { type: 'group', name: first, rest: words.slice(1) } : undefined
}

/** `commands`: the name of every command, one a line; for shell completion. It is here because it is about this table. */
const listCommands: Command = {
  options: {},
  operands: { usage: '', min: 0, max: 0 },
  run: async (_args, context) => {
    const names = commandTable.filter(({ hidden }) => hidden !== true).map(({ name }) => name)
    await context.io.writeOut(`${names.join('\n')}\n`)
  }
}
