/**
 * What a running node answers peers over the bulk protocol: chunks of its snapshots to those that install one, and its log to those
 * that mend theirs (`repair.ts`). Used by `driver.ts`; reads the core, changes nothing.
 */

import type { CoreStatus, Index, LogBase, RaftCore } from '../core/types.ts'
import { SnapshotTransferError } from '../errors.ts'
import type { LinkedEntry, LogReport, TransportHandler } from '../ports.ts'
import type { Meter } from './metrics.ts'
import { serveEntries } from './shared-entries.ts'
import type { Snapshotter } from './snapshotter.ts'

export interface PeerServicesInit {
  readonly core: Pick<RaftCore, 'entry' | 'baseAt'>
  readonly snapshotter: Snapshotter
  readonly meter: Meter
  /** @throws {Error} once the node has stopped: it may be wrong about itself */
  readonly status: () => CoreStatus
}

type PeerServices = Pick<
  TransportHandler,
  'onFetchManifest' | 'onFetchChunk' | 'onFetchLogReport' | 'onFetchEntries' | 'onFetchOffer'
>

export function peerServices({ core, snapshotter, meter, status }: PeerServicesInit): PeerServices {
  const find = (index: Index, chain: number): LinkedEntry | undefined => {
    const entry = core.entry(index)
    if (entry === undefined || entry.chain !== chain) return undefined
    const previousChain = core.entry(index - 1)?.chain ?? core.baseAt(index - 1)?.chain
    return previousChain === undefined ? undefined : { entry, previousChain }
  }
  return {
    onFetchManifest: (_from, base) => snapshotter.serveManifest(base),
    async onFetchChunk(_from, snapshotId, chunk): Promise<Uint8Array> {
      const bytes = await snapshotter.serveChunk(snapshotId, chunk)
      meter.onSnapshotSent(bytes.length)
      return bytes
    },
    async onFetchLogReport(): Promise<LogReport> {
      const { term, role, baseIndex, lastIndex } = status()
      const base = core.baseAt(baseIndex)
      const chain = core.entry(lastIndex)?.chain ?? base?.chain
      const last = chain === undefined ? undefined : { index: lastIndex, chain }
      return { term, leads: role === 'leader', base, last }
    },
    onFetchEntries: async (_from, request) => serveEntries(find, request),
    async onFetchOffer(_from, atLeast): Promise<LogBase> {
      const { appliedIndex } = status()
      // No snapshot is made that would be of no use: whoever asks asks again.
      if (appliedIndex < atLeast) {
        throw new SnapshotTransferError(`The state stands at ${appliedIndex} here, and ${atLeast} is asked for`)
      }
      return snapshotter.offerPast(atLeast)
    }
  }
}
