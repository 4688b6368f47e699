/** `peers rm`: takes a member out of the cluster. Prints nothing. */

import { parsePeerId } from '@quorate/client'
import { parseOption } from '../arguments.ts'
import type { Command } from '../command-table.ts'

export const peersRm: Command = {
  options: {},
  operands: { usage: '<peer ID>', min: 1, max: 1 },
  run: async (args, context) => {
    const peer = parseOption('peer ID', args.operands[0] ?? '', parsePeerId)
    await context.client.peerRemove(peer, { signal: context.signal })
  }
}
