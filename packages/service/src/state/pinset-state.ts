/**
 * The replicated state of a peer: the pinset, the peers' addresses and the sessions of those who write, in LevelDB. Step 7 in the life of a pin: consensus calls
 * `apply` with committed commands, and the changes go on to the tracker.
 *
 * A deterministic function of the log: no clock, no network, no randomness. One call of `apply` is one LevelDB batch that holds
 * the applied index too, so after a crash the state stands exactly at some index at or below the one last applied, and the log
 * replays the rest. `pin-batch.ts` tells what a command does. Nothing is synced while applying; `flush` is, and the log may be compacted up to what it answers.
 * `state-store.ts` tells why that is safe, `snapshot-format.ts` how a state travels, `generations.ts` how one replaces another
 * (IPFS Cluster merges: pins deleted meanwhile live on; its dsstate.Unmarshal).
 */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { CidString, PeerIdString, Pin } from '@quorate/client/api'
import { type Command, SessionTable, type StateMachine, type StateSnapshot } from '@quorate/raft'
import type { AbortOptions, PinsetChange, PinsetReader } from '../ports.ts'
import { MalformedError } from './byte-codec.ts'
import { SnapshotUnreadableError } from './errors.ts'
import { makeCurrent, nextGeneration, openCurrentGeneration, setAside } from './generations.ts'
import { type LevelSnapshot, scan } from './level-store.ts'
import { decodeOperation, decodePeerRecord, type OpResult, type PeerRecord } from './ops.ts'
import { PinBatch, pinKey } from './pin-batch.ts'
import { cidToBytes, decodePin } from './pin-codec.ts'
import { readSnapshot, type SnapshotRecord, type StoredRecord, writeSnapshot } from './snapshot-format.ts'
import { isDamage, PEER_PREFIX, PIN_PREFIX, SESSION_PREFIX, StateStore, type StoreWrite } from './state-store.ts'

/** Entries in one batch of a restore: large enough for LevelDB's full speed, some hundred kilobytes of most pins. */
const RESTORE_BATCH_ENTRIES = 2000
/** A batch of large entries ends here. */
const RESTORE_BATCH_BYTES = 4 * 1024 * 1024

/** Where the peers of the cluster can be reached, as they said themselves. */
export interface PeerRecords {
  /** Sorted by peer ID. */
  list(): readonly PeerRecord[]
}

export interface PinsetState extends Required<StateMachine<OpResult>>, PinsetReader {
  readonly peerRecords: PeerRecords
  /**
   * True if what was on disk at opening was not a state of the log (a power loss tore it), or of no snapshot, or damaged: it starts empty,
   * at index 0, and the newest snapshot, the peers' if need be, and the log have to rebuild it. What was there is kept in `damaged`.
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
 * @throws {Error} when another process has it open, or the system refuses
 */
export async function openPinsetState({ folder, onChange = () => {} }: PinsetStateInit): Promise<PinsetState> {
  const name = await openCurrentGeneration(folder)
  const state = await openGeneration({ folder, name, discarded: false, onChange })
  if (state !== undefined) return state
  const next = await nextGeneration(folder, name)
  const empty = await openGeneration({ folder, name: next, discarded: true, onChange })
  if (empty === undefined) throw new Error(`cannot open the state: ${join(folder, next)} is not empty`)
  await makeCurrent(folder, next)
  await setAside(folder, name)
  return empty
}

interface Generation extends Required<PinsetStateInit> {
  readonly name: string
  readonly discarded: boolean
}

/** @returns undefined in place of a state that is damaged, or no state of the log */
async function openGeneration({
  folder,
  name,
  discarded,
  onChange
}: Generation): Promise<LevelPinsetState | undefined> {
  const store = await StateStore.open(join(folder, name), name)
  if (store === undefined) return undefined
  const state = new LevelPinsetState(folder, store, discarded, onChange)
  try {
    await state.load()
    return state
  } catch (error) {
    await store.close()
    if (isDamage(error)) return undefined
    throw error
  }
}

class LevelPinsetState implements PinsetState {
  readonly discarded: boolean
  readonly peerRecords: PeerRecords = { list: () => this.#listPeers() }
  readonly #folder: string
  readonly #onChange: (change: PinsetChange) => void
  #store: StateStore
  /** A copy of all peer records: a few hundred at most, asked for at every dial. */
  #peers = new Map<PeerIdString, PeerRecord>()
  /** As in the database, and read from it at opening; changed by `apply` ahead of the batch, which if it fails ends this state's use. */
  #sessions = new SessionTable()
  /** `apply`, `flush`, `restore` and `close`, one at a time. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(folder: string, store: StateStore, discarded: boolean, onChange: (change: PinsetChange) => void) {
    this.#folder = folder
    this.#store = store
    this.discarded = discarded
    this.#onChange = onChange
  }

  /** Reads what is held in memory. */
  async load(): Promise<void> {
    const peers = new Map<PeerIdString, PeerRecord>()
    for await (const [, value] of scan(this.#store.store, PEER_PREFIX)) {
      const record = decodePeerRecord(value)
      peers.set(record.peerId, record)
    }
    this.#peers = peers
    this.#sessions = await SessionTable.fromRows(sessionRows(this.#store))
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

  digest(): number | undefined {
    return this.#store.books.digest
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
    const batch = new PinBatch(store.books, this.#peers, this.#sessions)
    await batch.load(store, operations)
    const results = operations.map((operation, position) => batch.apply(commands[position]!.index, operation))
    const { pinCount, digest } = batch
    await store.write(batch.writes(), { appliedIndex: throughIndex, pinCount, digest })
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
      chunks: (signal: AbortSignal) => writeSnapshot(books, records(store, snapshot, signal)),
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
    await this.load()
    // Readers of the old state finish on it; a slow one must not hold up consensus. What is not removed now goes at the next start.
    void old
      .retire()
      .then(() => rm(join(this.#folder, old.name), { recursive: true, force: true }))
      .catch(() => {})
    this.#onChange({ type: 'restored' })
  }

  /** The new, empty database is in force from the next opening on; until then readers find the old one. */
  discard(): Promise<void> {
    return this.#inTurn(async () => {
      const name = await nextGeneration(this.#folder, this.#store.name)
      const fresh = await StateStore.open(join(this.#folder, name), name)
      await fresh?.close()
      await makeCurrent(this.#folder, name)
    })
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      try {
        await this.#store.flush()
      } finally {
        await this.#store.close()
      }
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => {})
    return result
  }
}

async function* records(store: StateStore, snapshot: LevelSnapshot, signal: AbortSignal): AsyncGenerator<StoredRecord> {
  for await (const [, value] of scan(store.store, PIN_PREFIX, { snapshot, signal })) yield { kind: 'pin', value }
  for await (const [, value] of scan(store.store, PEER_PREFIX, { snapshot, signal })) yield { kind: 'peer', value }
  for await (const [key, value] of scan(store.store, SESSION_PREFIX, { snapshot, signal })) {
    yield { kind: 'session', key: key.slice(SESSION_PREFIX.length), value }
  }
}

async function* sessionRows(store: StateStore): AsyncGenerator<{ key: string; value: Uint8Array }> {
  for await (const [key, value] of scan(store.store, SESSION_PREFIX)) {
    yield { key: key.slice(SESSION_PREFIX.length), value }
  }
}

/** Fills an empty database from a snapshot; checks every record. @throws {SnapshotUnreadableError} */
async function fill(store: StateStore, index: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const filling = new Filling()
  try {
    // Only the last batch brings the books: until `makeCurrent`, nobody reads this database.
    for await (const record of readSnapshot(index, chunks)) {
      filling.add(record)
      if (filling.writes.length < RESTORE_BATCH_ENTRIES && filling.bytes < RESTORE_BATCH_BYTES) continue
      await store.load(filling.writes)
      filling.begin()
    }
    SessionTable.of(filling.sessions)
  } catch (error) {
    // What the tables say of records that are not theirs.
    if (!(error instanceof MalformedError || error instanceof RangeError)) throw error
    throw new SnapshotUnreadableError(`cannot read the snapshot at index ${index}: ${error.message}`, { cause: error })
  }
  await store.write(filling.writes, { appliedIndex: index, pinCount: filling.pinCount, digest: filling.digest })
}

class Filling {
  /** Of the batch under way, and the bytes of their values. */
  writes: StoreWrite[] = []
  bytes = 0
  pinCount = 0
  digest: number | undefined
  /** A few hundred at most: their table bounds them. */
  readonly sessions: { readonly key: string; readonly value: Uint8Array }[] = []

  /** The next batch. */
  begin(): void {
    this.writes = []
    this.bytes = 0
  }

  /** @throws {MalformedError} when it is not a record of its kind */
  add(record: SnapshotRecord): void {
    switch (record.kind) {
      case 'digest':
        this.digest = record.digest
        break
      case 'pin':
        this.#write(pinKey(decodePin(record.value).cidBytes), record.value)
        this.pinCount++
        break
      case 'peer':
        this.#write(PEER_PREFIX + decodePeerRecord(record.value).peerId, record.value)
        break
      case 'session':
        this.#write(SESSION_PREFIX + record.key, record.value)
        this.sessions.push(record)
        break
    }
  }

  #write(key: string, value: Uint8Array): void {
    this.writes.push({ key, value })
    this.bytes += value.length
  }
}
