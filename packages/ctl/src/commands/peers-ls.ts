/** `peers ls`: every member, as each of them sees the cluster. */

import { peerInfoCodec } from '@quorate/client'
import type { Command } from '../command-table.ts'
import { layoutPeer } from '../layout.ts'

export const peersLs: Command = {
  options: {},
  operands: { usage: '', min: 0, max: 0 },
  run: async (_args, context) => {
    for await (const peer of context.client.peers({ signal: context.signal })) {
      await context.print(peerInfoCodec, peer, layoutPeer)
    }
  }
}
