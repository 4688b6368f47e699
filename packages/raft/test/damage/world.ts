/**
 * Nodes of `openRaft` in virtual time, for the damage suite: the real driver, core and storage over disks in memory, a network that passes
 * the codec's bytes on after a millisecond, and a clock that jumps to the next timer once nothing is left to be done. The same seed gives
 * the same run, since no real timer is in it.
 */

import type { Raft, RaftLogger } from '../../src/api.ts'
import type { Message } from '../../src/core/messages.ts'
import type { LogBase, NodeId } from '../../src/core/types.ts'
import { openRaft } from '../../src/driver/driver.ts'
import type { Clock, LogStorage, SnapshotManifest, Transport, TransportHandler } from '../../src/ports.ts'
import { checksum } from '../../src/storage/checksum.ts'
import { openSegmentLog } from '../../src/storage/segment-log.ts'
import { openSnapshotStore } from '../../src/storage/snapshot-files.ts'
import { decodeMessage, encodeMessage } from '../../src/transport/codec.ts'
import {
  decodeEntriesAnswer,
  decodeEntriesRequest,
  decodeReport,
  encodeEntriesAnswer,
  encodeEntriesRequest,
  encodeReport
} from '../../src/transport/repair-codec.ts'
import type { CrashFileSystem } from '../storage/crash-file-system.ts'
import { type Random, randomFrom } from '../storage/random.ts'
import type { RegisterMachine } from '../support/register-machine.ts'

export const FOLDER = '/raft'

export const OPTIONS = { electionTimeoutMs: 300, heartbeatMs: 90, trailingEntries: 6 }

interface Timer {
  readonly atMs: number
  readonly callback: () => void
}

export interface StartInit {
  readonly id: NodeId
  readonly fileSystem: CrashFileSystem
  readonly machine: RegisterMachine
  readonly voters?: readonly NodeId[]
  readonly knownPeers?: readonly NodeId[]
  readonly signal?: AbortSignal
  readonly logger?: RaftLogger
  /** Puts something between the node and its log. */
  readonly around?: (log: LogStorage) => LogStorage
}

export class World {
  readonly random: Random
  nowMs = 0
  #timers: Timer[] = []
  #soon: (() => void)[] = []
  readonly #handlers = new Map<NodeId, TransportHandler>()
  readonly #cutOff = new Set<NodeId>()

  constructor(seed: number) {
    this.random = randomFrom(seed)
  }

  /** One for each start of a node: what it asked for ends with it. */
  clock(): Clock {
    return {
      now: () => this.nowMs,
      after: (delayMs, callback) => {
        const timer = { atMs: this.nowMs + delayMs, callback }
        const at = this.#timers.findLastIndex(({ atMs }) => atMs <= timer.atMs) + 1
        this.#timers.splice(at, 0, timer)
        return () => {
          const found = this.#timers.indexOf(timer)
          if (found >= 0) this.#timers.splice(found, 1)
        }
      },
      soon: (callback) => void this.#soon.push(callback)
    }
  }

  /** Lets things happen until `done`. @returns false if so much time passed before */
  async run(done: () => boolean, limitMs: number): Promise<boolean> {
    const deadlineMs = this.nowMs + limitMs
    for (;;) {
      // All that is under way on the disks ends within this.
      await new Promise(setImmediate)
      if (done()) return true
      const soon = this.#soon
      if (soon.length > 0) {
        this.#soon = []
        for (const callback of soon) callback()
        continue
      }
      const next = this.#timers.shift()
      if (next === undefined || next.atMs > deadlineMs) return false
      this.nowMs = Math.max(this.nowMs, next.atMs)
      next.callback()
    }
  }

  async pass(ms: number): Promise<void> {
    await this.run(() => false, ms)
  }

  cutOff(id: NodeId): void {
    this.#cutOff.add(id)
  }

  join(id: NodeId): void {
    this.#cutOff.delete(id)
  }

  /** The process of a node ends without a word. */
  kill(id: NodeId): void {
    this.#handlers.delete(id)
    for (const handler of this.#handlers.values()) handler.onPeerDown(id)
  }

  start({ id, fileSystem, machine, voters, around, logger, ...rest }: StartInit): Promise<Raft<string>> {
    const clock = this.clock()
    const { random } = this
    const log = openSegmentLog({
      folder: FOLDER,
      fileSystem,
      clock,
      segmentBytes: 1500,
      seedContext: Buffer.from(id),
      nonce: () => random.below(2 ** 32)
    })
    const newId = (): string => `s${random.below(2 ** 32)}`
    return openRaft<string>(
      {
        storage: around === undefined ? log : around(log),
        snapshots: openSnapshotStore({ folder: FOLDER, fileSystem, newId }),
        transport: this.#transport(id),
        stateMachine: machine,
        clock,
        ...(logger === undefined ? {} : { logger })
      },
      {
        id,
        options: OPTIONS,
        seed: random.below(2 ** 32),
        ...(voters === undefined ? {} : { bootstrap: { voters, outgoing: [], learners: [] } }),
        ...rest
      }
    )
  }

  #transport(id: NodeId): Transport {
    const reach = (to: NodeId): TransportHandler => {
      const handler = this.#handlers.get(to)
      if (handler === undefined || this.#cutOff.has(id) || this.#cutOff.has(to)) throw new Error(`${to} is not there`)
      return handler
    }
    const clock = this.clock()
    return {
      start: async (handler) => {
        this.#handlers.set(id, handler)
        for (const [other, theirs] of this.#handlers) {
          if (other === id) continue
          theirs.onPeerUp(id)
          handler.onPeerUp(other)
        }
      },
      setPeers() {},
      send: (to, message: Message) => {
        const bytes = Buffer.concat(encodeMessage(message))
        clock.after(1, () => {
          if (this.#cutOff.has(id) || this.#cutOff.has(to)) return
          const decoded = decodeMessage(bytes, checksum)
          if (typeof decoded === 'string') throw new Error(decoded)
          this.#handlers.get(to)?.onMessage(id, decoded)
        })
      },
      fetchManifest: async (from: NodeId, base: LogBase): Promise<SnapshotManifest> =>
        reach(from).onFetchManifest(id, base),
      fetchChunk: async (from: NodeId, snapshotId: string, chunk: number) =>
        reach(from).onFetchChunk(id, snapshotId, chunk),
      fetchLogReport: async (from) => decodeReport(encodeReport(await reach(from).onFetchLogReport!(id))),
      fetchEntries: async (from, request) =>
        decodeEntriesAnswer(
          encodeEntriesAnswer(
            await reach(from).onFetchEntries!(id, decodeEntriesRequest(encodeEntriesRequest(request)))
          )
        ),
      fetchOffer: async (from, atLeast) => reach(from).onFetchOffer!(id, atLeast),
      stop: async () => {
        // A node that was killed has another life in its place.
        if (this.#handlers.has(id)) this.kill(id)
      }
    }
  }
}
