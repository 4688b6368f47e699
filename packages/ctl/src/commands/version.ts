/** `version`: the version of the peer that answers; that of this program is `--version`. */

import { versionCodec } from '@quorate/client'
import type { Command } from '../command-table.ts'

export const version: Command = {
  options: {},
  operands: { usage: '', min: 0, max: 0 },
  run: async (_args, context) => {
    const info = { version: await context.client.version({ signal: context.signal }) }
    await context.print(versionCodec, info, () => info.version)
  }
}
