/**
 * The transport of one simulated process. Messages travel as the bytes of the real codec, in the frames of the real wire, which arrive in pieces; what
 * cannot be decoded is dropped, as in `transport/libp2p-transport.ts`. The bulk protocol is made of calls with answers, each way as uncertain as a message;
 * what it carries are the bytes of the real protocol as well. Made by `full-node.ts`; who is where, and what is cut, is `Switchboard`'s.
 */

import { FRAME_HEADER_BYTES, FrameParser } from '@quorate/wire'
import type { Message } from '../../core/messages.ts'
import type { NodeId } from '../../core/types.ts'
import { SnapshotTransferError } from '../../errors.ts'
import type { MessageLimits, Transport, TransportHandler } from '../../ports.ts'
import { checksum } from '../../storage/checksum.ts'
import { answerBulkCalls, type BulkAnswerer, BulkCaller } from '../../transport/bulk-calls.ts'
import { decodeMessage, encodeMessage, largestMessageBytes } from '../../transport/codec.ts'
import type { Network } from '../network.ts'
import type { Prng } from '../prng.ts'
import type { NodeProfile } from '../swarm.ts'
import type { SimulatedProcess } from './process.ts'

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

/** A process that can be reached. */
export interface Station {
  readonly slot: number
  readonly process: SimulatedProcess
  readonly handler: TransportHandler
  readonly calls: ReadonlyMap<string, BulkAnswerer>
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

export class SimulatedTransport extends BulkCaller implements Transport {
  readonly #init: SimulatedTransportInit

  constructor(init: SimulatedTransportInit) {
    super()
    this.#init = init
  }

  async start(handler: TransportHandler, limits: MessageLimits): Promise<void> {
    const { id, slot, process, board, maxMessageBytes, limitUnchecked } = this.#init
    const largest = largestMessageBytes(limits)
    if (largest > maxMessageBytes && !limitUnchecked) {
      throw new RangeError(`Messages have up to ${largest} bytes, and ${maxMessageBytes} are carried`)
    }
    const calls = new Map<string, BulkAnswerer>()
    answerBulkCalls(
      (method, answer) => calls.set(method, answer),
      handler,
      (peer) => peer
    )
    board.stations.set(id, { slot, process, handler, calls })
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

  /** A call is answered, refused or lost; whichever comes first of its answer, its time and its end by the caller. */
  protected call(to: NodeId, method: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
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
