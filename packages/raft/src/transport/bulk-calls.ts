/**
 * The calls of the bulk protocol, at both ends: a snapshot's description and its chunks, and the three calls by which a damaged node is repaired. The
 * bytes are those of `manifest-codec.ts` and `repair-codec.ts`. How a call gets to a peer differs: `libp2p-transport.ts` has the real way,
 * `../sim/full/simulated-transport.ts` the simulated one.
 */

import type { Index, LogBase, NodeId } from '../core/types.ts'
import { SnapshotTransferError } from '../errors.ts'
import type { EntriesAnswer, EntriesRequest, LogReport, SnapshotManifest, TransportHandler } from '../ports.ts'
import { decodeBase, encodeBase } from './codec.ts'
import { decodeChunkRequest, decodeManifest, encodeChunkRequest, encodeManifest } from './manifest-codec.ts'
import {
  decodeEntriesAnswer,
  decodeEntriesRequest,
  decodeOffer,
  decodeOfferRequest,
  decodeReport,
  encodeEntriesAnswer,
  encodeEntriesRequest,
  encodeOfferRequest,
  encodeReport
} from './repair-codec.ts'

const MANIFEST_METHOD = 'snapshot.manifest'
const CHUNK_METHOD = 'snapshot.chunk'
const REPORT_METHOD = 'log.report'
const ENTRIES_METHOD = 'log.entries'
const OFFER_METHOD = 'snapshot.offer'

/** The asking end, as `Transport` has it. A malformed answer is a `SnapshotTransferError`. */
export abstract class BulkCaller {
  /** Carries one call to the peer that has the name `to`. Resolves with the bytes of the answer. */
  protected abstract call(to: NodeId, method: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>

  async fetchManifest(from: NodeId, base: LogBase, signal: AbortSignal): Promise<SnapshotManifest> {
    const manifest = decodeManifest(await this.call(from, MANIFEST_METHOD, encodeBase(base), signal))
    if (manifest === undefined) throw new SnapshotTransferError(`The manifest that ${from} sent is malformed`)
    return manifest
  }

  fetchChunk(from: NodeId, snapshotId: string, chunk: number, signal: AbortSignal): Promise<Uint8Array> {
    return this.call(from, CHUNK_METHOD, encodeChunkRequest({ snapshotId, chunk }), signal)
  }

  async fetchLogReport(from: NodeId, signal: AbortSignal): Promise<LogReport> {
    return decodeReport(await this.call(from, REPORT_METHOD, new Uint8Array(0), signal))
  }

  async fetchEntries(from: NodeId, request: EntriesRequest, signal: AbortSignal): Promise<EntriesAnswer> {
    return decodeEntriesAnswer(await this.call(from, ENTRIES_METHOD, encodeEntriesRequest(request), signal))
  }

  async fetchOffer(from: NodeId, atLeast: Index, signal: AbortSignal): Promise<LogBase> {
    return decodeOffer(await this.call(from, OFFER_METHOD, encodeOfferRequest(atLeast), signal))
  }
}

/** Answers one call. Rejects with `SnapshotTransferError` when the request is malformed, and with whatever the handler throws. */
export type BulkAnswerer = (request: Uint8Array, context: { readonly peer: string }) => Promise<Uint8Array>

/**
 * The answering end: gives `handle` each call that `handler` can answer.
 *
 * @param nameOf - the name that a peer has now
 */
export function answerBulkCalls(
  handle: (method: string, answer: BulkAnswerer) => void,
  handler: TransportHandler,
  nameOf: (peer: string) => NodeId
): void {
  handle(MANIFEST_METHOD, async (request, { peer }) => {
    const base = decodeBase(request)
    if (base === undefined) throw new SnapshotTransferError('The request for a manifest is malformed')
    return encodeManifest(await handler.onFetchManifest(nameOf(peer), base))
  })
  handle(CHUNK_METHOD, async (request, { peer }) => {
    const wanted = decodeChunkRequest(request)
    if (wanted === undefined) throw new SnapshotTransferError('The request for a chunk is malformed')
    return handler.onFetchChunk(nameOf(peer), wanted.snapshotId, wanted.chunk)
  })
  const { onFetchLogReport, onFetchEntries, onFetchOffer } = handler
  if (onFetchLogReport === undefined || onFetchEntries === undefined || onFetchOffer === undefined) return
  handle(REPORT_METHOD, async (_request, { peer }) => encodeReport(await onFetchLogReport.call(handler, nameOf(peer))))
  handle(ENTRIES_METHOD, async (request, { peer }) =>
    encodeEntriesAnswer(await onFetchEntries.call(handler, nameOf(peer), decodeEntriesRequest(request)))
  )
  handle(OFFER_METHOD, async (request, { peer }) =>
    encodeBase(await onFetchOffer.call(handler, nameOf(peer), decodeOfferRequest(request)))
  )
}
