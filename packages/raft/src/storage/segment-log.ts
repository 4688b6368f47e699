/**
 * The log and hard state of a node on disk, in segment files of its own format. The driver calls it through `LogStorage`;
 * `segment.ts` has the bytes, `log-reader.ts` the reading, `hard-state.ts` term and vote, `base-file.ts` where the log begins.
 *
 * **One sync a commit.** A call of `persist` writes one frame (a header that says where the log is cut and what follows, then
 * the entries as they stand on the wire) to a file that the kernel syncs on each write. Only when that is done does the
 * next call begin. Nothing is ever overwritten: a truncation is a frame as well, carried out when the log is read.
 *
 * **Torn or rotten.** If a frame cannot be read, whether it was acknowledged decides between dropping it and reporting a
 * fault (T54). Writing "this was durable" after each commit would cost a second sync, so it is inferred:
 * 1. every later frame or segment proves it, as frames are written one at a time;
 * 2. the mark in the hard state counts the frames that were durable when it was written. It is brought up to date at most
 *    `markDelayMs` after a commit, beside the commits and on another file, and when the log is loaded and closed;
 * 3. a write that was cut short lacks sectors: where all bytes are there, and wrong, they rotted.
 *
 * What remains in doubt: if damage of the frames of the last `markDelayMs` before a stop without `close` makes whole sectors zero, or cuts
 * the file short, in the very last frame or from some frame on, it cannot be told from a write that was cut short by that stop; it is
 * dropped. Damage anywhere else is a fault. A crash cannot be mistaken for rot, except
 * that a commit cut short while it carried, in a payload, the bytes of a frame of this very file would be; they are seeded with
 * a nonce that nobody is told.
 *
 * **Loading** trusts nothing that is merely in the page cache: after a process died between a write and its sync, or a sync failed
 * (T51), what is read may not be on disk. All that the mark does not count is written again in place, with the same bytes, and
 * synced, before `load` answers; a torn tail is cut off. New frames always go to a new segment.
 *
 * **A damaged log** is left as it is, but for the vote, until `replace` puts a whole one in its place (`driver/repair.ts`). **A full disk**
 * costs the ballast (`disk-reserve.ts`), and no commit.
 */

import { randomInt } from 'node:crypto'
import type { Entry, Index, LogBase, Term } from '../core/types.ts'
import type { Clock, LoadedLog, LogContent, LogStorage, PersistBatch } from '../ports.ts'
import { EMPTY_BASE, type StoredBase, writeBase } from './base-file.ts'
import type { DiskReserve } from './disk-reserve.ts'
import { HardStateLostError, isDiskFull, LogUnusableError, StorageFailedError, StorageMisuseError } from './errors.ts'
import { type FileSystem, nodeFileSystem, type WritableFile } from './file-system.ts'
import type { DurableMark } from './hard-state.ts'
import { contextSeed, readLog, readPieces, type StoredLog } from './log-reader.ts'
import { MarkedHardState } from './marked-hard-state.ts'
import {
  bodyBytesOf,
  encodeFrameHeader,
  encodeSegmentHeader,
  frameCrcOf,
  frameSeedOf,
  framesOf,
  gather,
  MIN_FRAME_BYTES,
  SEGMENT_HEADER_BYTES,
  segmentName,
  segmentNumber
} from './segment.ts'
import { systemTimers } from './system-timers.ts'

const DEFAULT_SEGMENT_BYTES = 16 * 1024 * 1024
const DEFAULT_MARK_DELAY_MS = 500
/** Most record bytes in one commit; the driver's batches are far smaller. */
const MAX_BODY_BYTES = 1024 * 1024 * 1024

export interface SegmentLogInit {
  /** Made if it is not there. Holds `hard-state`, `base.json` and `log-*.seg`; other files in it are left alone, except `*.tmp`. */
  readonly folder: string
  /** A segment that has reached this size is followed by a new one. @default 16 MiB */
  readonly segmentBytes?: number
  /** Mixed into every checksum, so that a file of another node, or of an earlier incarnation, does not pass as this one's (T58). */
  readonly seedContext?: Uint8Array
  /** How far the durable mark may lag behind the commits, in ms. @default 500 */
  readonly markDelayMs?: number
  /** @default timers of Node that do not keep the process alive */
  readonly clock?: Pick<Clock, 'after'>
  /** @default the real one */
  readonly fileSystem?: FileSystem
  /** Makes room when the disk is full, so that the write can be repeated. @default nothing: a full disk ends the log */
  readonly reserve?: Pick<DiskReserve, 'release'>
  /** Draws the nonce of each segment, unsigned 32 bit. @default a generator that nobody can foresee */
  readonly nonce?: () => number
}

interface Segment {
  readonly name: string
  readonly number: number
  readonly previousSeq: number
  /** Where the log ended when the segment was made. */
  readonly previousIndex: Index
  /** Lowest index after which one of its commits cut the log. */
  minCut: Index
  /** Highest index that was written in it or stood before it. */
  maxIndex: Index
  bytes: number
}

interface ActiveSegment extends Segment {
  readonly file: WritableFile
  readonly frameSeed: number
}

/**
 * The log in `folder`. Touches nothing until `load`, which has to come first; an empty folder stays empty until the first
 * write. `load` also answers term 0, no vote and an empty base for it.
 *
 * @example
 * const log = openSegmentLog({ folder: '/var/lib/quorate/raft' })
 * const { hardState, base, entries, faults } = await log.load()
 * await log.persist({ hardState: { term: 1, votedFor: 'a' }, truncateFrom: undefined, entries: [] })
 * await log.close()
 *
 * Every method rejects with {@link StorageFailedError} once one has failed, and with {@link StorageMisuseError} for what the
 * caller must not do. `load` rejects with {@link HardStateLostError} or {@link LogUnusableError}; after a `load` with faults only
 * the hard state can be written, and `replace` or `reset` called.
 */
export function openSegmentLog(init: SegmentLogInit): LogStorage {
  const { segmentBytes = DEFAULT_SEGMENT_BYTES } = init
  if (!(segmentBytes >= SEGMENT_HEADER_BYTES + MIN_FRAME_BYTES)) {
    throw new RangeError(
      `segmentBytes must be at least ${SEGMENT_HEADER_BYTES + MIN_FRAME_BYTES}, and is ${segmentBytes}`
    )
  }
  return new SegmentLog(init)
}

class SegmentLog implements LogStorage {
  readonly #folder: string
  readonly #segmentBytes: number
  readonly #seed: number
  readonly #fileSystem: FileSystem
  readonly #reserve: Pick<DiskReserve, 'release'> | undefined
  readonly #nonce: () => number

  /** `faulty`: loaded, with faults. `failed` and `closed` are final. */
  #state: 'new' | 'open' | 'faulty' | 'failed' | 'closed' = 'new'
  #failure: unknown
  #busy = false

  /** Its mark counts no frame beyond `#seq`. */
  readonly #hardState: MarkedHardState

  #base: StoredBase = EMPTY_BASE
  /** Of what stands in the files of the base; 0 before there are any. */
  #baseRevision = 0
  /** The base on disk was lost, and `#base` stands for nothing. */
  #baseLost = false
  /** Full, or of an earlier run; in order, all before `#active`. */
  #sealed: Segment[] = []
  #active: ActiveSegment | undefined
  #nextNumber = 1

  #lastIndex: Index = 0
  /** Of the entry at `#lastIndex`; undefined after a truncation without entries, until more are appended. */
  #last: { readonly term: Term; readonly chain: number } | undefined = { term: 0, chain: 0 }
  #seq = 0
  #frame = 0

  constructor(init: SegmentLogInit) {
    this.#folder = init.folder
    this.#segmentBytes = init.segmentBytes ?? DEFAULT_SEGMENT_BYTES
    this.#seed = contextSeed(init.seedContext)
    this.#fileSystem = init.fileSystem ?? nodeFileSystem
    this.#reserve = init.reserve
    this.#nonce = init.nonce ?? (() => randomInt(0x1_0000_0000))
    this.#hardState = new MarkedHardState({
      fileSystem: this.#fileSystem,
      folder: this.#folder,
      seed: this.#seed,
      markDelayMs: init.markDelayMs ?? DEFAULT_MARK_DELAY_MS,
      clock: init.clock ?? systemTimers,
      currentMark: () => this.#currentMark(),
      failure: () => (this.#state === 'failed' ? { error: this.#failure } : undefined),
      onFailed: (error) => this.#fail(error)
    })
  }

  async load(): Promise<LoadedLog> {
    if (this.#state === 'open' || this.#state === 'faulty') throw new StorageMisuseError('The log was loaded before')
    return this.#exclusive('load the log', async () => {
      await this.#fileSystem.makeFolder(this.#folder)
      const stored = await readLog(this.#fileSystem, this.#folder, this.#seed).catch((error: unknown) => {
        if (error instanceof LogUnusableError && error.code === 'base-damaged') return error
        throw error
      })
      if (stored instanceof LogUnusableError) return this.#loadPieces(stored)
      this.#take(stored)
      const sound = stored.faults.length === 0
      if (sound) await this.#settle(stored)
      this.#state = sound ? 'open' : 'faulty'
      if (stored.hardState !== undefined) await this.#hardState.open(stored.hardState)
      const { base, entries, faults, remains } = stored
      const loaded = { hardState: this.#hardState.value, base: base.base, entries, faults }
      return remains === undefined ? loaded : { ...loaded, remains }
    })
  }

  async #loadPieces(why: LogUnusableError): Promise<LoadedLog> {
    const { hardState, remains, lastNumber } = await readPieces(this.#fileSystem, this.#folder, this.#seed)
    this.#hardState.take(hardState)
    this.#seq = this.#hardState.mark.seq
    this.#nextNumber = lastNumber + 1
    this.#baseLost = true
    this.#state = 'faulty'
    await this.#hardState.open(hardState)
    const fault = { file: why.file, offset: 0, fromIndex: 1, detail: why.message }
    const { base } = EMPTY_BASE
    return { hardState: this.#hardState.value, base, entries: [], faults: [fault], remains, baseLost: true }
  }

  #take(stored: StoredLog): void {
    const { base } = stored.base
    const last = stored.entries.at(-1)
    if (stored.hardState !== undefined) this.#hardState.take(stored.hardState)
    this.#base = stored.base
    this.#baseRevision = stored.foundBase?.revision ?? 0
    this.#sealed = stored.segments.map((segment) => ({
      name: segment.name,
      number: segment.number,
      previousSeq: segment.previousSeq,
      previousIndex: segment.previousIndex,
      minCut: segment.minCut,
      maxIndex: segment.maxIndex,
      bytes: segment.soundBytes
    }))
    this.#nextNumber = Math.max(stored.base.firstSegment + stored.segments.length, 1)
    // A faulty log is left as it is, and its numbers must not be given again.
    if (stored.faults.length > 0) this.#nextNumber = Math.max(this.#nextNumber, stored.lastNumber + 1)
    this.#lastIndex = base.index + stored.entries.length
    this.#last = last ?? base
    this.#seq = Math.max(stored.seq, stored.faults.length > 0 ? this.#hardState.mark.seq : 0)
    this.#frame = stored.frame
  }

  /** Makes what was read durable, and removes what is no part of it. */
  async #settle(stored: StoredLog): Promise<void> {
    // A repair that was cut short may have said that later segments do not count; new ones will.
    const { before, ...base } = stored.base
    const whole = stored.foundBase?.hasCopy !== false && before === undefined
    if (!whole) await this.#replaceBase(base)
    for (const { name, bytes, soundBytes, unmarkedFrom } of stored.segments) {
      if (unmarkedFrom === soundBytes && soundBytes === bytes.length) continue
      const file = await this.#fileSystem.open(`${this.#folder}/${name}`, 'update', false)
      try {
        // The header may be as new as the first frame.
        const from = unmarkedFrom === SEGMENT_HEADER_BYTES ? 0 : unmarkedFrom
        await file.write([bytes.subarray(from, soundBytes)], from)
        if (soundBytes < bytes.length) await file.truncate(soundBytes)
        await file.sync()
      } finally {
        await file.close()
      }
    }
    for (const name of stored.leftovers) await this.#fileSystem.remove(`${this.#folder}/${name}`)
    await this.#fileSystem.syncFolder(this.#folder)
  }

  async persist(batch: PersistBatch): Promise<void> {
    this.#requireLoaded()
    const { hardState, truncateFrom, entries } = batch
    const cutAfter = truncateFrom === undefined ? this.#lastIndex : Math.min(truncateFrom - 1, this.#lastIndex)
    const hasFrame = entries.length > 0 || cutAfter < this.#lastIndex
    if (hasFrame && this.#state === 'faulty') throw this.#faultyError()
    this.#checkBatch(cutAfter, entries)
    await this.#exclusive('make entries and hard state durable', async () => {
      if (!this.#hardState.exists) await this.#hardState.create(hardState ?? this.#hardState.value)
      if (hasFrame && this.#baseRevision === 0) await this.#replaceBase(this.#base)
      // The vote is durable before the log changes; its copy may be written beside the log, as nothing is acknowledged before both are.
      const second = hardState === undefined ? undefined : await this.#hardState.begin(hardState)
      await settleAll([second?.(), hasFrame ? this.#writeFrame(cutAfter, entries) : undefined])
    })
    if (hasFrame && this.#state === 'open') this.#hardState.scheduleMark()
  }

  #checkBatch(cutAfter: Index, entries: readonly Entry[]): void {
    if (cutAfter < this.#base.base.index) {
      throw new StorageMisuseError(
        `The log cannot be cut after ${cutAfter}: it begins after ${this.#base.base.index}, and all before is committed (T16)`
      )
    }
    for (const [n, { index }] of entries.entries()) {
      if (index !== cutAfter + 1 + n)
        throw new StorageMisuseError(`An entry of index ${index} cannot stand at ${cutAfter + 1 + n} of the log`)
    }
    if (bodyBytesOf(entries) > MAX_BODY_BYTES)
      throw new StorageMisuseError(`A commit holds at most ${MAX_BODY_BYTES} bytes`)
  }

  /**
   * Writes one commit; if there is no room for it, once more after room was made. That is no second try after a failed sync (T51): what was
   * written of it is cut off, durably, and all of it goes to a new segment.
   */
  async #writeFrame(cutAfter: Index, entries: readonly Entry[]): Promise<void> {
    try {
      await this.#tryFrame(cutAfter, entries)
    } catch (error) {
      if (!(await this.#makeRoom(error))) throw error
      await this.#takeBack()
      await this.#tryFrame(cutAfter, entries)
    }
  }

  /** @returns whether the disk was full and is so no more */
  async #makeRoom(error: unknown): Promise<boolean> {
    return isDiskFull(error) && this.#reserve !== undefined && (await this.#reserve.release())
  }

  /** Cuts off what a write left that found no room: all of a segment that was begun for it, the end of one that was there. */
  async #takeBack(): Promise<void> {
    const active = this.#active
    if (active !== undefined && active.bytes > 0) {
      await active.file.truncate(active.bytes)
      await active.file.sync()
      // What a new segment follows is not known after a mere truncation; then the old one goes on.
      if (this.#last !== undefined) await this.#seal()
      return
    }
    // Nothing of it counts before its first commit; its number is given again, since a gap would be a fault.
    this.#active = undefined
    await active?.file.close()
    const number = active?.number ?? this.#nextNumber
    await this.#fileSystem.remove(`${this.#folder}/${segmentName(number, this.#lastIndex + 1)}`)
    await this.#fileSystem.syncFolder(this.#folder)
    this.#nextNumber = number
  }

  async #tryFrame(cutAfter: Index, entries: readonly Entry[]): Promise<void> {
    const last = entries.at(-1)
    const bodyBytes = bodyBytesOf(entries)
    // A new segment says what it follows, which is not known after a mere truncation; then the old one grows a little longer.
    if (this.#active !== undefined && this.#active.bytes >= this.#segmentBytes && this.#last !== undefined)
      await this.#seal()
    const prepared = this.#active === undefined ? await this.#createSegment() : { active: this.#active, headers: [] }
    const { active, headers } = prepared
    const seq = this.#seq + 1
    const header = encodeFrameHeader(
      { seq, cutAfter, count: entries.length, bodyBytes, lastChain: last?.chain ?? 0 },
      active.frameSeed
    )
    const buffers = gather([...headers, header], entries)
    await active.file.write(buffers, active.bytes)
    if (headers.length > 0) await this.#fileSystem.syncFolder(this.#folder)
    active.bytes += buffers.reduce((sum, buffer) => sum + buffer.length, 0)
    this.#lastIndex = cutAfter + entries.length
    this.#last = last
    active.minCut = Math.min(active.minCut, cutAfter)
    active.maxIndex = Math.max(active.maxIndex, this.#lastIndex)
    this.#seq = seq
    this.#frame = frameCrcOf(header)
  }

  /** Makes the next segment's file; its header is to be written with the first frame, and the folder synced after that. */
  async #createSegment(): Promise<{ active: ActiveSegment; headers: readonly Uint8Array[] }> {
    const previous = this.#sealed.at(-1)
    if (this.#last === undefined)
      throw new StorageMisuseError('A segment cannot begin where the log ends in an unknown term')
    const number = this.#nextNumber
    const header = encodeSegmentHeader(
      {
        number,
        previousIndex: this.#lastIndex,
        previousTerm: this.#last.term,
        previousChain: this.#last.chain,
        nonce: this.#nonce(),
        previousSeq: this.#seq,
        previousBytes: previous?.bytes ?? 0
      },
      this.#seed
    )
    const name = segmentName(number, this.#lastIndex + 1)
    const file = await this.#fileSystem.open(`${this.#folder}/${name}`, 'create', true)
    this.#nextNumber += 1
    this.#active = {
      name,
      number,
      previousSeq: this.#seq,
      previousIndex: this.#lastIndex,
      minCut: Number.POSITIVE_INFINITY,
      maxIndex: this.#lastIndex,
      bytes: 0,
      file,
      frameSeed: frameSeedOf(header)
    }
    return { active: this.#active, headers: [header] }
  }

  async #seal(): Promise<void> {
    if (this.#active === undefined) return
    const { file, ...segment } = this.#active
    this.#active = undefined
    this.#sealed.push(segment)
    await file.close()
  }

  async compact(base: LogBase): Promise<void> {
    this.#requireLoaded()
    if (this.#state === 'faulty') throw this.#faultyError()
    if (base.index > this.#lastIndex)
      throw new StorageMisuseError(`The log ends at ${this.#lastIndex} and cannot be compacted up to ${base.index}`)
    if (base.index <= this.#base.base.index) return
    await this.#exclusive('compact the log', async () => {
      if (!this.#hardState.exists) await this.#hardState.create(this.#hardState.value)
      const gone = this.#sealed.slice(0, this.#droppable(base.index))
      const rest = this.#sealed.slice(gone.length)
      const first = rest[0] ?? this.#active
      await this.#replaceBase({
        base,
        firstSegment: first?.number ?? this.#nextNumber,
        seq: first?.previousSeq ?? this.#seq
      })
      this.#sealed = rest
      await this.#remove(gone)
    })
  }

  /**
   * How many segments can go. None of their entries may be above the base; and what stays must be readable by itself, so that
   * no later commit may cut the log before the point at which the first remaining segment takes it up.
   */
  #droppable(baseIndex: Index): number {
    const all: readonly Segment[] = this.#active === undefined ? this.#sealed : [...this.#sealed, this.#active]
    const kept = this.#sealed.findIndex((segment) => segment.maxIndex > baseIndex)
    const most = kept < 0 ? this.#sealed.length : kept
    for (let count = most; count > 0; count--) {
      const start = all[count]?.previousIndex ?? 0
      if (all.slice(count).every((segment) => segment.minCut >= start)) return count
    }
    return 0
  }

  async reset(base: LogBase): Promise<void> {
    this.#requireLoaded()
    await this.#exclusive('replace the log', async () => {
      if (!this.#hardState.exists) await this.#hardState.create(this.#hardState.value)
      await this.#seal()
      await this.#replaceBase({ base, firstSegment: this.#nextNumber, seq: this.#seq })
      const gone = this.#sealed
      this.#sealed = []
      this.#lastIndex = base.index
      this.#last = base
      this.#frame = 0
      this.#state = 'open'
      this.#baseLost = false
      await this.#remove(gone)
    })
  }

  /**
   * The new segments are written under numbers that the base on disk does not count yet; then the base is replaced by one that counts them,
   * and them alone. Where the base was lost there is nothing that could count them too early.
   */
  async replace({ hardState, base, entries }: LogContent): Promise<void> {
    this.#requireLoaded()
    if (this.#state !== 'faulty') throw new StorageMisuseError('Only a log that was loaded with faults can be replaced')
    await this.#exclusive('replace the damaged log', async () => {
      await this.#hardState.write(hardState)
      const firstSegment = this.#nextNumber
      const old = (await this.#fileSystem.list(this.#folder)) ?? []
      // What an earlier try left behind counts as little as what this one is about to write.
      const { before = firstSegment } = this.#base
      if (!this.#baseLost) await this.#replaceBase({ ...this.#base, before })
      const seq = this.#seq
      this.#sealed = []
      this.#lastIndex = base.index
      this.#last = base
      for (const part of framesOf(entries, this.#segmentBytes)) await this.#writeFrame(this.#lastIndex, part)
      await this.#replaceBase({ base, firstSegment, seq })
      // The mark proves that the new log is whole, and nothing any more of the old one.
      this.#state = 'open'
      await this.#hardState.write()
      const { faults } = await readLog(this.#fileSystem, this.#folder, this.#seed)
      if (faults[0] !== undefined) throw new StorageFailedError(`The new log is damaged too: ${faults[0].detail}`)
      for (const name of old) {
        if ((segmentNumber(name) ?? firstSegment) < firstSegment)
          await this.#fileSystem.remove(`${this.#folder}/${name}`)
      }
    })
  }

  /** Unlinks segments that are no part of the log any more; if the names come back after a crash, the next load removes them. */
  async #remove(segments: readonly Segment[]): Promise<void> {
    for (const { name } of segments) await this.#fileSystem.remove(`${this.#folder}/${name}`)
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return
    this.#hardState.cancelMark()
    await this.#hardState.idle()
    if (this.#busy) throw new StorageMisuseError('The log cannot be closed while a call is under way')
    const wasOpen = this.#state === 'open'
    if (wasOpen && this.#hardState.exists) {
      await this.#exclusive('mark the log', () => this.#hardState.write(undefined, true))
    }
    this.#state = 'closed'
    const { file } = this.#active ?? {}
    await settleAll([file?.close(), this.#hardState.close()])
  }

  async #replaceBase(stored: StoredBase): Promise<void> {
    const write = () => writeBase(this.#fileSystem, this.#folder, this.#seed, stored, this.#baseRevision + 1)
    // It is written beside the old one, which stands until the new one is whole: a second try loses nothing.
    await write().catch(async (error: unknown) => {
      if (!(await this.#makeRoom(error))) throw error
      await write()
    })
    this.#base = stored
    this.#baseRevision += 1
  }

  /** A faulty log keeps the mark that proves its fault. */
  #currentMark(): Omit<DurableMark, 'closed'> | undefined {
    if (this.#state === 'faulty') return undefined
    return { seq: this.#seq, lastIndex: this.#lastIndex, frame: this.#frame, chain: this.#last?.chain }
  }

  #fail(error: unknown): void {
    if (this.#state !== 'closed') this.#state = 'failed'
    this.#failure ??= error
    this.#hardState.cancelMark()
  }

  #requireLoaded(): void {
    if (this.#state === 'new') throw new StorageMisuseError('The log has to be loaded first')
  }

  #faultyError(): LogUnusableError {
    return new LogUnusableError('log-faulty', this.#folder, 'it is damaged, and takes nothing before it is replaced')
  }

  /** Runs the one call that may be under way; whatever it throws is final. */
  async #exclusive<T>(what: string, task: () => Promise<T>): Promise<T> {
    if (this.#state === 'failed')
      throw new StorageFailedError(`Could not ${what}: an earlier write failed`, this.#failure)
    if (this.#state === 'closed') throw new StorageFailedError(`Could not ${what}: the log is closed`)
    if (this.#busy) throw new StorageMisuseError(`Could not ${what}: another call is under way`)
    this.#busy = true
    try {
      return await task()
    } catch (error) {
      this.#fail(error)
      if (error instanceof HardStateLostError || error instanceof LogUnusableError) throw error
      throw new StorageFailedError(`Could not ${what} in ${this.#folder}`, error)
    } finally {
      this.#busy = false
    }
  }
}

/** Waits for all, so that no write is left running, and then throws the first error. */
async function settleAll(tasks: readonly (Promise<void> | undefined)[]): Promise<void> {
  for (const result of await Promise.allSettled(tasks)) if (result.status === 'rejected') throw result.reason
}
