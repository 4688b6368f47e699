/** `pin rm`: takes content out of the pinset. */

import type { Command } from '../command-table.ts'
import { finishChange, waitFlags } from '../pin-flags.ts'
import { readContent } from './pin-add.ts'

export const pinRm: Command = {
  options: waitFlags,
  operands: { usage: '<CID|path>', min: 1, max: 1 },
  run: async (args, context) => {
    const pin = await context.client.unpin(readContent(args.operands[0] ?? ''), { signal: context.signal })
    await finishChange(args, context, pin, 'unpinned')
  }
}
