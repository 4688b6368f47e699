/** `pin add`: puts content into the pinset. */

import { formatContentPath, parseContentPath } from '@quorate/client'
import { parseOption } from '../arguments.ts'
import type { Command } from '../command-table.ts'
import { CtlError } from '../io.ts'
import { finishChange, pinFlags, readPinFlags, waitFlags } from '../pin-flags.ts'

/** A CID or a path, as one canonical path. @throws {CtlError} */
export function readContent(text: string): string {
  return parseOption('CID or path', text, (given) =>
    formatContentPath(parseContentPath(given.startsWith('/') ? given : `/ipfs/${given}`))
  )
}

export const pinAdd: Command = {
  options: {
    replication: {
      alias: 'r',
      type: 'string',
      default: '0',
      describe: 'Sets both --replication-min and --replication-max'
    },
    ...pinFlags,
    mode: { type: 'string', default: 'recursive', describe: 'recursive: all below it; direct: this block alone' },
    ...waitFlags
  },
  operands: { usage: '<CID|path>', min: 1, max: 1 },
  run: async (args, context) => {
    const content = readContent(args.operands[0] ?? '')
    const mode = args.text('mode')
    if (mode !== 'recursive' && mode !== 'direct') {
      throw new CtlError(`option --mode must be recursive or direct, not ${JSON.stringify(mode)}`)
    }
    const options = readPinFlags(args)
    const both = args.integer('replication')
    const replication = both === 0 ? {} : { replicationFactorMin: both, replicationFactorMax: both }
    const pin = await context.client.pin(content, { ...options, ...replication, mode }, { signal: context.signal })
    await finishChange(args, context, pin, 'pinned')
  }
}
