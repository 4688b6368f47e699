/**
 * The replicated state of a peer: the pinset and the peers' addresses, in LevelDB. Step 7 in the life of a pin: consensus calls
 * `apply` with committed commands, and the changes go on to the tracker.
 *
 * A deterministic function of the log: no clock, no network, no randomness. One call of `apply` is one LevelDB batch that holds
 * the applied index too, so after a crash the state stands exactly at some index at or below the one last applied, and the log
 * replays the rest. Nothing is synced while applying; `flush` is, and the log may be compacted up to what it answers.
 * `state-store.ts` tells why that is safe, `snapshot-format.ts` how a state travels, `generations.ts` how one replaces another
 * (IPFS Cluster merges: pins deleted meanwhile live on; its dsstate.Unmarshal).
 */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { CidString, PeerIdString, Pin } from '@quorate/client/api'
import type { Command, StateMachine, StateSnapshot } from '@quorate/raft'
import type { AbortOptions, PinsetChange, PinsetReader } from '../ports.ts'
import { MalformedError } from './byte-codec.ts'
import { SnapshotUnreadableError } from './errors.ts'
import { makeCurrent, nextGeneration, openCurrentGeneration } from './generations.ts'
import { type LevelSnapshot, scan } from './level-store.ts'
import {
  type DecodedOperation,
  decodeOperation,
  decodePeerRecord,
  encodePeerRecord,
  MAX_PEER_RECORDS,
  type OpResult,
  type PeerRecord
} from './ops.ts'
import { cidToBytes, decodePin } from './pin-codec.ts'
import { readSnapshot, type SnapshotRecord, writeSnapshot } from './snapshot-format.ts'
import { PEER_PREFIX, PIN_PREFIX, StateStore, type StoreWrite } from './state-store.ts'

/** Entries in one batch of a restore: large enough for LevelDB's full speed, some hundred kilobytes. */
const RESTORE_BATCH_ENTRIES = 2000

/** Where the peers of the cluster can be reached, as they said themselves. */
export interface PeerRecords {
  /** Sorted by peer ID. */
  list(): readonly PeerRecord[]
}

export interface PinsetState extends StateMachine<OpResult>, PinsetReader {
  readonly peerRecords: PeerRecords
  /**
   * True if what was on disk at opening was not a state of the log (a power loss tore it), or of no snapshot: it starts empty,
   * at index 0, and the newest snapshot and the log have to rebuild it.
   */
  readonly discarded: boolean
  /** Flushes and closes; lists that are still being read end with an error. */
  close(): Promise<void>
}

export interface PinsetStateInit {
  /** Owned by the state; made if missing. */
  readonly folder: string
  /** Called after the batch that holds the changes is written, in the order of the log. Must not throw. */
  readonly onChange?: (change: PinsetChange) => void
}

/**
 * Opens the state in a folder, or makes one.
 * @throws {StateVersionError} when it was written by a release with another format
 * @throws {OpenFailedError} when another process has it open
 */
export async function openPinsetState(init: PinsetStateInit): Promise<PinsetState> {
  const { folder } = init
  const name = await openCurrentGeneration(folder)
  let store = await StateStore.open(join(folder, name), name)
  const discarded = store === undefined
  if (store === undefined) {
    const next = await nextGeneration(folder, name)
    store = await StateStore.open(join(folder, next), next)
    if (store === undefined) throw new Error(`cannot open the state: ${join(folder, next)} is not empty`)
    await makeCurrent(folder, next)
    await rm(join(folder, name), { recursive: true, force: true })
  }
  const state = new LevelPinsetState(folder, store, discarded, init.onChange ?? (() => {}))
  await state.loadPeers()
  return state
}

class LevelPinsetState implements PinsetState {
  readonly discarded: boolean
  readonly peerRecords: PeerRecords = { list: () => this.#listPeers() }
  readonly #folder: string
  readonly #onChange: (change: PinsetChange) => void
  #store: StateStore
  /** A copy of all peer records: a few hundred at most, asked for at every dial. */
  #peers = new Map<PeerIdString, PeerRecord>()
  /** `apply`, `flush`, `restore` and `close`, one at a time. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(folder: string, store: StateStore, discarded: boolean, onChange: (change: PinsetChange) => void) {
    this.#folder = folder
    this.#store = store
    this.discarded = discarded
    this.#onChange = onChange
  }

  async loadPeers(): Promise<void> {
    const peers = new Map<PeerIdString, PeerRecord>()
    for await (const [, value] of scan(this.#store.store, PEER_PREFIX)) {
      const record = decodePeerRecord(value)
      peers.set(record.peerId, record)
    }
    this.#peers = peers
  }

  // --- PinsetReader

  async get(cid: CidString): Promise<Pin | undefined> {
    let key: string
    try {
      key = pinKey(cidToBytes(cid))
    } catch {
      return undefined
    }
    const done = this.#store.use()
    try {
      const record = await this.#store.get(key)
      return record === undefined ? undefined : decodePin(record).pin
    } finally {
      done()
    }
  }

  async *list(options: AbortOptions = {}): AsyncGenerator<Pin> {
    const store = this.#store
    const done = store.use()
    try {
      for await (const [, record] of scan(store.store, PIN_PREFIX, options)) yield decodePin(record).pin
    } finally {
      done()
    }
  }

  count(): number {
    return this.#store.books.pinCount
  }

  #listPeers(): readonly PeerRecord[] {
    return [...this.#peers.values()].sort((a, b) => (a.peerId < b.peerId ? -1 : a.peerId > b.peerId ? 1 : 0))
  }

  // --- StateMachine

  appliedIndex(): number {
    return this.#store.books.appliedIndex
  }

  apply(commands: readonly Command[], throughIndex: number): Promise<readonly OpResult[]> {
    return this.#inTurn(() => this.#apply(commands, throughIndex))
  }

  flush(): Promise<number> {
    return this.#inTurn(() => this.#store.flush())
  }

  async #apply(commands: readonly Command[], throughIndex: number): Promise<readonly OpResult[]> {
    const store = this.#store
    const { appliedIndex } = store.books
    const first = commands[0]?.index ?? throughIndex
    if (first <= appliedIndex || throughIndex <= appliedIndex) {
      throw new Error(`cannot apply ${first} to ${throughIndex}: the state stands at ${appliedIndex}`)
    }
    const operations = commands.map((command) => decodeOperation(command.payload))
    const batch = new PinBatch(store.books.pinCount, this.#peers)
    await batch.load(store, operations)
    const results = operations.map((operation) => batch.apply(operation))
    await store.write(batch.writes(), { appliedIndex: throughIndex, pinCount: batch.pinCount })
    this.#peers = batch.peers
    for (const change of batch.changes) this.#onChange(change)
    return results
  }

  async snapshot(): Promise<StateSnapshot> {
    const store = this.#store
    const done = store.use()
    const { snapshot, books } = await store.view().catch((error: unknown) => {
      done()
      throw error
    })
    return {
      index: books.appliedIndex,
      chunks: (signal: AbortSignal) => writeSnapshot(books.appliedIndex, records(store, snapshot, signal)),
      close: async () => {
        await snapshot.close()
        done()
      }
    }
  }

  restore(index: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#inTurn(() => this.#restore(index, chunks))
  }

  async #restore(index: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const old = this.#store
    const name = await nextGeneration(this.#folder, old.name)
    const fresh = await StateStore.open(join(this.#folder, name), name)
    if (fresh === undefined) throw new Error(`cannot restore the state: ${join(this.#folder, name)} is not empty`)
    try {
      await fill(fresh, index, chunks)
      await fresh.flush()
      await makeCurrent(this.#folder, name)
    } catch (error) {
      await fresh.close()
      await rm(join(this.#folder, name), { recursive: true, force: true })
      throw error
    }
    this.#store = fresh
    await this.loadPeers()
    // Readers of the old state finish on it; a slow one must not hold up consensus. What is not removed now goes at the next start.
    void old
      .retire()
      .then(() => rm(join(this.#folder, old.name), { recursive: true, force: true }))
      .catch(() => {})
    this.#onChange({ type: 'restored' })
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#store.flush()
      await this.#store.close()
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => {})
    return result
  }
}

function pinKey(cidBytes: Uint8Array): string {
  return PIN_PREFIX + Buffer.from(cidBytes.buffer, cidBytes.byteOffset, cidBytes.byteLength).toString('hex')
}

/** The effect of some commands, one after the other, before it is written. */
class PinBatch {
  pinCount: number
  peers: Map<PeerIdString, PeerRecord>
  readonly changes: PinsetChange[] = []
  /** What the pins touched are by now; undefined if absent. Filled by `load` for every key that a command names. */
  readonly #pins = new Map<string, Uint8Array | undefined>()
  readonly #touched = new Set<string>()
  readonly #touchedPeers = new Set<PeerIdString>()

  constructor(pinCount: number, peers: Map<PeerIdString, PeerRecord>) {
    this.pinCount = pinCount
    this.peers = peers
  }

  async load(store: StateStore, operations: readonly DecodedOperation[]): Promise<void> {
    const keys = new Set<string>()
    for (const operation of operations) {
      if (operation.kind === 'pin' || operation.kind === 'unpin') keys.add(pinKey(operation.cidBytes))
    }
    const list = [...keys]
    const values = await store.getMany(list)
    for (const [position, key] of list.entries()) this.#pins.set(key, values[position])
  }

  apply(operation: DecodedOperation): OpResult {
    switch (operation.kind) {
      case 'pin': {
        const key = pinKey(operation.cidBytes)
        if (this.#pins.get(key) === undefined) this.pinCount++
        this.#pins.set(key, operation.record)
        this.#touched.add(key)
        this.changes.push({ type: 'pin', pin: operation.pin })
        return { ok: true, kind: 'pin' }
      }
      case 'unpin': {
        const { cid } = operation
        const key = pinKey(operation.cidBytes)
        const record = this.#pins.get(key)
        if (record === undefined)
          return { ok: false, code: 'PIN_NOT_FOUND', message: `cannot unpin ${cid}: it is not part of the pinset` }
        const { pin } = decodePin(record)
        this.pinCount--
        this.#pins.set(key, undefined)
        this.#touched.add(key)
        this.changes.push({ type: 'unpin', cid, pin })
        return { ok: true, kind: 'unpin', pin }
      }
      case 'peer-record': {
        const { record } = operation
        if (!this.peers.has(record.peerId) && this.peers.size >= MAX_PEER_RECORDS) {
          return {
            ok: false,
            code: 'TOO_MANY_PEERS',
            message: `cannot take the addresses of ${record.peerId}: those of ${this.peers.size} peers are held`
          }
        }
        this.#ownPeers().set(record.peerId, record)
        this.#touchedPeers.add(record.peerId)
        return { ok: true, kind: 'peer-record' }
      }
      case 'peer-forget':
        if (this.peers.has(operation.peerId)) {
          this.#ownPeers().delete(operation.peerId)
          this.#touchedPeers.add(operation.peerId)
        }
        return { ok: true, kind: 'peer-forget' }
      case 'error':
        return { ok: false, code: operation.code, message: operation.message }
    }
  }

  *writes(): Generator<StoreWrite> {
    for (const key of this.#touched) yield { key, value: this.#pins.get(key) }
    for (const peerId of this.#touchedPeers) {
      const record = this.peers.get(peerId)
      yield { key: PEER_PREFIX + peerId, value: record === undefined ? undefined : encodePeerRecord(record) }
    }
  }

  /** A copy at the first change: readers keep the old map until the batch is written. */
  #ownPeers(): Map<PeerIdString, PeerRecord> {
    if (this.#touchedPeers.size === 0) this.peers = new Map(this.peers)
    return this.peers
  }
}

async function* records(
  store: StateStore,
  snapshot: LevelSnapshot,
  signal: AbortSignal
): AsyncGenerator<SnapshotRecord> {
  for await (const [, value] of scan(store.store, PIN_PREFIX, { snapshot, signal })) yield { kind: 'pin', value }
  for await (const [, value] of scan(store.store, PEER_PREFIX, { snapshot, signal })) yield { kind: 'peer', value }
}

/** Fills an empty database from a snapshot; checks every record. @throws {SnapshotUnreadableError} */
async function fill(store: StateStore, index: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  let pinCount = 0
  let writes: StoreWrite[] = []
  // Only the last batch brings the books: until `makeCurrent`, nobody reads this database.
  for await (const record of readSnapshot(index, chunks)) {
    try {
      if (record.kind === 'pin') {
        writes.push({ key: pinKey(decodePin(record.value).cidBytes), value: record.value })
        pinCount++
      } else {
        writes.push({ key: PEER_PREFIX + decodePeerRecord(record.value).peerId, value: record.value })
      }
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      throw new SnapshotUnreadableError(`cannot read the snapshot at index ${index}: ${error.message}`, {
        cause: error
      })
    }
    if (writes.length >= RESTORE_BATCH_ENTRIES) {
      await store.load(writes)
      writes = []
    }
  }
  await store.write(writes, { appliedIndex: index, pinCount })
}
