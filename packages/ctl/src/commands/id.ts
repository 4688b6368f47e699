/** `id`: the peer that answers. */

import { peerInfoCodec } from '@quorate/client'
import type { Command } from '../command-table.ts'
import { layoutPeer } from '../layout.ts'

export const id: Command = {
  options: {},
  operands: { usage: '', min: 0, max: 0 },
  run: async (_args, context) => {
    await context.print(peerInfoCodec, await context.client.id({ signal: context.signal }), layoutPeer)
  }
}
