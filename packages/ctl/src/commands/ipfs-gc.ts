/** `ipfs gc`: has the IPFS nodes remove what nothing pins. */

import { globalRepoGcCodec } from '@quorate/client'
import type { Command } from '../command-table.ts'
import { layoutRepoGc } from '../layout.ts'

export const ipfsGc: Command = {
  options: { local: { type: 'boolean', describe: 'Only on the peer that answers' } },
  operands: { usage: '', min: 0, max: 0 },
  run: async (args, context) => {
    const gc = await context.client.repoGc({ local: args.flag('local'), signal: context.signal })
    await context.print(globalRepoGcCodec, gc, layoutRepoGc)
  }
}
