/** `peers raft`: how each member stands in the agreement. Not a command of `ipfs-cluster-ctl`. */

import { raftPeerCodec } from '@quorate/client'
import type { Command } from '../command-table.ts'
import { layoutRaftPeer } from '../layout.ts'

export const peersRaft: Command = {
  options: {},
  operands: { usage: '', min: 0, max: 0 },
  run: async (_args, context) => {
    for await (const peer of context.client.peersRaft({ signal: context.signal })) {
      await context.print(raftPeerCodec, peer, layoutRaftPeer)
    }
  }
}
