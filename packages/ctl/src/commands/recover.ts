/** `recover`: tries again at once what failed, for all pins or one. */

import { globalPinInfoCodec, parseCid } from '@quorate/client'
import { parseOption } from '../arguments.ts'
import type { Command } from '../command-table.ts'
import { layoutStatus } from '../layout.ts'

export const recover: Command = {
  options: { local: { type: 'boolean', describe: 'Only on the peer that answers' } },
  operands: { usage: '[CID]', min: 0, max: 1 },
  run: async (args, context) => {
    const { client, signal } = context
    const local = args.flag('local')
    const [cid] = args.operands
    if (cid !== undefined) {
      const info = await client.recover(parseOption('CID', cid, parseCid), { local, signal })
      return await context.print(globalPinInfoCodec, info, layoutStatus)
    }
    for await (const info of client.recoverAll({ local, signal })) {
      await context.print(globalPinInfoCodec, info, layoutStatus)
    }
  }
}
