/** `pin update`: pins content as another content is pinned; the other stays. */

import { parseCid } from '@quorate/client'
import { parseOption } from '../arguments.ts'
import type { Command } from '../command-table.ts'
import { expiryFlag, finishChange, pinFlags, readExpiry, waitFlags } from '../pin-flags.ts'
import { readContent } from './pin-add.ts'

export const pinUpdate: Command = {
  options: { name: pinFlags.name as object, ...expiryFlag, ...waitFlags },
  operands: { usage: '<existing CID> <new CID|path>', min: 2, max: 2 },
  run: async (args, context) => {
    const [from = '', to = ''] = args.operands
    const options = {
      pinUpdate: parseOption('existing CID', from, parseCid),
      name: args.text('name'),
      expireAtMs: readExpiry(args)
    }
    const pin = await context.client.pin(readContent(to), options, { signal: context.signal })
    await finishChange(args, context, pin, 'pinned')
  }
}
