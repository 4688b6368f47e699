/** The IPFS node of a peer, with what is asked of it counted. Stands before every connector, metrics served or not: what was counted is there whenever they are asked for. */

import type { IpfsBlock, IpfsConnector } from '../ports.ts'

/** Counts since the start of the peer. */
export interface IpfsCounts {
  readonly pins: number
  readonly pinErrors: number
  readonly puts: number
  readonly putErrors: number
  readonly blocks: number
  readonly blockBytes: number
}

/** @returns the same connector, and a reader of the counts */
export function meterConnector(connector: IpfsConnector): { connector: IpfsConnector; counts: () => IpfsCounts } {
  const counts = { pins: 0, pinErrors: 0, puts: 0, putErrors: 0, blocks: 0, blockBytes: 0 }
  async function* counted(blocks: AsyncIterable<IpfsBlock>): AsyncGenerator<IpfsBlock> {
    for await (const block of blocks) {
      counts.blocks++
      counts.blockBytes += block.bytes.length
      yield block
    }
  }
  return {
    counts: () => ({ ...counts }),
    connector: {
      start: (options) => connector.start(options),
      stop: () => connector.stop(),
      id: (options) => connector.id(options),
      async pin(cid, options) {
        counts.pins++
        try {
          await connector.pin(cid, options)
        } catch (error) {
          counts.pinErrors++
          throw error
        }
      },
      unpin: (cid, options) => connector.unpin(cid, options),
      pinLs: (options) => connector.pinLs(options),
      pinLsCid: (cid, options) => connector.pinLsCid(cid, options),
      resolve: (path, options) => connector.resolve(path, options),
      async putBlocks(blocks, options) {
        counts.puts++
        try {
          return await connector.putBlocks(counted(blocks), options)
        } catch (error) {
          counts.putErrors++
          throw error
        }
      },
      getBlock: (cid, options) => connector.getBlock(cid, options),
      cat: (cid, options) => connector.cat(cid, options),
      repoGc: (options) => connector.repoGc(options),
      repoStat: (options) => connector.repoStat(options),
      swarmPeers: (options) => connector.swarmPeers(options),
      connectSwarm: (addresses, options) => connector.connectSwarm(addresses, options)
    }
  }
}
