/**
 * The transport of one simulated process. Messages travel as the bytes of the real codec, in the frames of the real wire, which arrive in pieces; what
 * cannot be decoded is dropped, as in `transport/libp2p-transport.ts`. The bulk protocol is made of calls with answers, each way as uncertain as a message;
 * what it carries are the bytes of the real protocol as well. Made by `full-node.ts`; who is where, and what is cut, is `Switchboard`'s.
 */

import { FRAME_HEADER_BYTES, FrameParser } from '@quorate/wire'
import type { Message } from '../../core/messages.ts'
import type { Index, LogBase, NodeId } from '../../core/types.ts'
import { SnapshotTransferError } from '../../errors.ts'
import type {
  EntriesAnswer,
  EntriesRequest,
  LogReport,
  MessageLimits,
  SnapshotManifest,
  Transport,
  TransportHandler
} from '../../ports.ts'
import { checksum } from '../../storage/checksum.ts'
import { decodeBase, decodeMessage, encodeBase, encodeMessage, largestMessageBytes } from '../../transport/codec.ts'
import {
  decodeChunkRequest,
  decodeManifest,
  encodeChunkRequest,
  encodeManifest
} from '../../transport/manifest-codec.ts'
import {
  decodeEntriesAnswer,
  decodeOffer,
  decodeReport,
  ENTRIES_METHOD,
  encodeEntriesRequest,
  encodeOfferRequest,
  handleRepairCalls,
  OFFER_METHOD,
  REPORT_METHOD
} from '../../transport/repair-codec.ts'
import type { Network } from '../network.ts'
import type { Prng } from '../prng.ts'
import type { NodeProfile } from '../swarm.ts'
import type { SimulatedProcess } from './process.ts'

const MANIFEST_METHOD = 'snapshot.manifest'
const CHUNK_METHOD = 'snapshot.chunk'

/** A call of the bulk protocol is given up after this time. */
const CALL_TIMEOUT_US = 2_000_000

/** What travels on a link. */
export interface Packet {
  readonly to: NodeId
  readonly from: NodeId
  readonly bytes: Uint8Array
  /** Shown in the history, never delivered. */
  readonly message: Message
}

type BulkCall = (request: Uint8Array, context: { readonly peer: string }) => Promise<Uint8Array>

/** A process that can be reached. */
export interface Station {
  readonly slot: number
  readonly process: SimulatedProcess
  readonly handler: TransportHandler
  readonly calls: ReadonlyMap<string, BulkCall>
}

/** Who is reachable under which name at present, and over what. */
export class Switchboard {
  readonly network: Network<Packet>
  readonly slotOf = new Map<NodeId, number>()
  readonly stations = new Map<NodeId, Station>()

  constructor(network: Network<Packet>) {
    this.network = network
  }
}

export interface SimulatedTransportInit {
  readonly id: NodeId
  readonly slot: number
  readonly process: SimulatedProcess
  readonly board: Switchboard
  readonly prng: Prng
  readonly profile: () => NodeProfile
  /** Largest message that is carried (T19). */
  readonly maxMessageBytes: number
  /** A node takes messages that are larger than what is carried: a bug. */
  readonly limitUnchecked: boolean
  readonly onSend: (to: NodeId, message: Message) => void
}

export class SimulatedTransport implements Transport {
  readonly #init: SimulatedTransportInit

  constructor(init: SimulatedTransportInit) {
    this.#init = init
  }

  async start(handler: TransportHandler, limits: MessageLimits): Promise<void> {
    const { id, slot, process, board, maxMessageBytes, limitUnchecked } = this.#init
    const largest = largestMessageBytes(limits)
    if (largest > maxMessageBytes && !limitUnchecked) {
      throw new RangeError(`Messages have up to ${largest} bytes, and ${maxMessageBytes} are carried`)
    }
    board.stations.set(id, { slot, process, handler, calls: this.#serve(handler) })
  }

  setPeers(): void {}

  send(to: NodeId, message: Message): void {
    const { id, slot, board, process, onSend, maxMessageBytes } = this.#init
    const target = board.slotOf.get(to)
    if (!process.alive || target === undefined || target === slot) return
    onSend(to, message)
    const parts = encodeMessage(message)
    const bytes = Buffer.concat(parts)
    if (bytes.length > maxMessageBytes) return
    board.network.send(slot, target, { to, from: id, bytes, message })
  }

  async stop(): Promise<void> {
    const { id, process, board } = this.#init
    if (board.stations.get(id)?.process === process) board.stations.delete(id)
  }

  async fetchManifest(from: NodeId, base: LogBase, signal: AbortSignal): Promise<SnapshotManifest> {
    const manifest = decodeManifest(await this.#call(from, MANIFEST_METHOD, encodeBase(base), signal))
    if (manifest === undefined) throw new SnapshotTransferError(`The manifest that ${from} sent is malformed`)
    return manifest
  }

  fetchChunk(from: NodeId, snapshotId: string, chunk: number, signal: AbortSignal): Promise<Uint8Array> {
    return this.#call(from, CHUNK_METHOD, encodeChunkRequest({ snapshotId, chunk }), signal)
  }

  async fetchLogReport(from: NodeId, signal: AbortSignal): Promise<LogReport> {
    return decodeReport(await this.#call(from, REPORT_METHOD, new Uint8Array(0), signal))
  }

  async fetchEntries(from: NodeId, request: EntriesRequest, signal: AbortSignal): Promise<EntriesAnswer> {
    return decodeEntriesAnswer(await this.#call(from, ENTRIES_METHOD, encodeEntriesRequest(request), signal))
  }

  async fetchOffer(from: NodeId, atLeast: Index, signal: AbortSignal): Promise<LogBase> {
    return decodeOffer(await this.#call(from, OFFER_METHOD, encodeOfferRequest(atLeast), signal))
  }

  /** What this process answers, registered as with the real protocol. */
  #serve(handler: TransportHandler): ReadonlyMap<string, BulkCall> {
    const calls = new Map<string, BulkCall>()
    calls.set(MANIFEST_METHOD, async (request, { peer }) => {
      const base = decodeBase(request)
      if (base === undefined) throw new SnapshotTransferError('The request for a manifest is malformed')
      return encodeManifest(await handler.onFetchManifest(peer, base))
    })
    calls.set(CHUNK_METHOD, async (request, { peer }) => {
      const wanted = decodeChunkRequest(request)
      if (wanted === undefined) throw new SnapshotTransferError('The request for a chunk is malformed')
      return handler.onFetchChunk(peer, wanted.snapshotId, wanted.chunk)
    })
    const rpc = { handle: (method: string, call: BulkCall): void => void calls.set(method, call) }
    handleRepairCalls(rpc as Parameters<typeof handleRepairCalls>[0], handler, (peer) => peer)
    return calls
  }

  /** A call is answered, refused or lost; whichever comes first of its answer, its time and its end by the caller. */
  #call(to: NodeId, method: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { id, process, board } = this.#init
    return new Promise((resolve, reject) => {
      const aborted = (): void => end(() => reject(signal.reason))
      const cancelTimeout = process.after(CALL_TIMEOUT_US, () =>
        end(() => reject(new SnapshotTransferError(`${to} does not answer`)))
      )
      const end = (settle: () => void): void => {
        cancelTimeout()
        signal.removeEventListener('abort', aborted)
        settle()
      }
      if (signal.aborted) {
        aborted()
        return
      }
      signal.addEventListener('abort', aborted, { once: true })
      this.#afterHop(to, false, process, () => {
        const station = board.stations.get(to)
        station?.process.happens(() => {
          const serve = station.calls.get(method)
          const answering =
            serve?.(request, { peer: id }) ?? Promise.reject(new SnapshotTransferError(`${to} knows no ${method}`))
          answering.then(
            (answer) =>
              this.#afterHop(to, true, station.process, () =>
                process.happens(() => end(() => resolve(Uint8Array.from(answer))))
              ),
            (error: unknown) =>
              this.#afterHop(to, true, station.process, () => process.happens(() => end(() => reject(error))))
          )
        })
      })
    })
  }

  /** Carries half a call, if nothing stands in its way. */
  #afterHop(peer: NodeId, back: boolean, sender: SimulatedProcess, arrive: () => void): void {
    const { slot, board, prng, profile } = this.#init
    const other = board.slotOf.get(peer)
    const { meanTransferUs, transferFailure } = profile()
    if (other === undefined || !sender.alive || prng.chance(transferFailure)) return
    sender.after(1 + prng.exponential(meanTransferUs / 8), () => {
      const blocked = back ? board.network.isBlocked(other, slot) : board.network.isBlocked(slot, other)
      if (!blocked) arrive()
    })
  }
}

/** What the receiver makes of a packet's bytes: frames in pieces, then the codec. @returns undefined if it is dropped */
export function unpack(packet: Packet, maxMessageBytes: number, prng: Prng): Message | undefined {
  const { bytes } = packet
  const stream = Buffer.alloc(FRAME_HEADER_BYTES + bytes.length)
  stream.writeUInt32LE(bytes.length)
  stream.set(bytes, FRAME_HEADER_BYTES)
  let message: Message | undefined
  const parser = new FrameParser(maxMessageBytes, (frame) => {
    const decoded = decodeMessage(frame, checksum)
    if (typeof decoded !== 'string') message = decoded
  })
  const cut = prng.below(stream.length)
  parser.push(stream.subarray(0, cut))
  parser.push(stream.subarray(cut))
  return message
}
