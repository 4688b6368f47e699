/** `peers transfer`: has the leader give way to another voter. Not a command of `ipfs-cluster-ctl`. */

import { parsePeerId, raftLeaderCodec } from '@quorate/client'
import { parseOption } from '../arguments.ts'
import type { Command } from '../command-table.ts'
import { layoutRaftLeader } from '../layout.ts'

export const peersTransfer: Command = {
  options: {},
  operands: { usage: '[<peer ID>]', min: 0, max: 1 },
  run: async (args, context) => {
    const [named] = args.operands
    const to = named === undefined ? undefined : parseOption('peer ID', named, parsePeerId)
    const leader = await context.client.peersTransfer(to, { signal: context.signal })
    await context.print(raftLeaderCodec, { leader }, layoutRaftLeader)
  }
}
