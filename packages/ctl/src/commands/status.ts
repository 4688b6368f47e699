/** `status`: how the copies of all pins, or of some CIDs, are doing. */

import { globalPinInfoCodec, parseCid, parseStatusFilter, trackerStatuses } from '@quorate/client'
import { parseOption } from '../arguments.ts'
import type { Command } from '../command-table.ts'
import { CtlError } from '../io.ts'
import { layoutStatus } from '../layout.ts'

export const status: Command = {
  options: {
    local: { type: 'boolean', describe: 'Ask only the peer that answers' },
    filter: {
      type: 'string',
      default: '',
      describe: `Only items with a copy in one of these states, separated by commas: ${trackerStatuses.slice(1).join(', ')}, or error, queued`
    }
  },
  operands: { usage: '[CID…]', min: 0, max: Number.POSITIVE_INFINITY },
  run: async (args, context) => {
    const { client, signal } = context
    const local = args.flag('local')
    const cids = args.operands.map((cid) => parseOption('CID', cid, parseCid))
    if (cids.length > 0 && args.text('filter') !== '') await context.warn('--filter has no effect beside CIDs')
    if (cids.length === 1) {
      const info = await client.status(cids[0] as string, { local, signal })
      return await context.print(globalPinInfoCodec, info, layoutStatus)
    }
    const filter = cids.length > 0 ? undefined : parseFilter(args.text('filter'))
    for await (const info of client.statusAll({ local, cids, signal, ...(filter === undefined ? {} : { filter }) })) {
      await context.print(globalPinInfoCodec, info, layoutStatus)
    }
  }
}

function parseFilter(text: string): ReturnType<typeof parseStatusFilter> {
  try {
    return parseStatusFilter(text)
  } catch (error) {
    throw new CtlError(`option --filter knows no status in ${JSON.stringify(text)}; see status --help`, {
      cause: error
    })
  }
}
