/** `pin ls`: the pinset, or one pin of it. */

import { parseCid, parsePinTypeFilter, pinCodec } from '@quorate/client'
import { parseOption } from '../arguments.ts'
import type { Command } from '../command-table.ts'
import { layoutPin } from '../layout.ts'

export const pinLs: Command = {
  options: {
    filter: {
      type: 'string',
      default: 'all',
      describe: 'Only pins of these types, separated by commas: all, pin, meta-pin, clusterdag-pin, shard-pin'
    }
  },
  operands: { usage: '[CID]', min: 0, max: 1 },
  run: async (args, context) => {
    const { client, signal } = context
    const [cid] = args.operands
    if (cid !== undefined) {
      const { pin, stale } = await client.allocation(parseOption('CID', cid, parseCid), { signal })
      if (stale) await context.warn('no quorum could be asked; this is what the peer knows by itself')
      return await context.print(pinCodec, pin, layoutPin)
    }
    const filter = args.parsed('filter', parsePinTypeFilter)
    for await (const pin of client.allocations(filter === undefined ? { signal } : { signal, filter })) {
      await context.print(pinCodec, pin, layoutPin)
    }
  }
}
