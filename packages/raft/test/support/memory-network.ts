/** A network in memory: messages pass through the codec's bytes and arrive a turn later, unless a node is cut off. */

import type { Message } from '../../src/core/messages.ts'
import type { LogBase, NodeId } from '../../src/core/types.ts'
import type { SnapshotManifest, Transport, TransportHandler } from '../../src/ports.ts'
import { checksum } from '../../src/storage/checksum.ts'
import { decodeMessage, encodeMessage } from '../../src/transport/codec.ts'
import {
  decodeEntriesAnswer,
  decodeEntriesRequest,
  decodeReport,
  encodeEntriesAnswer,
  encodeEntriesRequest,
  encodeReport
} from '../../src/transport/repair-codec.ts'

export class MemoryNetwork {
  readonly #handlers = new Map<NodeId, TransportHandler>()
  readonly #cutOff = new Set<NodeId>()
  /** What nodes say in their hello that they know; nothing if they are not named here. */
  readonly levels = new Map<NodeId, number>()
  /** Sees every message that is sent. */
  onSend: ((from: NodeId, to: NodeId, message: Message) => void) | undefined
  /** Sees, and may break, every chunk that is fetched. */
  onChunk: ((chunk: number, bytes: Uint8Array) => Uint8Array) | undefined

  transport(id: NodeId): Transport {
    const network = this
    const reach = (to: NodeId): TransportHandler => {
      const handler = network.#handlers.get(to)
      if (handler === undefined || network.#cutOff.has(id) || network.#cutOff.has(to))
        throw new Error(`${to} is not there`)
      return handler
    }
    return {
      async start(handler) {
        network.#handlers.set(id, handler)
        for (const [other, theirs] of network.#handlers) {
          if (other === id) continue
          theirs.onPeerUp(id, network.#aboutOf(id))
          handler.onPeerUp(other, network.#aboutOf(other))
        }
      },
      setPeers() {},
      send(to, message) {
        network.onSend?.(id, to, message)
        const bytes = Buffer.concat(encodeMessage(message))
        setImmediate(() => {
          try {
            const handler = reach(to)
            const decoded = decodeMessage(bytes, checksum)
            if (typeof decoded === 'string') throw new Error(decoded)
            handler.onMessage(id, decoded)
          } catch {
            // Lost.
          }
        })
      },
      async fetchManifest(from: NodeId, base: LogBase): Promise<SnapshotManifest> {
        return reach(from).onFetchManifest(id, base)
      },
      async fetchChunk(from: NodeId, snapshotId: string, chunk: number): Promise<Uint8Array> {
        const bytes = await reach(from).onFetchChunk(id, snapshotId, chunk)
        return network.onChunk?.(chunk, bytes) ?? bytes
      },
      async fetchLogReport(from) {
        return decodeReport(encodeReport(await reach(from).onFetchLogReport!(id)))
      },
      async fetchEntries(from, request) {
        const answer = await reach(from).onFetchEntries!(id, decodeEntriesRequest(encodeEntriesRequest(request)))
        return decodeEntriesAnswer(encodeEntriesAnswer(answer))
      },
      async fetchOffer(from, atLeast) {
        return reach(from).onFetchOffer!(id, atLeast)
      },
      async stop() {
        network.#handlers.delete(id)
        for (const handler of network.#handlers.values()) handler.onPeerDown(id)
      }
    }
  }

  #aboutOf(id: NodeId): { featureLevel: number } | undefined {
    const featureLevel = this.levels.get(id)
    return featureLevel === undefined ? undefined : { featureLevel }
  }

  cutOff(id: NodeId): void {
    this.#cutOff.add(id)
  }

  heal(): void {
    this.#cutOff.clear()
  }
}
